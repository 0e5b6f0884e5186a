"""How much every allocator may do, and how what it found is trained: settled before any result was seen."""

from __future__ import annotations

from benchmarks.allocators.cells import Cell
from haqc.request import AllocatorName

EVALUATIONS = 60
"""Policies that each allocator may have scored."""

LONG_EVALUATIONS = 600
"""Policies that the paper's agent may have scored where it is given time."""

IMAGES = 500
"""Images of the search split that score a policy; nothing is trained for a score."""

TRAINED_ON = 1_000
"""Samples of the fine-tune that each allocator's best policy gets before it is measured."""

TRAINED_LONGER_ON = 6_000
"""The same where the budget is what a uniform policy costs: its loss there is what a fine-tune leaves of it."""

TRAINED_LONG_ON = 60_000
"""The same for the one policy that is best at a headline budget, by the recipe of a compile's winner."""

REPORTED = 5_000
"""Images of the reported split that measure it."""

ALLOCATORS: tuple[AllocatorName, ...] = ("uniform", "greedy", "integer", "ddpg", "random", "evolution")
"""Who proposes, in this order: the agent knows what the first three found, and nothing of the others."""

CHEAP: tuple[AllocatorName, ...] = ("uniform", "greedy", "integer", "ddpg")
"""Who proposes where fine-tunes are long."""


def allocators(cell: Cell) -> tuple[AllocatorName, ...]:
    """Gives who proposes in a cell."""
    return CHEAP if cell.is_uniform or cell.is_headline else ALLOCATORS


def trained_on(cell: Cell) -> int:
    """Gives the samples of the fine-tune in a cell."""
    if cell.is_headline:
        return TRAINED_LONG_ON
    return TRAINED_LONGER_ON if cell.is_uniform else TRAINED_ON
