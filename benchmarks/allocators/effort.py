"""How much every allocator may do, and how what it found is trained."""

from __future__ import annotations

from benchmarks.allocators.cells import Cell
from haqc.request import AllocatorName

EVALUATIONS = 60
"""Policies that each allocator may have scored."""

LONG_EVALUATIONS = 600
"""Policies that the paper's agent may have scored where it is given time."""

IMAGES = 2_000
"""Images of the search split that score a policy, after the short fine-tune of a compile: as many as in a compile."""

TRAINED_ON = 1_000
"""Samples of that fine-tune; what an allocator's best policy is after it is what is measured."""

TRAINED_LONGER_ON = 6_000
"""The same where the budget is what a uniform policy costs: its loss there is what a fine-tune leaves of it, and after
1,000 samples it is not yet known which policies are left with how much."""

TRAINED_LONG_ON = 300_000
"""The same for the one policy that is best at a headline budget, by the recipe of a compile's winner."""

MAX_DROP = 1.0
"""Points of the search split that the cheapest policy may lose, against 8/8 after the same fine-tune."""

REPORTED = 5_000
"""Images of the reported split that measure it."""

GUIDED: tuple[AllocatorName, ...] = ("uniform", "greedy", "integer", "ddpg")
"""Who proposes by sensitivities, in this order: the agent knows what the first three found."""

BLIND: tuple[AllocatorName, ...] = ("random", "evolution")
"""Who proposes by scores alone; the others know nothing of what these found."""

ALLOCATORS = (*GUIDED, *BLIND)


def groups(cell: Cell) -> tuple[tuple[AllocatorName, ...], ...]:
    """Gives who proposes in a cell, one search for each group: where fine-tunes are long, only what may win."""
    return (GUIDED,) if cell.is_uniform or cell.is_headline or cell.is_least else (GUIDED, BLIND)


def trained_on(cell: Cell) -> int:
    """Gives the samples of the fine-tune in a cell."""
    if cell.is_headline:
        return TRAINED_LONG_ON
    return TRAINED_LONGER_ON if cell.is_uniform else TRAINED_ON
