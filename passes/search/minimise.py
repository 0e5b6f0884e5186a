"""The smallest cost that keeps the quality: the range of budgets is halved, and each half searched within."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Found = TypeVar("Found")

STEPS = 6
"""Budgets that are tried at most, before the dearest where none of them kept the quality."""

CLOSE = 0.01
"""Share of the baseline's cost that is not worth another budget."""

DECIMALS = 4
"""Places of the budgets that are tried, so that each can be written down."""


@dataclass(frozen=True, slots=True)
class Attempt(Generic[Found]):
    """A budget that was tried.

    Attributes:
        fraction: the budget, as a share of the baseline's cost.
        cost: what the best within it costs, as such a share.
        drop: points that its quality lies under the float reference; infinite where nothing is within the budget.
        found: the best; ``None`` where there is none.
        ends: whether it is the last, because the user wants no more.
    """

    fraction: float
    cost: float = math.inf
    drop: float = math.inf
    found: Found | None = None
    ends: bool = False


def minimise(
    floor: float, dearest: float, max_drop: float, attempt: Callable[[float], Attempt[Found]]
) -> tuple[Attempt[Found], ...]:
    """Tries budgets, each in the middle between the dearest that lost too much and the cheapest that did not.

    What is found within a budget may cost less than it allows; then the range ends there. It is halved :data:`STEPS`
    times, or until it is no wider than :data:`CLOSE`. Where nothing kept the quality, the dearest budget is tried last.

    Args:
        floor: the least that any policy costs, as a share of the baseline's cost.
        dearest: the most that a budget need allow.
        max_drop: points that may be lost.
        attempt: searches within a budget.

    Returns:
        All attempts, in their order.
    """
    low, high = floor, dearest
    attempts: list[Attempt[Found]] = []
    while len(attempts) < STEPS and high - low > CLOSE:
        made = attempt(round((low + high) / 2, DECIMALS))
        attempts.append(made)
        if made.ends:
            return tuple(attempts)
        if made.drop <= max_drop:
            high = made.cost
        else:
            low = made.fraction
    if cheapest_kept(attempts, max_drop) is None:
        attempts.append(attempt(dearest))
    return tuple(attempts)


def cheapest_kept(attempts: Sequence[Attempt[Found]], max_drop: float) -> Attempt[Found] | None:
    """Gives the cheapest attempt that loses no more than it may, the first of equal ones."""
    kept = [attempt for attempt in attempts if attempt.drop <= max_drop]
    return min(kept, key=lambda attempt: attempt.cost) if kept else None
