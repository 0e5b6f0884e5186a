"""The integer program: exact where the error is a sum, whatever the limits, and wrong where it is not."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haqc.budget import Budget, Limit
from haqc.passes.search.evaluator import Account, Evaluator
from haqc.passes.search.integer import PROPOSALS, propose_integer
from haqc.passes.search.problem import Problem
from haqc.passes.search.program import Program
from haqc.result import Trial
from tests.passes.search_toy import FLOAT_ACCURACY, Toy, optimum, price, terms, toy, within
from tests.passes.test_search_pairs import FEW, unpacking

FEW_WIDTHS = (2, 4, 8)


def least(game: Toy, problem: Problem) -> float | None:
    """The least error within the budget, by trying everything."""
    tensors = [choice.operand.tensor for choice in game.space.free]
    found = []
    for widths in itertools.product(*(choice.widths for choice in game.space.free)):
        asked = dict(zip(tensors, widths, strict=True))
        if game.space.allows(asked) and problem.budget.allows(problem.cost(asked)):
            found.append(sum(problem.sensitivity[pair] for pair in asked.items()))
    return min(found, default=None)


SHARES = st.dictionaries(
    st.sampled_from(["energy", "latency", "size", "memory"]), st.floats(0.0, 1.0), min_size=1, max_size=3
)


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.integers(2, 4), st.integers(0, 99), SHARES, st.sampled_from([None, FEW]), st.sampled_from([price, unpacking]))
def test_it_finds_the_least_sum_within_every_budget(count, seed, shares, pairs, pricing) -> None:  # type: ignore[no-untyped-def]
    game = toy(count, seed, weights=FEW_WIDTHS, activations=FEW_WIDTHS, pairs=pairs)
    problem = Problem(game.space, within(game.space, **shares), pricing, game.sensitivity)
    found = Program(problem, terms(game.space, pricing)).solve(game.sensitivity, (), 0)
    expected = least(game, problem)
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert problem.budget.allows(problem.cost(found))
        assert sum(game.sensitivity[pair] for pair in found.items()) == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("metric", ["energy", "latency", "size", "memory"])
def test_a_budget_that_one_policy_just_meets_is_met(metric: str) -> None:
    game = toy(6, 3)
    problem = Problem(game.space, within(game.space, **{metric: 0.0}), price, game.sensitivity)
    found = Program(problem, terms(game.space)).solve(game.sensitivity, (), 0)
    assert found is not None
    assert problem.budget.allows(problem.cost(found))


def test_a_budget_that_no_policy_meets_has_no_solution() -> None:
    game = toy(3)
    tight = price(game.space.narrowest).energy_j * 0.999
    problem = Problem(game.space, Budget((Limit("energy", tight, "tight"),)), price, game.sensitivity)
    assert Program(problem, terms(game.space)).solve(game.sensitivity, (), 0) is None


def test_the_next_solutions_are_the_next_best() -> None:
    game = toy(4, 1, weights=FEW_WIDTHS, activations=FEW_WIDTHS)
    problem = Problem(game.space, within(game.space, energy=0.4), price, game.sensitivity)
    program = Program(problem, terms(game.space))
    found: list[dict[str, int]] = []
    for _ in range(5):
        widths = program.solve(game.sensitivity, found, 1)
        assert widths is not None
        found.append(widths)
    tensors = [choice.operand.tensor for choice in game.space.free]
    every = itertools.product(*(choice.widths for choice in game.space.free))
    sums = sorted(
        sum(game.sensitivity[pair] for pair in zip(tensors, widths, strict=True))
        for widths in every
        if problem.budget.allows(problem.cost(dict(zip(tensors, widths, strict=True))))
    )
    assert [sum(game.sensitivity[pair] for pair in widths.items()) for widths in found] == pytest.approx(sums[:5])


def test_solutions_are_as_far_apart_as_asked() -> None:
    game = toy(6, 1)
    problem = Problem(game.space, within(game.space, energy=0.4), price, game.sensitivity)
    program = Program(problem, terms(game.space))
    first = program.solve(game.sensitivity, (), 0)
    assert first is not None
    second = program.solve(game.sensitivity, [first], 4)
    assert second is not None
    assert sum(first[tensor] != second[tensor] for tensor in first) >= 4


def proposals(game: Toy, problem: Problem, allowance: int) -> tuple[Trial, ...]:
    evaluator = Evaluator(problem, game.evaluate, FLOAT_ACCURACY, lambda trial: None, 0)
    propose_integer(problem, terms(game.space), Account("integer", allowance, evaluator, lambda *row: None), 4)
    return evaluator.trials


def test_the_allocator_finds_the_optimum_of_an_additive_toy() -> None:
    game = toy(5, 4, weights=FEW_WIDTHS, activations=FEW_WIDTHS)
    budget = within(game.space, energy=0.4, memory=0.6)
    trials = proposals(game, Problem(game.space, budget, price, game.sensitivity), 99)
    assert trials[0].accuracy == pytest.approx(optimum(game, budget), abs=1e-6)
    assert len({trial.policy.key for trial in trials}) == len(trials) == PROPOSALS
    assert all(budget.allows(trial.cost) for trial in trials)


def test_the_allocator_keeps_to_its_allowance() -> None:
    game = toy(6, 4)
    problem = Problem(game.space, within(game.space, energy=0.4), price, game.sensitivity)
    assert len(proposals(game, problem, 3)) == 3


def test_what_adds_up_misses_the_optimum_where_neighbours_interact() -> None:
    game = toy(5, 0, weights=FEW_WIDTHS, activations=FEW_WIDTHS, interaction=4.0)
    budget = within(game.space, energy=0.3)
    problem = Problem(game.space, budget, price, game.sensitivity)
    widths = Program(problem, terms(game.space)).solve(game.sensitivity, (), 0)
    assert widths is not None
    assert game.accuracy(game.space.policy(widths)) < optimum(game, budget) - 1.0
