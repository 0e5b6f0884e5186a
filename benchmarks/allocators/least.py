"""The least cost that keeps the accuracy, by searches under several budgets, as ``haqc compile --minimise`` has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.allocators.cells import Metric
from benchmarks.allocators.effort import MAX_DROP
from benchmarks.allocators.scores import Scores
from benchmarks.allocators.searching import Stopwatch, row, within
from haqc.budget import Demand
from haqc.passes.search import Attempt, SearchOptions, cheapest_kept, minimise
from haqc.passes.search.minimise import STEPS
from haqc.policy import Policy
from haqc.problem import Problem
from haqc.result import Trial

NAME = "minimise"
"""Stands in the place of an allocator: all that were asked have a part in it."""


@dataclass
class Halving:
    """Searches under one budget after the other; each knows the trials of those before it.

    Attributes:
        problem: the space and the prices, under no budget that binds.
        metric: what is made small.
        scores: gives what policies score.
        sensitivity: the output error of each operand alone at each width.
        options: allowances of one budget, and the seed.
        reference: accuracy that is lost from, in percent of the search split.
        watch: counts the seconds that allocators took themselves.
        known: the trials so far, by the keys of their policies.
    """

    problem: Problem
    metric: Metric
    scores: Scores
    sensitivity: dict[tuple[str, int], float]
    options: SearchOptions
    reference: float
    watch: Stopwatch
    known: dict[str, Trial] = field(default_factory=dict)

    def __call__(self, fraction: float) -> Attempt[Trial]:
        """Searches within a share of 8/8's cost; gives the cheapest that keeps the accuracy, or the most accurate."""
        problem, known = self.problem.within(Demand.of_share(self.metric, fraction)), tuple(self.known.values())
        found = within(problem, self.scores, self.sensitivity, self.reference, self.options, self.watch, known)
        self.known.update((trial.policy.key, trial) for trial in found.trials)
        kept = [trial for trial in found.trials if self._drop(trial) <= MAX_DROP]
        best = min(kept, key=self._share) if kept else max(found.trials, key=lambda trial: trial.accuracy)
        return Attempt(fraction, self._share(best), self._drop(best), best)

    def _drop(self, trial: Trial) -> float:
        return self.reference - trial.accuracy

    def _share(self, trial: Trial) -> float:
        return trial.cost.value(self.metric) / self.problem.baseline.value(self.metric)


def cheapest(
    problem: Problem,
    metric: Metric,
    scores: Scores,
    sensitivity: dict[tuple[str, int], float],
    options: SearchOptions,
    earlier: Iterable[Policy] = (),
) -> dict[str, Any]:
    """Gives the content of a cell's file: the cheapest policy that was found of those that keep the accuracy.

    Args:
        problem: the space and the prices.
        metric: what is made small.
        scores: gives what policies score.
        sensitivity: the output error of each operand alone at each width.
        options: allowances of all budgets together, and the seed.
        earlier: what was tried for other targets; it counts as no evaluation.
    """
    (reference,) = scores([problem.space.uniform(8, 8)])
    each = replace(options, evaluations=-(-options.evaluations // STEPS))
    watch, known = Stopwatch(scores), _known(problem, scores, earlier, reference.accuracy, options.seed)
    halving = Halving(problem, metric, scores, sensitivity, each, reference.accuracy, watch, dict(known))
    least = cheapest_kept(minimise(*problem.range_of(metric), MAX_DROP, halving), MAX_DROP)
    content = {"budget": f"{MAX_DROP:g} point lost", "seed": options.seed}
    if least is None or least.found is None:
        return {**content, "infeasible": "nothing that was tried keeps the accuracy"}
    own = [list(trial.policy.widths.values()) for key, trial in halving.known.items() if key not in known]
    found = row(least.found, least.cost, len(own), sum(watch.own_s.values()))
    return {**content, "allocators": {NAME: found}, "tried": own}


def tried(problem: Problem, content: Mapping[str, Any]) -> list[Policy]:
    """Gives the policies that a cell's file says were tried."""
    tensors = [choice.operand.tensor for choice in problem.space.choices]
    return [Policy(problem.graph, dict(zip(tensors, widths, strict=True))) for widths in content.get("tried", ())]


def _known(
    problem: Problem, scores: Scores, policies: Iterable[Policy], reference: float, seed: int
) -> dict[str, Trial]:
    distinct = {policy.key: policy for policy in policies}
    found = zip(distinct.items(), scores(list(distinct.values())), strict=True)
    price = problem.table.price
    return {key: Trial.of(each, price(each), score, reference, "earlier", seed) for (key, each), score in found}
