"""The command ``haqc plot``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from haqc.cli.application import app
from haqc.cli.options import STANDARD_OUTPUT
from haqc.errors import DataError, OutputError

Kind = Annotated[
    Literal["policy", "roofline", "front", "cost"],
    typer.Option(help="Bits of each layer, the roofline, score and cost of all trials, or cost of each layer."),
]
Out = Annotated[
    str | None,
    typer.Option(
        help="File to write: .svg, .png or .pdf; - prints an SVG on standard output.", show_default="KIND.svg"
    ),
]


@app.command("plot", epilog="Example: haqc plot model.haqc --kind roofline --out roofline.pdf")
def plot_command(
    folder: Annotated[Path, typer.Argument(help="Folder of a compile, or of a sweep.", show_default=False)],
    kind: Kind = "policy",
    out: Out = None,
) -> None:
    """Draws a figure of a compile, or the front of a sweep, for papers and slides."""
    from haqc.figures import FORMATS  # noqa: PLC0415

    path = Path(out or f"{kind}.svg")
    file_format = "svg" if out == STANDARD_OUTPUT else path.suffix.lower().removeprefix(".")
    if file_format not in FORMATS:
        raise OutputError(f"'{path}' names no format that figures have; let it end with .{', .'.join(FORMATS)}")
    picture = _picture(folder, kind, file_format)
    if out == STANDARD_OUTPUT:
        typer.echo(picture, nl=False)
        return
    try:
        path.write_bytes(picture)
    except OSError as error:
        raise OutputError(f"'{path}' cannot be written ({error.strerror}); name another file with --out") from error


def _picture(folder: Path, kind: str, file_format: str) -> bytes:
    from haqc.check import is_swept, read_front, read_report  # noqa: PLC0415
    from haqc.figures import draw, draw_sweep  # noqa: PLC0415

    is_front = is_swept(folder)
    if is_front and kind != "front":
        raise DataError(f"'{folder}' is the folder of a sweep, which has a front; add --kind front, or name a point's")
    content = read_front(folder) if is_front else read_report(folder)
    try:
        return draw_sweep(content, file_format) if is_front else draw(content, kind, file_format)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:  # somebody edited it
        what, command = ("front", "sweep") if is_front else ("report", "compile")
        raise DataError(f"'{folder / what}.json' is no {what} as haqc writes them; {command} again") from error
