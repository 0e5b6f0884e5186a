"""``--minimise METRIC --max-drop P``: the smallest cost that keeps the quality, by searches under several budgets."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from haqc.budget import Demand, Goal
from haqc.errors import InfeasibleBudget, Interrupted
from haqc.passes.search import Attempt, cheapest_kept, minimise
from haqc.passes.search.minimise import STEPS
from haqc.problem import Problem
from haqc.result import Minimised, SearchResult, Step, Trial
from haqc.searcher import Searcher
from haqc.winner import Winner

FINALISTS = 2
"""Trials of each budget that are scored again after a longer fine-tune: there are several budgets."""


def least_cost(searcher: Searcher, goal: Goal) -> Winner:
    """Searches for the policy that costs least of those that stay within some points of the float reference.

    What counts is the quality on the search split of the network that would be emitted. The float reference is the
    better of the original network and the one that was fine-tuned by the winner's recipe.

    Args:
        searcher: what the searches share.
        goal: what is made small, and the points that may be lost.

    Raises:
        InfeasibleBudget: no policy that was found stays within them; the message names the least drop.
        Interrupted: Ctrl-C came before one was found.
    """
    problem, samples, searcher = searcher.case.problem, searcher.case.samples, replace(searcher, budgets=STEPS)
    judge = samples.search
    _, tuned_float = searcher.tune([])
    reference = max(judge.float_quality, -math.inf if tuned_float is None else tuned_float.accuracy)
    floor, dearest = problem.range_of(goal.metric)
    search = Attempts(searcher, goal, reference)
    attempts = minimise(floor, dearest, goal.max_drop, search)
    tried = [each for each in attempts if each.found is not None or not each.ends]
    steps = tuple(Step(each.fraction, each.cost, each.drop, each.drop <= goal.max_drop) for each in tried)
    minimised = Minimised(goal, reference, steps)
    kept, is_ended = cheapest_kept(attempts, goal.max_drop), attempts[-1].ends
    if kept is None or kept.found is None:
        if is_ended:
            raise Interrupted("interrupted before any policy kept the quality; add --resume to go on where it was")
        raise _lost(minimised, judge.metric.name, is_made_up=samples.dataset.synthetic)
    trials = tuple(search.known.values())
    found = replace(kept.found.found, minimised=minimised, trials=trials, interrupted=is_ended)
    return replace(kept.found, found=found)


@dataclass(frozen=True)
class Attempts:
    """Searches under budgets of one metric; each knows the trials of those before it.

    Attributes:
        searcher: what they share.
        goal: the metric that is budgeted, and the points that may be lost.
        reference: quality that they are lost from.
        known: the trials so far, by the keys of their policies.
    """

    searcher: Searcher
    goal: Goal
    reference: float
    known: dict[str, Trial] = field(default_factory=dict)

    def __call__(self, fraction: float) -> Attempt[Winner]:
        """Searches within a share of what 8/8 costs, and fine-tunes what may keep the quality."""
        problem = self.searcher.case.problem.within(Demand.of_share(self.goal.metric, fraction))
        try:
            found = self.searcher.search(problem, tuple(self.known.values()))
        except InfeasibleBudget:  # with the other budgets: a cheaper one of this metric is out of reach as well
            return Attempt(fraction)
        except Interrupted:  # what was found within other budgets may have kept the quality
            return Attempt(fraction, ends=True)
        self.known.update((trial.policy.key, trial) for trial in found.trials)
        believed = self._cheapest_believed(found)
        if believed is not None:
            attempt = self._attempt(problem, fraction, believed)
            if attempt.drop <= self.goal.max_drop:
                return attempt
        return self._attempt(problem, fraction, self.searcher.rescore(found, FINALISTS))

    def _cheapest_believed(self, found: SearchResult) -> SearchResult | None:
        """Gives a search with the cheapest trial as its best that keeps the quality by its score alone."""
        kept = [trial for trial in found.trials if self.reference - trial.accuracy <= self.goal.max_drop]
        if not kept:
            return None
        return replace(found, best=min(kept, key=lambda trial: (trial.cost.value(self.goal.metric), -trial.accuracy)))

    def _attempt(self, problem: Problem, fraction: float, found: SearchResult) -> Attempt[Winner]:
        winner = self.searcher.finish(problem, found)
        cost = found.best.cost.value(self.goal.metric) / problem.baseline.value(self.goal.metric)
        return Attempt(fraction, cost, self.reference - winner.quality, winner, found.interrupted)


def _lost(minimised: Minimised, name: str, *, is_made_up: bool) -> InfeasibleBudget:
    goal, least = minimised.goal, min(minimised.steps, key=lambda step: step.drop)
    if math.isinf(least.drop):
        return InfeasibleBudget(
            f"no policy holds the other budgets at any {goal.metric}; allow more, or free pinned layers and narrower "
            "widths (--no-default-pins, --min-bits 1)"
        )
    enough = math.ceil(round(100 * least.drop, 6)) / 100
    better = "give real data, with labels or without (--data)" if is_made_up else "fine-tune longer (--final-finetune)"
    return InfeasibleBudget(
        f"no policy that was found keeps {name} within {goal.max_drop:g} points of the float reference: the least drop "
        f"is {least.drop:.3g} points, at {goal.metric}={least.cost:.4g}; allow --max-drop {enough:g}, search longer "
        f"(--evaluations), or {better}"
    )
