"""Printing: with colour on a terminal, as plain text of 80 columns anywhere else."""

from __future__ import annotations

import sys
from typing import TextIO

from rich.console import Console, RenderableType

WIDTH = 80
"""Columns that every table and line fits into, and the width of what is not a terminal."""

_WIDEST = 160

_ASCII = str.maketrans({"µ": "u"})


def columns() -> int:
    """Gives the columns that results may take: 80 at least, more on a wider terminal, up to 160."""
    if not sys.stdout.isatty():
        return WIDTH
    return max(WIDTH, min(_WIDEST, Console(file=sys.stdout).width))


def show(renderable: RenderableType, stream: TextIO | None = None) -> None:
    """Prints a result: with colour on a terminal, as plain text of 80 columns anywhere else.

    Characters that the output's encoding lacks are replaced, so that no name of a layer ends a run.

    Args:
        renderable: what is printed.
        stream: where, if not on standard output.
    """
    stream = sys.stdout if stream is None else stream
    is_terminal = stream.isatty()
    console = Console(
        file=stream,
        width=None if is_terminal else WIDTH,
        force_terminal=is_terminal,
        markup=False,
        highlight=False,
        emoji=False,
    )
    with console.capture() as capture:
        console.print(renderable)
    text, encoding = capture.get(), stream.encoding or "utf-8"
    if not is_terminal:
        text = "".join(f"{line.rstrip()}\n" for line in text.removesuffix("\n").split("\n"))
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(_ASCII).encode(encoding, "replace").decode(encoding)
    stream.write(text)
    stream.flush()
