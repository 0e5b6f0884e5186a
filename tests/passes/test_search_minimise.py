"""The smallest cost that keeps the quality: the range of budgets, and searches that share their trials."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from haqc.budget import Budget, Limit
from haqc.ddpg import AgentOptions
from haqc.passes.search import Attempt, SearchOptions, cheapest_kept, minimise, search
from haqc.passes.search.minimise import CLOSE, STEPS
from haqc.policy import Policy
from haqc.result import SearchResult, Trial
from haqc.score import Score
from tests.passes.search_toy import FLOAT_ACCURACY, Toy, price, terms, toy

TINY = AgentOptions(hidden=(16, 16), actor_rate=1e-3, critic_rate=3e-3)
WIDTHS = (2, 4, 8)


def share(problem: Toy, policy: Policy) -> float:
    """A policy's energy, as a share of the widest one's."""
    return price(policy).energy_j / price(problem.space.widest).energy_j


@dataclass
class Shared:
    """Searches of one toy under several budgets, which share their trials."""

    toy: Toy
    known: dict[str, Trial] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def __call__(self, budget: Budget) -> SearchResult:
        found = search(
            self.toy.space,
            budget,
            price,
            terms(self.toy.space),
            self._evaluate,
            baseline=price(self.toy.space.widest),
            float_accuracy=FLOAT_ACCURACY,
            sensitivity=self.toy.sensitivity,
            options=SearchOptions(evaluations=6, allocators=("integer", "ddpg"), networks=TINY),
            record=lambda trial: self.known.setdefault(trial.policy.key, trial),
            progress=lambda *row: None,
            known=tuple(self.known.values()),
        )
        assert all(budget.allows(trial.cost) for trial in found.trials)
        return found

    def attempt(self, fraction: float) -> Attempt[SearchResult]:
        """Searches within a share of the widest policy's energy."""
        limit = Limit("energy", fraction * price(self.toy.space.widest).energy_j, f"energy={fraction}")
        found = self(Budget((limit,)))
        return Attempt(fraction, share(self.toy, found.best.policy), FLOAT_ACCURACY - found.best.accuracy, found)

    def _evaluate(self, policies: Sequence[Policy]) -> list[Score]:
        self.asked += [policy.key for policy in policies]
        return self.toy.evaluate(policies)


def least_share(problem: Toy, max_drop: float) -> float:
    """The least energy of all policies that lose no more, by trying every one; infinite where none is as good."""
    free = problem.space.free
    every = itertools.product(*(choice.widths for choice in free))
    policies = (problem.space.policy({c.operand.tensor: w for c, w in zip(free, ws, strict=True)}) for ws in every)
    kept = (policy for policy in policies if FLOAT_ACCURACY - problem.accuracy(policy) <= max_drop)
    return min((share(problem, policy) for policy in kept), default=math.inf)


@pytest.mark.slow
@pytest.mark.parametrize(("drop", "interaction"), [(2.0, 0.0), (1.0, 0.5)])
def test_comes_close_to_the_least_cost_of_all_policies(drop: float, interaction: float) -> None:
    small = toy(5, seed=11, weights=WIDTHS, activations=WIDTHS, interaction=interaction)
    floor, shared = share(small, small.space.narrowest), Shared(small)
    attempts = minimise(floor, 1.0, drop, shared.attempt)
    best = cheapest_kept(attempts, drop)
    assert best is not None and best.found is not None
    assert FLOAT_ACCURACY - best.found.best.accuracy <= drop
    least = least_share(small, drop)
    assert floor + 0.03 < least < 0.9  # else it would be no problem
    # A budget that was searched in vain lies below, by no more than the range that is not worth another.
    assert least <= best.cost <= least + max(CLOSE, (1 - floor) / 2 ** (STEPS - 1))
    assert len(shared.asked) == len(set(shared.asked)) == len(shared.known)


def answering(kept_from: float, slack: float = 0.0) -> Callable[[float], Attempt[float]]:
    """A search that keeps the quality from some cost upwards, and finds what costs a little less than is allowed."""

    def attempt(fraction: float) -> Attempt[float]:
        cost = round(max(fraction - slack, kept_from), 4) if fraction >= kept_from else fraction
        return Attempt(fraction, cost, 0.2 if fraction >= kept_from else 3.0, cost)

    return attempt


def test_halves_the_range_until_it_is_narrow() -> None:
    attempts = minimise(0.2, 1.0, 0.5, answering(0.37))
    assert [attempt.fraction for attempt in attempts] == [0.6, 0.4, 0.3, 0.35, 0.375, 0.3625]
    best = cheapest_kept(attempts, 0.5)
    assert best is not None and best.cost == 0.375


def test_what_costs_less_than_it_may_ends_the_range_there() -> None:
    attempts = minimise(0.2, 1.0, 0.5, answering(0.37, slack=0.125))
    assert [attempt.cost for attempt in attempts] == [0.475, 0.3375, 0.37, 0.3538, 0.3619]
    assert [attempt.fraction for attempt in attempts] == [0.6, 0.3375, 0.4062, 0.3538, 0.3619]


def test_the_dearest_is_tried_last_where_nothing_is_kept() -> None:
    attempts = minimise(0.2, 1.0, 0.5, answering(2.0))
    assert attempts[-1].fraction == 1.0
    assert len(attempts) == STEPS + 1
    assert cheapest_kept(attempts, 0.5) is None


def test_ends_when_the_user_wants_no_more() -> None:
    attempts = minimise(0.2, 1.0, 0.5, lambda fraction: Attempt(fraction, 0.5, 2.0, 1.0, ends=True))
    assert len(attempts) == 1


def test_one_policy_is_tried_once() -> None:
    assert [attempt.fraction for attempt in minimise(1.0, 1.0, 0.5, answering(0.9))] == [1.0]
