"""The tables of the documentation, from what a campaign left."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.allocators.cells import GRID, OTHERS, SEEDS, UNIFORM, Cell
from benchmarks.allocators.effort import ALLOCATORS
from benchmarks.allocators.results import Found, Results
from benchmarks.allocators.specialisation import specialisation
from benchmarks.allocators.verdicts import best_of, headline, long_run, means, uniform_room, verdicts
from benchmarks.markdown import markdown


def tables(results: Results) -> str:
    """Gives all tables as Markdown, each under its name."""
    parts = {
        "Cells": cells(results),
        "Means": means(results),
        "Bounds": verdicts(results),
        "Where uniform widths begin to hurt": uniform_room(results),
        "Sixty evaluations against six hundred": long_run(results),
        "Headline": headline(results),
        "Specialisation": specialisation(results),
    }
    return "\n\n".join(f"### {title}\n\n{text}" for title, text in parts.items() if text)


def cells(results: Results) -> str:
    """Gives each cell's accuracies: the best allocator's, and how far the others are behind it."""
    rows = (_row(results, cell, seed) for cell in (*GRID, *UNIFORM, *OTHERS) for seed in SEEDS)
    return markdown(("cell", "budget", "seed", *ALLOCATORS), (row for row in rows if row))


def _row(results: Results, cell: Cell, seed: int) -> Sequence[str]:
    found = results.cell(cell, seed)
    if found is None:
        return ()
    head = (cell.name, results.budget(cell), str(seed))
    if isinstance(found, str):
        return (*head, "infeasible", *[""] * (len(ALLOCATORS) - 1))
    best = best_of(found)
    return (*head, *(_figure(found.get(name), best) for name in ALLOCATORS))


def _figure(found: Found | None, best: Found | None) -> str:
    if found is None or best is None or found.right is None:
        return "-"
    if found is best:
        return f"**{found.accuracy:.2f}**"
    difference, error = found.ahead_of(best)
    return f"{difference:+.2f} ± {error:.2f}"
