"""Tables for a notebook and for ``print``: names in them come from models, so none is trusted."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from haqc.plaintext import visible


def html_table(rows: Sequence[Sequence[str]], facts: Sequence[str] = ()) -> str:
    """Gives a heading and rows as an HTML table, sentences above it.

    >>> html_table([["layer"], ["<b>"]])
    '<table><thead><tr><th>layer</th></tr></thead><tbody><tr><td>&lt;b&gt;</td></tr></tbody></table>'
    """
    above = "".join(f"<div>{escape(visible(fact))}</div>" for fact in facts)
    heading, *body = ([escape(visible(cell)) for cell in row] for row in rows)
    head = "".join(f"<th>{cell}</th>" for cell in heading)
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in body)
    return f"{above}<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"


def text_table(rows: Sequence[Sequence[str]]) -> str:
    """Gives a heading and rows in columns.

    >>> print(text_table([["layer", "bits"], ["conv1", "4/8"]]))
    layer  bits
    conv1  4/8
    """
    shown = [[visible(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in shown
    )
