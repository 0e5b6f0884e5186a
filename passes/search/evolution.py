"""The evolutionary allocator: good policies are crossed and changed, and the better ones go on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from haqc.passes.search.evaluator import Account
from haqc.passes.search.problem import Problem, Widths
from haqc.passes.search.sampling import distinct, drawn
from haqc.passes.search.walk import Wall
from haqc.policy import Policy
from haqc.result import Trial

FOUNDERS = 12
"""Policies drawn at random before anything is crossed, a quarter of the allowance at most."""

PARENTS = 6
"""The best so far, of which two are drawn for each child."""

CHANGED = 0.1
"""Share of a child's widths that are drawn anew."""

TRIES = 8
"""Children at most for each policy that is wanted."""


def propose_evolution(problem: Problem, account: Account, batch: int, seed: int) -> None:
    """Evaluates children of the best policies it has proposed itself, filled up to the budget."""
    generation = Generation(problem, seed)
    trials: list[Trial] = []
    founders = max(1, min(FOUNDERS, account.allowance // 4))
    while account.remaining:
        count = min(batch, account.remaining)
        made = generation.founders() if len(trials) < founders else generation.children(trials)
        policies = distinct(itertools.islice(made, TRIES * count), count, account.has_proposed)
        if not policies:
            return
        trials += account.evaluate(policies)


class Generation:
    """Makes policies, by chance or from others.

    Args:
        problem: the problem.
        seed: of the draws.
    """

    def __init__(self, problem: Problem, seed: int) -> None:
        self._problem = problem
        self._draw = np.random.default_rng([seed, 3])
        self._enter = Wall(problem, spend_slack=True)

    def founders(self) -> Iterator[Policy]:
        """Yields policies drawn at random."""
        while True:
            yield self._inside(drawn(self._problem, self._draw))

    def children(self, trials: list[Trial]) -> Iterator[Policy]:
        """Yields children of two of the best trials each."""
        parents = sorted(trials, key=lambda trial: -trial.merit)[:PARENTS]
        while True:
            one, other = self._draw.choice(len(parents), size=2)
            yield self._inside(self._crossed(parents[one].policy, parents[other].policy))

    def _crossed(self, one: Policy, other: Policy) -> Widths:
        """Takes every width from one of two parents, and some of neither."""
        widths = drawn(self._problem, self._draw)
        for tensor in widths:
            parent = one if self._draw.random() < 0.5 else other
            if self._draw.random() >= CHANGED:
                widths[tensor] = parent.widths[tensor]
        return widths

    def _inside(self, widths: Widths) -> Policy:
        return self._problem.space.policy(self._enter(widths))
