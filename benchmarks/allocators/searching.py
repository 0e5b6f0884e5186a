"""One search: what every allocator found by itself, and what that took."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from benchmarks.allocators.scores import Scores
from haqc.errors import InfeasibleBudget
from haqc.passes.search import SearchOptions, search
from haqc.problem import Problem
from haqc.result import AllocatorResult, Trial


@dataclass
class Stopwatch:
    """Seconds of the processor that allocators took themselves, without those of the scores.

    Attributes:
        scores: counts the latter.
        own_s: seconds by allocator.
    """

    scores: Scores
    own_s: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._mark_s = self._now()

    def __call__(self, allocator: str, evaluated: int, total: int, best: Trial) -> None:
        """Books what has passed on an allocator, after each of its batches."""
        now_s = self._now()
        self.own_s[allocator] = self.own_s.get(allocator, 0.0) + now_s - self._mark_s
        self._mark_s = now_s

    def _now(self) -> float:
        return time.process_time() - sum(self.scores.spent_s)


def searched(
    problem: Problem,
    scores: Scores,
    sensitivity: dict[tuple[str, int], float],
    float_accuracy: float,
    options: SearchOptions,
) -> dict[str, Any]:
    """Searches, and gives the content of the cell's file: each allocator's best own policy, or why there is none."""
    watch, trials = Stopwatch(scores), list[Trial]()
    limit = problem.budget.limits[0]
    content = {"budget": limit.text, "seed": options.seed}
    try:
        found = search(
            problem.space,
            problem.budget,
            problem.table.price,
            problem.table.terms(problem.space),
            scores,
            baseline=problem.baseline,
            float_accuracy=float_accuracy,
            sensitivity=sensitivity,
            options=options,
            record=trials.append,
            progress=watch,
        )
    except InfeasibleBudget as error:
        return {**content, "infeasible": str(error)}
    full = problem.baseline.value(limit.metric)
    rows = {
        result.name: _row(result.best, result, watch.own_s[result.name], full, problem)
        for result in found.allocators
        if result.best is not None and result.name in options.allocators  # what spends slack afterwards is none of them
    }
    return {**content, "allocators": rows}


def _row(best: Trial, result: AllocatorResult, own_s: float, full: float, problem: Problem) -> dict[str, Any]:
    return {
        "key": best.policy.key,
        "widths": dict(best.policy.widths),
        "score": best.merit,
        "share": best.cost.value(problem.budget.limits[0].metric) / full,
        "evaluations": result.evaluations,
        "own_s": round(own_s, 3),
    }
