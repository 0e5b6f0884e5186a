"""A point of a front: a budget, what was found within it, and its row in ``front.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from haqc.problem import Problem
from haqc.result import SearchResult, Trial

_ACCURACY = ("emitted", "standard_error", "difference", "paired_standard_error")
_EMITTED = ("folder", "cost", "cost_share", "accuracy", "allocator", "key", "bits")


@dataclass(frozen=True)
class Point:
    """A budget of a sweep.

    Attributes:
        share: the budget, as a share of what 8/8 costs.
        name: of its folder.
        problem: what is searched, within this budget and those that hold at every point.
        found: what was found; ``None`` where there is nothing.
        reason: why there is nothing, as a sentence.
    """

    share: float
    name: str
    problem: Problem
    found: SearchResult | None = None
    reason: str = ""

    def row(self) -> dict[str, Any]:
        """Gives the row of a point at which nothing was emitted."""
        return self._head | {"feasible": False, **dict.fromkeys(_EMITTED), "reason": self.reason}

    def emitted_row(self, best: Trial, report: Mapping[str, Any]) -> dict[str, Any]:
        """Gives the row of a point at which something was emitted.

        Args:
            best: what was emitted.
            report: the report of it.
        """
        accuracy = report["accuracy"]
        metric = self.problem.budget.limits[-1].metric
        return self._head | {
            "feasible": True,
            "folder": self.name,
            "cost": best.cost.to_json(),
            "cost_share": best.cost.value(metric) / self.problem.baseline.value(metric),
            "accuracy": {name: accuracy[name] for name in _ACCURACY} | {"search": accuracy["search"]["mirror"]},
            "allocator": best.allocator,
            "key": best.policy.key,
            "bits": [f"{layer['weight_bits']}/{layer['activation_bits']}" for layer in report["layers"]],
            "reason": "",
        }

    @property
    def text(self) -> str:
        """The budget in words."""
        return self.problem.budget.limits[-1].text

    @property
    def _head(self) -> dict[str, Any]:
        return {"budget": self.text, "share": self.share}
