"""Uniform, greedy and the action wall, each by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haqc.budget import Budget, Cost, Limit
from haqc.passes.search.evaluator import Account, Evaluator, OutOfTime
from haqc.passes.search.evolution import propose_evolution
from haqc.passes.search.greedy import Descent, propose_greedy
from haqc.passes.search.integer import propose_integer
from haqc.passes.search.problem import Problem, Widths
from haqc.passes.search.program import Program
from haqc.passes.search.sampling import propose_random
from haqc.passes.search.uniform import propose_uniform
from haqc.passes.search.wall import confine
from haqc.passes.search.weighing import WEIGHINGS
from haqc.policy import Policy
from haqc.result import Trial
from tests.passes.search_toy import FLOAT_ACCURACY, Toy, optimum, price, terms, toy, within


def problem_of(given_toy: Toy, budget: Budget) -> Problem:
    return Problem(given_toy.space, budget, price, given_toy.sensitivity)


def trials_of(given_toy: Toy, rules: Problem, allowance: int, kind: str) -> tuple[Trial, ...]:
    evaluator = Evaluator(rules, given_toy.evaluate, FLOAT_ACCURACY, lambda trial: None, 0)
    account = Account(kind, allowance, evaluator, lambda *row: None)
    (propose_uniform if kind == "uniform" else propose_greedy)(rules, account, 4)
    return evaluator.trials


def test_uniform_keeps_the_pairs_on_the_edge_of_the_budget() -> None:
    made = toy(5)
    budget = within(made.space, energy=0.5)
    trials = trials_of(made, problem_of(made, budget), 99, "uniform")
    pairs = {(trial.policy.layer_bits[1].weight, trial.policy.layer_bits[1].activation) for trial in trials}
    fitting = {(w, a) for w in range(2, 9) for a in range(2, 9) if budget.allows(price(made.space.uniform(w, a)))}
    assert pairs <= fitting
    for w, a in fitting:
        assert any(kept_w >= w and kept_a >= a for kept_w, kept_a in pairs)
    for w, a in pairs:
        assert not any((v, b) != (w, a) and v >= w and b >= a for v, b in pairs)


def test_uniform_spends_its_allowance_on_the_least_error() -> None:
    made = toy(5)
    rules = problem_of(made, within(made.space, energy=0.5))
    every, two = trials_of(made, rules, 99, "uniform"), trials_of(made, rules, 2, "uniform")
    assert [trial.policy.key for trial in two] == [trial.policy.key for trial in every[:2]]
    errors = [rules.error(trial.policy) for trial in every]
    assert errors == sorted(errors)
    assert len(every) > 2


@pytest.mark.parametrize("metric", ["energy", "latency", "size"])
def test_greedy_comes_close_to_the_optimum_of_an_additive_toy(metric: str) -> None:
    made = toy(5, seed=4, weights=(2, 4, 8), activations=(2, 4, 8))
    budget = within(made.space, **{metric: 0.5})
    best = max(trial.accuracy for trial in trials_of(made, problem_of(made, budget), 99, "greedy"))
    worst = made.accuracy(made.space.narrowest)
    assert best > optimum(made, budget) - 0.02 * (optimum(made, budget) - worst)


def test_greedy_leaves_no_widening_that_fits_and_helps() -> None:
    made = toy(8, seed=1)
    rules = problem_of(made, within(made.space, energy=0.5, latency=0.5, memory=0.5))
    for weighing in WEIGHINGS:
        widths = Descent(rules, weighing.of(rules)).run()
        cost = rules.cost(widths)
        assert rules.budget.allows(cost)
        assert all(rules.widening(widths, cost, choice) is None for choice in made.space.free)


def test_greedy_crosses_plateaus() -> None:
    """Where only 8 and 2 bits differ in cost, single steps save nothing."""
    made = toy(4)

    def stepped(policy: Policy) -> Cost:
        return Cost(sum(1.0 if bits > 3 else 0.5 for bits in policy.widths.values()))

    limit = Limit("energy", stepped(made.space.widest).energy_j - 0.75, "energy=1J")
    rules = Problem(made.space, Budget((limit,)), stepped, made.sensitivity)
    widths = Descent(rules, WEIGHINGS[0].of(rules)).run()
    assert rules.budget.allows(rules.cost(widths))
    assert sorted(widths.values()) == [3, 3, 8, 8]  # the two that must fall stop where they first save
    errors = {tensor: made.error[tensor] for tensor in widths}
    assert {tensor for tensor, width in widths.items() if width == 3} == set(sorted(errors, key=errors.__getitem__)[:2])


def test_what_a_widening_makes_room_for_is_widened_too() -> None:
    """Where 8-bit weights need no unpacking, they are cheaper than 4-bit ones; far away, data fit then."""
    made = toy(6, weights=(2, 4, 8), activations=(2, 4, 8))

    def unpacked(policy: Policy) -> Cost:
        return Cost(latency_s={8: 1.0}.get(policy.widths["w1"], 3.0) + {8: 3.0}.get(policy.widths["t4"], 1.0))

    rules = Problem(made.space, Budget((Limit("latency", 4.0, "latency=4s"),)), unpacked, made.sensitivity)
    start = {choice.operand.tensor: 8 for choice in made.space.free} | {"w1": 4, "t4": 4}
    dear_data = {key: error * (1e-6 if key[0] == "w1" else 1.0) for key, error in made.sensitivity.items()}
    assert Descent(rules, dear_data, start).run() == dict.fromkeys(start, 8)


def together(policy: Policy) -> Cost:
    """The peak of the widths of two tensors: neither saves alone."""
    return Cost(peak_activation_bytes=float(max(policy.widths["t1"], policy.widths["t2"])))


def test_a_tie_for_the_peak_is_broken_and_what_was_in_vain_is_undone() -> None:
    made = toy(4)
    rules = Problem(made.space, Budget((Limit("memory", 5.0, "memory=5B"),)), together, made.sensitivity)
    expected = {"w1": 8, "t1": 5, "w2": 8, "t2": 5}
    assert Descent(rules, WEIGHINGS[0].of(rules)).run() == expected
    assert confine(rules, dict.fromkeys(expected, 8), made.space.free, spend_slack=True) == expected


def test_greedy_is_quick_in_prices() -> None:
    made = toy(30)
    count = 0

    def counted(policy: Policy) -> Cost:
        nonlocal count
        count += 1
        return price(policy)

    rules = Problem(made.space, within(made.space, energy=0.2), counted, made.sensitivity)
    Descent(rules, WEIGHINGS[0].of(rules)).run()
    assert count < 12 * 56 * 6  # a dozen prices for each width of each free operand


FREE = ["w1", "t1", "w2", "t2", "w3", "t3"]
ASKED = st.lists(st.integers(2, 8), min_size=6, max_size=6).map(lambda bits: dict(zip(FREE, bits, strict=True)))


@settings(deadline=None, derandomize=True)
@given(ASKED, st.floats(0.0, 1.0), st.booleans())
def test_the_wall_holds_the_budget(asked: Widths, fraction: float, spend_slack: bool) -> None:
    made = toy(5)
    budget = within(made.space, energy=fraction, memory=0.7)
    rules = problem_of(made, budget)
    executed = confine(rules, asked, made.space.free, spend_slack=spend_slack)
    assert budget.allows(rules.cost(executed))
    if not spend_slack:
        assert all(executed[tensor] <= width for tensor, width in asked.items())
        assert executed == asked or not budget.allows(rules.cost(asked))


def test_the_wall_sweeps_from_the_last_decision_one_width_at_a_time() -> None:
    made = toy(5)

    def summed(policy: Policy) -> Cost:
        return Cost(float(sum(policy.widths[tensor] for tensor in FREE)))

    rules = Problem(made.space, Budget((Limit("energy", 40.0, "energy=40J"),)), summed, made.sensitivity)
    executed = confine(rules, dict.fromkeys(FREE, 8), made.space.free, spend_slack=False)
    assert executed == {"w1": 7, "t1": 7, "w2": 7, "t2": 7, "w3": 6, "t3": 6}


def test_the_wall_leaves_alone_what_saves_nothing() -> None:
    made = toy(5)

    def data_only(policy: Policy) -> Cost:
        return Cost(float(sum(policy.widths[tensor] for tensor in ("t1", "t2", "t3"))))

    rules = Problem(made.space, Budget((Limit("energy", 12.0, "energy=12J"),)), data_only, made.sensitivity)
    executed = confine(rules, dict.fromkeys(FREE, 8), made.space.free, spend_slack=False)
    assert executed == {"w1": 8, "t1": 4, "w2": 8, "t2": 4, "w3": 8, "t3": 4}


def test_slack_is_spent_from_the_first_decision() -> None:
    made = toy(5)

    def summed(policy: Policy) -> Cost:
        return Cost(float(sum(policy.widths[tensor] for tensor in FREE)))

    rules = Problem(made.space, Budget((Limit("energy", 20.0, "energy=20J"),)), summed, made.sensitivity)
    executed = confine(rules, dict.fromkeys(FREE, 2), made.space.free, spend_slack=True)
    assert executed == {"w1": 4, "t1": 4, "w2": 3, "t2": 3, "w3": 3, "t3": 3}


@pytest.mark.parametrize("propose", [propose_random, propose_evolution])
def test_chance_fills_the_budget_with_distinct_policies(propose: Callable[[Problem, Account, int, int], None]) -> None:
    game = toy(5, 1)
    problem = problem_of(game, within(game.space, energy=0.4, latency=0.6))

    def proposals(seed: int) -> tuple[Trial, ...]:
        evaluator = Evaluator(problem, game.evaluate, FLOAT_ACCURACY, lambda trial: None, 0)
        propose(problem, Account("chance", 14, evaluator, lambda *row: None), 4, seed)
        return evaluator.trials

    trials = proposals(0)
    assert len({trial.policy.key for trial in trials}) == len(trials) == 14
    assert all(problem.budget.allows(trial.cost) for trial in trials)
    for trial in trials:
        widths = problem.settled(trial.policy)
        assert all(problem.widening(widths, trial.cost, choice) is None for choice in game.space.free)
    assert (
        [t.policy.key for t in proposals(0)] == [t.policy.key for t in trials] != [t.policy.key for t in proposals(1)]
    )


@pytest.mark.parametrize("propose", [propose_random, propose_evolution])
def test_chance_ends_where_there_is_nothing_new(propose: Callable[[Problem, Account, int, int], None]) -> None:
    game = toy(3, weights=(8,), activations=(2, 4, 8))
    problem = problem_of(game, Budget(()))
    evaluator = Evaluator(problem, game.evaluate, FLOAT_ACCURACY, lambda trial: None, 0)
    propose(problem, Account("chance", 14, evaluator, lambda *row: None), 4, 0)
    assert len(evaluator.trials) == 1  # without a limit everything is widened


def test_children_of_good_policies_are_better_than_chance() -> None:
    game = toy(12, 5)
    problem = problem_of(game, within(game.space, energy=0.3))
    best = {}
    for propose in (propose_random, propose_evolution):
        evaluator = Evaluator(problem, game.evaluate, FLOAT_ACCURACY, lambda trial: None, 0)
        propose(problem, Account("chance", 80, evaluator, lambda *row: None), 4, 0)
        best[propose] = max(trial.accuracy for trial in evaluator.trials)
    assert best[propose_evolution] > best[propose_random] + 0.5


def test_an_allocator_whose_time_is_up_ends_but_not_before_there_is_a_policy() -> None:
    game = toy(5, 1)
    problem = problem_of(game, within(game.space, energy=0.4))
    evaluator = Evaluator(problem, game.evaluate, FLOAT_ACCURACY, lambda trial: None, 0)
    account = Account("random", 12, evaluator, lambda *row: None, until_s=0.0)
    with pytest.raises(OutOfTime):
        propose_random(problem, account, 4, 0)
    assert len(evaluator.trials) == 4


@pytest.mark.parametrize(
    ("owner", "method", "propose"),
    [
        (Descent, "run", lambda game, problem, account: propose_greedy(problem, account, 4)),
        (Program, "solve", lambda game, problem, account: propose_integer(problem, terms(game.space), account, 4)),
    ],
    ids=["greedy", "integer"],
)
def test_what_takes_time_before_anything_is_evaluated_ends_in_time_too(
    owner: Any, method: str, propose: Callable[[Toy, Problem, Account], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    game = toy(5, 1)
    problem = problem_of(game, within(game.space, energy=0.4))
    evaluator = Evaluator(problem, game.evaluate, FLOAT_ACCURACY, lambda trial: None, 0)
    asked, answer = [], getattr(owner, method)

    def counted(*given: object) -> object:
        asked.append(given)
        return answer(*given)

    monkeypatch.setattr(owner, method, counted)
    propose(game, problem, Account("x", 12, evaluator, lambda *row: None, until_s=0.0))
    assert len(asked) == len(evaluator.trials) == 1
