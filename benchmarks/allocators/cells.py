"""The problems that the allocators are given."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Literal

Metric = Literal["energy", "latency"]
METRICS: tuple[Metric, ...] = ("energy", "latency")

SEEDS = (0, 1, 2)
SHARES = {"30": 0.3, "60": 0.6}
"""How far a budget lies on the way from the floor to 8/8, by the name of its level."""

UNIFORM_LEVELS = ("W3A3", "W2A4")
"""Budgets that are what a uniform policy costs; there uniform widths begin to hurt."""

LEAST_LEVEL = "least"
"""No budget: the least cost that keeps the accuracy."""

SHARED_LEVEL = "shared"
"""The same, where what was tried for every target is known at the start, as with ``--trials-from``."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One network on one target, under one budget.

    Attributes:
        network: its name.
        target: a built-in target.
        metric: what the budget limits.
        level: how much is allowed: one of :data:`SHARES` or :data:`UNIFORM_LEVELS`, or a share of 8/8;
            :data:`LEAST_LEVEL` or :data:`SHARED_LEVEL` where the cost is made small instead.
    """

    network: str
    target: str
    metric: Metric
    level: str

    @property
    def name(self) -> str:
        """Its name in tables, and the beginning of its files' names."""
        return f"{self.network}-{self.target}-{self.metric}-{self.level}"

    @property
    def is_uniform(self) -> bool:
        """Whether its budget is what a uniform policy costs."""
        return self.level in UNIFORM_LEVELS

    @property
    def is_least(self) -> bool:
        """Whether its cost is made small under a limit of what is lost."""
        return self.level in (LEAST_LEVEL, SHARED_LEVEL)

    @property
    def is_shared(self) -> bool:
        """Whether what was tried for other targets is known."""
        return self.level == SHARED_LEVEL

    @property
    def is_headline(self) -> bool:
        """Whether its budget is a share of 8/8."""
        return "." in self.level


GRID = tuple(
    Cell(network, target, metric, level)
    for level in SHARES
    for network in ("resnet8", "fashion")
    for target in ("edge", "cloud")
    for metric in METRICS
)
UNIFORM = tuple(
    Cell(network, "edge", "energy", level) for network in ("resnet8", "fashion") for level in UNIFORM_LEVELS
)
COMPOSABLE = tuple(Cell(network, "bitfusion", metric, "30") for network in ("resnet8", "fashion") for metric in METRICS)
"""Hardware of another kind than the grid's two, whose widths are 2, 4 and 8."""

OTHERS = (*COMPOSABLE, Cell("vit", "edge", "energy", "30"))
_HEADLINES: tuple[tuple[str, Metric, str], ...] = (
    ("edge", "energy", "0.52"),
    ("edge", "latency", "0.51"),
    ("cloud", "latency", "0.51"),
    ("cloud", "energy", "0.52"),
)
HEADLINE = tuple(
    Cell(network, target, metric, level) for network in ("resnet8", "fashion") for target, metric, level in _HEADLINES
)
"""HAQ's budgets on its two targets; the best policy of all allocators is trained for long."""

LEAST = tuple(replace(cell, level=LEAST_LEVEL) for cell in GRID if cell.level == "30")
"""Each target's cheapest policy of equal accuracy, to be priced on the other."""

SHARED = tuple(replace(cell, level=SHARED_LEVEL) for cell in LEAST)

CELLS = (*GRID, *UNIFORM, *OTHERS, *HEADLINE, *LEAST, *SHARED)

LONG = tuple(
    cell
    for cell in GRID
    if (cell.target, cell.metric) in (("edge", "energy"), ("cloud", "latency")) and cell.level == "30"
)
"""Where the paper's agent is given ten times the evaluations."""


def chosen(patterns: list[str]) -> tuple[Cell, ...]:
    """Gives the cells whose names fit one of some patterns, in the order of these; or all where there are none."""
    fitting = {cell: None for pattern in patterns or ["*"] for cell in CELLS if fnmatchcase(cell.name, pattern)}
    return tuple(fitting)
