"""Tables as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def head(titles: Sequence[str]) -> str:
    """Gives the two lines that a table begins with."""
    return f"{row(titles)}\n|{'---|' * len(titles)}"


def row(cells: Iterable[str]) -> str:
    """Gives a line of a table."""
    return f"| {' | '.join(cells)} |"


def markdown(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Gives a table, or nothing where it has no row."""
    lines = [row(cells) for cells in rows]
    return "\n".join([head(titles), *lines]) if lines else ""
