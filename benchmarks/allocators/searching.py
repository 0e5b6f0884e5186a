"""One search: what every allocator found by itself, and what that took."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.allocators.scores import Scores
from haqc.errors import InfeasibleBudget
from haqc.passes.search import SearchOptions, search
from haqc.problem import Problem
from haqc.result import SearchResult, Trial


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
    watch, limit = Stopwatch(scores), problem.budget.limits[0]
    content = {"budget": limit.text, "seed": options.seed}
    try:
        found = within(problem, scores, sensitivity, float_accuracy, options, watch)
    except InfeasibleBudget as error:
        return {**content, "infeasible": str(error)}
    full = problem.baseline.value(limit.metric)
    rows = {
        result.name: row(
            result.best, result.best.cost.value(limit.metric) / full, result.evaluations, watch.own_s[result.name]
        )
        for result in found.allocators
        if result.best is not None and result.name in options.allocators  # what spends slack afterwards is none of them
    }
    return {**content, "allocators": rows}


def within(
    problem: Problem,
    scores: Scores,
    sensitivity: dict[tuple[str, int], float],
    float_accuracy: float,
    options: SearchOptions,
    watch: Stopwatch,
    known: Sequence[Trial] = (),
) -> SearchResult:
    """Searches within the budget of a problem, see :func:`haqc.passes.search.search`."""
    return search(
        problem.space,
        problem.budget,
        problem.table.price,
        problem.table.terms(problem.space),
        scores,
        baseline=problem.baseline,
        float_accuracy=float_accuracy,
        sensitivity=sensitivity,
        options=options,
        record=lambda trial: None,
        progress=watch,
        known=known,
    )


def row(best: Trial, share: float, evaluations: int, own_s: float) -> dict[str, Any]:
    """Gives what a cell's file says of a policy that was found."""
    return {
        "key": best.policy.key,
        "widths": dict(best.policy.widths),
        "score": best.merit,
        "share": share,
        "evaluations": evaluations,
        "own_s": round(own_s, 3),
    }
