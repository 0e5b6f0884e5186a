"""Several budgets of one metric, for the front of accuracy over cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

from haqc.budget import Metric
from haqc.errors import BudgetError


@dataclass(frozen=True, slots=True)
class Sweep:
    """The budgets whose best policies make a front.

    Attributes:
        metric: the cost that is budgeted.
        points: budgets, evenly spaced from the least that can be reached to 8/8.
        at: the budgets themselves, as shares of what 8/8 costs; with any, ``points`` counts for nothing.

    Raises:
        BudgetError: there are too few points, or one is no share.
    """

    metric: Metric
    points: int = 8
    at: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.points < 2:
            raise BudgetError(f"--points {self.points} makes no front; give 2 or more, or a budget to 'haqc compile'")
        wrong = next((share for share in self.at if not 0 < share <= 1), None)
        if wrong is not None:
            raise BudgetError(f"--at {wrong:g} is no share of what 8/8 costs; give a number in (0, 1], such as 0.5")

    def shares(self, floor: float) -> tuple[float, ...]:
        """Gives the budgets, ascending and distinct; those that are spaced evenly have two decimals.

        Args:
            floor: the least that can be reached, as a share of what 8/8 costs.

        >>> Sweep("energy", 4).shares(0.1825)
        (0.19, 0.46, 0.73, 1.0)
        """
        if self.at:
            return tuple(sorted(set(self.at)))
        low = min(1.0, math.ceil(round(100 * floor, 6)) / 100)
        spaced = (low + (1 - low) * place / (self.points - 1) for place in range(self.points))
        return tuple(sorted({round(share, 2) for share in spaced}))

    def name(self, share: float) -> str:
        """Gives the name of a budget's folder.

        >>> Sweep("size").name(0.5), Sweep("size").name(0.125)
        ('size-0.50', 'size-0.125')
        """
        return f"{self.metric}-{share:.2f}" if round(share, 2) == share else f"{self.metric}-{share:.12g}"
