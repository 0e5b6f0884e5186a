"""Spends what the best policies leave of the budget, whoever proposed them."""

from __future__ import annotations

from haqc.passes.search.evaluator import Evaluator
from haqc.passes.search.greedy import Descent
from haqc.passes.search.problem import Problem, Widths
from haqc.policy import Policy

SLACK = "slack"
"""The name under which they stand in the log and in the table: no allocator made them alone."""

TIME_SHARE = 0.1
"""Share of the time of a search that is kept for them; allocators that end early leave them more."""

CONTENDERS = 6
"""Trials that are looked at, the best ones."""


def unspent(problem: Problem, evaluator: Evaluator) -> list[Policy]:
    """Gives the wider policies that the best trials leave room for, without those that are known.

    They are to be evaluated like any other: one that scores worse for all its width is not the better one. What HAQ's
    own agent leaves is left, as in the paper. Where nobody found anything within the budget, as may be where only
    widths that differ hold it, the cheapest policy is widened.
    """
    if not evaluator.trials:
        return [filled(problem, problem.within_budget())]
    ranked = [trial for trial in evaluator.ranked(evaluator.trials)[:CONTENDERS] if trial.allocator != "haq"]
    wider = {policy.key: policy for policy in (filled(problem, problem.settled(trial.policy)) for trial in ranked)}
    known = {trial.policy.key for trial in evaluator.trials}
    return [policy for key, policy in wider.items() if key not in known]


def filled(problem: Problem, widths: Widths) -> Policy:
    """Widens a policy where the most error is saved for a share of the budget, until none that saves any fits."""
    return problem.space.policy(Descent(problem, problem.sensitivity, widths).run())
