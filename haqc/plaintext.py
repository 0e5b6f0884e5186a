"""Text from strangers, made so that it can steer neither a terminal, nor a page, nor a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

_FORMULA_STARTS = tuple("=+-@＝＋－＠")


def visible(text: str) -> str:
    r"""Gives a name with every character that does not print as an escape, so that it can steer no terminal or page.

    Control characters, line ends, bidirectional overrides and lone surrogates become escapes; letters of any script
    stay.

    >>> print(visible("a\x1b[2Jb\u202ec"))
    a\u001b[2Jb\u202ec
    """
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    r"""Gives rows as CSV. Names are made :func:`visible`, and what a spreadsheet would take for a formula gets an
    apostrophe in front; ``None`` is an empty cell.

    >>> csv_text([["name", "macs"], ["=1+1", 8], ["a\rb", None]])
    "name,macs\n'=1+1,8\na\\u000db,\n"
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if text.lstrip().startswith(_FORMULA_STARTS) else text


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
