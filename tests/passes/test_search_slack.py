"""What is emitted leaves nothing of the budget that a single useful widening could use."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haqc.budget import METRICS, Budget, Cost, Limit, Metric
from haqc.ddpg import AgentOptions
from haqc.passes.search import SearchOptions, search
from haqc.passes.search.feasibility import cheapest
from haqc.passes.search.problem import Problem
from haqc.policy import Policy
from haqc.request import ALLOCATORS, USUAL, AllocatorName
from haqc.result import SearchResult, Trial
from haqc.score import Score
from tests.passes.search_toy import FLOAT_ACCURACY, Toy, price, same, terms, toy
from tests.passes.test_search_pairs import FEW, unpacking

TINY = AgentOptions(hidden=(16, 16), actor_rate=1e-3, critic_rate=3e-3, warm_up=0.0, updates_per_step=0.25)


class Ragged(Toy):
    """A toy in which another bit may do harm, as in what is measured on a few samples."""

    def lost(self, tensor: str, width: int) -> float:
        """Points that one operand alone costs, out of step by up to a half."""
        noise = zlib.crc32(f"{tensor}@{width}".encode()) / 2**32
        return super().lost(tensor, width) * (0.5 + noise)


def run(
    game: Toy,
    budget: Budget,
    pricing: Callable[[Policy], Cost],
    *allocators: AllocatorName,
    evaluate: Callable[[Sequence[Policy]], list[float]] | None = None,
    evaluations: int = 6,
    seconds: float = math.inf,
) -> SearchResult:
    return search(
        game.space,
        budget,
        pricing,
        terms(game.space, pricing),
        evaluate or game.evaluate,
        baseline=pricing(game.space.widest),
        float_accuracy=FLOAT_ACCURACY,
        sensitivity=game.sensitivity,
        options=SearchOptions(evaluations, networks=TINY, seconds=seconds, allocators=allocators),
        record=lambda trial: None,
        progress=lambda *_: None,
    )


def useful(problem: Problem, trial: Trial) -> list[str]:
    """The operands that could have their next width within the budget, with less error in all."""
    widths = problem.settled(trial.policy)
    moves = [problem.widening(widths, trial.cost, choice) for choice in problem.space.free]
    errors = problem.error(trial.policy)
    return [
        move.tensor for move in moves if move and problem.error(problem.space.policy(widths | move.changes)) < errors
    ]


GAMES = st.tuples(st.integers(3, 6), st.integers(0, 99), st.sampled_from([None, FEW]), st.booleans())
SHARES = st.dictionaries(st.sampled_from(METRICS), st.floats(0.0, 0.9), min_size=1, max_size=3)


def within(game: Toy, shares: dict[Metric, float], pricing: Callable[[Policy], Cost]) -> Budget:
    """Limits so far from the cost of one policy, which is the cheapest by the first of them, to that of the widest."""
    first = next(iter(shares))
    low = pricing(cheapest(game.space, pricing, lambda cost: cost.value(first)))
    high = pricing(game.space.widest)
    values = {m: min(low.value(m), high.value(m)) + s * abs(high.value(m) - low.value(m)) for m, s in shares.items()}
    least = {m: max(value, low.value(m)) for m, value in values.items()}
    return Budget(tuple(Limit(metric, value, metric) for metric, value in least.items()))


@pytest.mark.parametrize(
    "allocator",
    [pytest.param(name, marks=pytest.mark.slow if name == "ddpg" else ()) for name in ALLOCATORS if name != "haq"],
)
@settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(GAMES, SHARES, st.sampled_from([price, unpacking]))
def test_the_winner_leaves_nothing_that_one_useful_widening_could_use(
    allocator: AllocatorName,
    made: tuple[int, int, frozenset[tuple[int, int]] | None, bool],
    shares: dict[Metric, float],
    pricing: Callable[[Policy], Cost],
) -> None:
    count, seed, pairs, is_ragged = made
    widths = (2, 4, 8) if pairs else tuple(range(2, 9))
    game = toy(count, seed, weights=widths, activations=widths, pairs=pairs)
    game = Ragged(game.space, game.error) if is_ragged else game
    budget = within(game, shares, pricing)
    result = run(game, budget, pricing, allocator)
    assert all(budget.allows(trial.cost) for trial in result.trials)
    assert useful(Problem(game.space, budget, pricing, game.sensitivity), result.best) == []


def test_uniform_widths_are_widened_in_a_row_of_their_own() -> None:
    game = toy(6, 1)
    budget = within(game, {"energy": 0.5}, price)
    problem = Problem(game.space, budget, price, game.sensitivity)
    result = run(game, budget, price, "uniform")
    (uniform, slack) = result.allocators
    assert (uniform.name, slack.name, result.best.allocator) == ("uniform", "slack", "slack")
    assert uniform.best is not None
    assert useful(problem, uniform.best)
    assert slack.best is result.best
    assert slack.evaluations == sum(trial.allocator == "slack" for trial in result.trials) <= 6


def test_a_search_whose_time_is_up_has_kept_some_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    game, clock = toy(6, 1), [1000.0]

    def evaluate(policies: Sequence[Policy]) -> list[Score]:
        clock[0] += len(policies)
        return game.evaluate(policies)

    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    budget = within(game, {"energy": 0.5}, price)
    result = run(game, budget, price, "uniform", "haq", evaluate=evaluate, evaluations=80, seconds=50.0)
    assert [row.name for row in result.allocators] == ["uniform", "haq", "slack"]
    assert 40 < result.allocators[1].evaluations + result.allocators[0].evaluations < 80
    assert result.allocators[2].evaluations > 0


def test_a_budget_that_no_uniform_widths_hold_is_met_all_the_same() -> None:
    # With 8 bits everywhere the size is over, with 2 bits the latency: only widths that differ hold both.
    game = toy(6, 1, weights=(2, 8), activations=(8,))
    wide = [choice.operand.tensor for choice in game.space.free][:2]
    mixed = unpacking(
        game.space.policy({c.operand.tensor: 8 if c.operand.tensor in wide else 2 for c in game.space.free})
    )
    limits = Limit("latency", mixed.latency_s, "latency"), Limit("size", mixed.weight_bytes, "size")
    assert not any(Budget(limits).allows(unpacking(game.space.uniform(bits, 8))) for bits in (2, 8))
    result = run(game, Budget(limits), unpacking, "uniform")
    assert not result.interrupted
    assert Budget(limits).allows(result.best.cost)
    assert [(row.name, row.evaluations) for row in result.allocators] == [("uniform", 0), ("slack", 1)]


def test_an_interrupt_while_slack_is_looked_for_keeps_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> list[Policy]:
        raise KeyboardInterrupt

    game = toy(6, 1)
    budget = within(game, {"energy": 0.5}, price)
    undisturbed = run(game, budget, price, "uniform")
    monkeypatch.setattr("haqc.passes.search.unspent", interrupted)
    result = run(game, budget, price, "uniform")
    assert result.interrupted
    assert result.allocators[0].best == result.best == undisturbed.allocators[0].best


def test_nothing_is_added_where_the_best_leave_nothing() -> None:
    game = toy(6, 1)
    result = run(game, within(game, {"energy": 0.5}, price), price, "greedy")
    assert [row.name for row in result.allocators] == ["greedy"]


def test_what_haqs_agent_leaves_is_left() -> None:
    game = toy(6, 1)
    result = run(game, within(game, {"energy": 0.5}, price), price, "haq")
    assert [row.name for row in result.allocators] == ["haq"]


def test_a_wider_policy_that_scores_worse_is_not_the_better_one() -> None:
    game = toy(6, 1)

    plain = {game.space.uniform(w, a).key for w in range(2, 9) for a in range(2, 9)}

    def evaluate(policies: Sequence[Policy]) -> list[Score]:
        return [same(game.accuracy(policy) - 50.0 * (policy.key not in plain)) for policy in policies]

    result = run(game, within(game, {"energy": 0.5}, price), price, "uniform", evaluate=evaluate)
    assert any(trial.allocator == "slack" for trial in result.trials)
    assert result.best.allocator == "uniform"


def test_the_usual_allocators_together_leave_nothing_either() -> None:
    game = toy(7, 3)
    budget = within(game, {"latency": 0.3, "memory": 0.5}, price)
    result = run(game, budget, price, *USUAL)
    assert useful(Problem(game.space, budget, price, game.sensitivity), result.best) == []
