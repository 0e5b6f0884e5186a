"""The memory of a search: every policy is evaluated once, whoever proposes it, and never over the budget."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from haqc.budget import Cost
from haqc.passes.search.problem import Problem
from haqc.policy import Policy
from haqc.result import AllocatorResult, Trial
from haqc.score import Score

Evaluate = Callable[[Sequence[Policy]], Sequence[Score]]
Record = Callable[[Trial], None]
Progress = Callable[[str, int, int, Trial], None]


class Evaluator:
    """Evaluates policies and remembers what came out.

    Args:
        problem: what the policies must satisfy.
        evaluate: gives the scores of distinct policies.
        float_accuracy: what rewards are measured from, in percent.
        record: called once per trial, in the order of proposal.
        seed: the seed that trials carry.
        known: trials of searches under other budgets.
    """

    def __init__(
        self,
        problem: Problem,
        evaluate: Evaluate,
        float_accuracy: float,
        record: Record,
        seed: int,
        known: Sequence[Trial] = (),
    ) -> None:
        self._problem = problem
        self._evaluate = evaluate
        self._float_accuracy = float_accuracy
        self._record = record
        self._seed = seed
        self._known = {trial.policy.key: trial for trial in known}
        self._within = {key: trial for key, trial in self._known.items() if problem.budget.allows(trial.cost)}

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Every trial within the budget so far, in the order of proposal."""
        return tuple(self._within.values())

    @property
    def lessons(self) -> tuple[Trial, ...]:
        """Every trial so far, those of other budgets too: what a policy scored tells something about all."""
        return tuple(self._known.values())

    def trials_of(self, policies: Sequence[Policy], allocator: str) -> list[Trial]:
        """Gives one trial per policy; those that are not known yet are evaluated in one call."""
        new = {policy.key: policy for policy in policies if policy.key not in self._known}
        costs = [self._checked_cost(policy) for policy in new.values()]
        scores = self._evaluate(list(new.values())) if new else ()
        for policy, cost, score in zip(new.values(), costs, scores, strict=True):
            trial = Trial.of(policy, cost, score, self._float_accuracy, allocator, self._seed)
            self._known[policy.key] = self._within[policy.key] = trial
            self._record(trial)
        return [self._known[policy.key] for policy in policies]

    def best(self, trials: Sequence[Trial]) -> Trial:
        """Gives the trial with the highest merit; of equal ones the least predicted error, then the cheaper.

        On a small search split many policies tie; the budget is met by all, so the safer one is worth more.
        """
        return self.ranked(trials)[0]

    def ranked(self, trials: Sequence[Trial]) -> list[Trial]:
        """Gives trials with the best first."""
        return sorted(trials, key=self._rank)

    def _rank(self, trial: Trial) -> tuple[float, float, float]:
        return -trial.merit, self._problem.error(trial.policy), self._problem.share(trial.cost)

    def _checked_cost(self, policy: Policy) -> Cost:
        cost = self._problem.price(policy)
        assert self._problem.budget.allows(cost), f"policy {policy.key} is over the budget"
        return cost


class OutOfTime(Exception):
    """An allocator's time is up; what it has proposed counts."""


class Account:
    """One allocator's part of a search: its allowance, and what it proposed.

    Args:
        name: the allocator.
        allowance: the most distinct policies it may propose.
        evaluator: the memory that all allocators share.
        progress: called after each batch with name, policies so far, allowance, and its best trial.
        until_s: when its time is up, by the monotonic clock; the first batch of a search is evaluated all the same.
    """

    def __init__(
        self, name: str, allowance: int, evaluator: Evaluator, progress: Progress, until_s: float = math.inf
    ) -> None:
        self.name = name
        self.allowance = allowance
        self._evaluator = evaluator
        self._progress = progress
        self._until_s = until_s
        self._own: dict[str, Trial] = {}
        self._start_s = time.perf_counter()

    @property
    def remaining(self) -> int:
        """How many more distinct policies it may propose."""
        return self.allowance - len(self._own)

    @property
    def has_time(self) -> bool:
        """Whether its time is not up yet: what is no evaluation may take long as well."""
        return time.monotonic() <= self._until_s

    @property
    def known(self) -> tuple[Trial, ...]:
        """Every trial within the budget so far, whoever proposed it."""
        return self._evaluator.trials

    @property
    def lessons(self) -> tuple[Trial, ...]:
        """Every trial so far, those of other budgets too."""
        return self._evaluator.lessons

    def has_proposed(self, policy: Policy) -> bool:
        """Whether the allocator proposed this very policy before."""
        return policy.key in self._own

    def evaluate(self, policies: Sequence[Policy]) -> list[Trial]:
        """Gives one trial per policy; what the allocator proposed before costs it nothing.

        Raises:
            ValueError: the policies are more than the allowance leaves.
            OutOfTime: its time is up.
        """
        if self._evaluator.trials and not self.has_time:
            raise OutOfTime
        new = {policy.key for policy in policies} - self._own.keys()
        if len(new) > self.remaining:
            raise ValueError(f"'{self.name}' proposes {len(new)} policies where {self.remaining} are left")
        trials = self._evaluator.trials_of(policies, self.name)
        self._own |= {trial.policy.key: trial for trial in trials}
        best = self._evaluator.best(list(self._own.values()))
        self._progress(self.name, len(self._own), self.allowance, best)
        return trials

    def evaluate_all(self, policies: Sequence[Policy], batch: int) -> list[Trial]:
        """Evaluates policies, so many at a time; raises like :meth:`evaluate`."""
        starts = range(0, len(policies), batch)
        return [trial for start in starts for trial in self.evaluate(policies[start : start + batch])]

    def close(self) -> AllocatorResult:
        """Gives the allocator's row of the table."""
        best = self._evaluator.best(list(self._own.values())) if self._own else None
        return AllocatorResult(self.name, best, len(self._own), time.perf_counter() - self._start_s)
