"""Tables of names and figures, and names that fit into them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import Box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from haqc.console.output import WIDTH
from haqc.passes.report.wording import NOT_AVAILABLE, quantity, share
from haqc.plaintext import visible

GAP = 2
"""Columns between two columns of a table."""

_RULE = Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)
_WIDE = 110
_OF_8_8 = "of 8/8"
_ERROR = "Error"
_TITLES = (
    *("W/A", "MACs", "Latency", f"{_OF_8_8} s", "Energy", f"{_OF_8_8} J", "Share", "Weights", f"{_OF_8_8} B"),
    *("Bound", _ERROR),
)
_BOUNDS = {"compute": "compute", "activations": "data", "weights": "weights"}


def layer_table(rows: Sequence[Mapping[str, Any]], width: int = WIDTH) -> Table:
    """Makes the table of layers; long names are shortened in the middle.

    Args:
        rows: layers of a report or of ``haqc cost``; the columns of what binds a layer and of its output error stand
            only when some row has them, that of the error only where it costs no name a letter.
        width: columns it may take; from 110 on, reports have columns of what the figures are of those at 8/8.
    """
    total_j = sum(row["energy_j"] or 0.0 for row in rows)
    figures = [_figures(row, total_j) for row in rows]
    titles = [title for title in _TITLES if _has_column(title, rows, width)]
    longest = max((cell_len(visible(row["name"])) for row in rows), default=0)
    if _ERROR in titles and longest > _name_cells(titles, figures, width):
        titles.remove(_ERROR)
    room = _name_cells(titles, figures, width)
    table = plain_table("Layer", [_heading(title) for title in titles])
    for row, cells in zip(rows, figures, strict=True):
        table.add_row(*(Text(cell) for cell in (shortened(row["name"], room), *(cells[title] for title in titles))))
    return table


def plain_table(name: str, titles: Sequence[str]) -> Table:
    """Makes a table without lines: names on the left, figures on the right."""
    table = Table(box=_RULE, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column(name, no_wrap=True)
    for title in titles:
        table.add_column(title, justify="right", no_wrap=True)
    return table


def shortened(name: str, cells: int) -> str:
    """Gives a name in at most ``cells`` columns, its middle replaced by dots; characters may be two columns wide."""
    text = visible(name)
    if cell_len(text) <= cells:
        return text
    tail = _first_cells(text[::-1], (cells - 3) // 2)[::-1]
    return f"{_first_cells(text, cells - 3 - cell_len(tail))}...{tail}"


def _name_cells(titles: Sequence[str], figures: Sequence[Mapping[str, str]], width: int) -> int:
    """Gives the columns that the figures of ``titles`` leave to the names of layers."""
    widths = (max(cell_len(cell) for cell in (_heading(title), *(row[title] for row in figures))) for title in titles)
    return width - sum(cells + GAP for cells in widths)


def _has_column(title: str, rows: Sequence[Mapping[str, Any]], width: int) -> bool:
    if title == "Bound":
        return any(row.get("bound") for row in rows)
    if title == _ERROR:
        return any(row.get("output_error") for row in rows)
    if title.startswith(_OF_8_8):
        return width >= _WIDE and any("baseline" in row for row in rows)
    return True


def _heading(title: str) -> str:
    """Gives what stands above a column."""
    return _OF_8_8 if title.startswith(_OF_8_8) else title


def layer_widths(row: Mapping[str, Any]) -> str:
    """Gives the widths of a layer, weights before data, or says that it stays in float.

    Args:
        row: a layer of a report or of ``haqc cost``.
    """
    return "float" if row.get("float") else visible(f"{row['weight_bits']}/{row['activation_bits']}")


def _figures(row: Mapping[str, Any], total_j: float) -> dict[str, str]:
    error = row.get("output_error")
    before = row.get("baseline", {})
    cells = (
        layer_widths(row),
        quantity(row["macs"], ""),
        quantity(row["latency_s"], "s"),
        _part(row["latency_s"], before.get("latency_s")),
        quantity(row["energy_j"], "J"),
        _part(row["energy_j"], before.get("energy_j")),
        share(row.get("energy_share", (row["energy_j"] or 0.0) / (total_j or 1.0))),
        quantity(row["weight_bytes"], "B"),
        _part(row["weight_bytes"], before.get("weight_bytes")),
        _BOUNDS.get(row.get("bound") or "", NOT_AVAILABLE),
        NOT_AVAILABLE if error is None else f"{error:.2g}",
    )
    return dict(zip(_TITLES, cells, strict=True))


def _part(value: float | None, whole: float | None) -> str:
    return share(value / whole if value is not None and whole else None)


def _first_cells(text: str, cells: int) -> str:
    """Gives as much of the start of ``text`` as fits into ``cells`` columns."""
    # No character takes less than nothing, and marks that take none are bounded as well.
    end = 0
    while end < min(len(text), 4 * cells) and cell_len(text[: end + 1]) <= cells:
        end += 1
    return text[:end]
