"""Searches on chips that allow only some pairs of widths, and where narrower is not always cheaper."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from haqc.budget import METRICS, Budget, Cost, Limit, Metric
from haqc.errors import InfeasibleBudget
from haqc.passes.search import SearchOptions, search
from haqc.passes.search.feasibility import cheapest, require_feasible
from haqc.passes.search.greedy import Descent
from haqc.passes.search.problem import Problem
from haqc.passes.search.wall import confine
from haqc.passes.search.weighing import WEIGHINGS
from haqc.policy import Policy
from tests.passes.search_toy import FLOAT_ACCURACY, Toy, optimum, price, terms, toy

FEW = frozenset({(8, 8), (4, 8), (4, 4), (2, 2)})


def paired(count: int, seed: int = 0) -> Toy:
    return toy(count, seed, weights=(2, 4, 8), activations=(2, 4, 8), pairs=FEW)


def legal(toy: Toy) -> list[Policy]:
    tensors = [choice.operand.tensor for choice in toy.space.free]
    requests = itertools.product(*(choice.widths for choice in toy.space.free))
    asked = (dict(zip(tensors, widths, strict=True)) for widths in requests)
    return [toy.space.policy(widths) for widths in asked if toy.space.allows(widths)]


def between(toy: Toy, shares: dict[Metric, float]) -> Budget:
    """Limits that lie a share of the way from the cheapest policy to the widest."""
    low, high = price(toy.space.narrowest), price(toy.space.widest)
    values = {m: low.value(m) + share * (high.value(m) - low.value(m)) for m, share in shares.items()}
    return Budget(tuple(Limit(metric, value, f"{metric} limit") for metric, value in values.items()))


def is_legal(policy: Policy) -> bool:
    return all((bits.weight, bits.activation) in FEW for bits in policy.layer_bits)


@pytest.mark.parametrize("metric", METRICS)
def test_the_tightest_budget_is_met_and_a_tighter_one_refused(metric: Metric) -> None:
    game = paired(4)
    least = min(price(policy).value(metric) for policy in legal(game))
    tight = Budget((Limit(metric, least, "tight"),))
    problem = Problem(game.space, tight, price, game.sensitivity)
    require_feasible(game.space, tight, price, price(game.space.widest))
    order = list(game.space.free)
    asked = {choice.operand.tensor: choice.widths[-1] for choice in order}
    for widths in (
        confine(problem, asked, order, spend_slack=True),
        confine(problem, asked, order, spend_slack=False),
        *(Descent(problem, weighing.of(problem)).run() for weighing in WEIGHINGS),
    ):
        assert game.space.allows(widths)
        assert tight.allows(problem.cost(widths))
    tighter = Budget((Limit(metric, 0.999 * least, "tighter"),))
    with pytest.raises(InfeasibleBudget, match="tighter"):
        require_feasible(game.space, tighter, price, price(game.space.widest))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("share", [0.05, 0.3, 0.7])
def test_greedy_and_wall_end_legal_and_within(seed: int, share: float) -> None:
    game = paired(8, seed)
    budget = between(game, {"energy": share, "memory": 0.5})
    problem = Problem(game.space, budget, price, game.sensitivity)
    draw = np.random.default_rng(seed)
    order = list(game.space.free)
    for weighing in WEIGHINGS:
        widths = Descent(problem, weighing.of(problem)).run()
        assert game.space.allows(widths) and budget.allows(problem.cost(widths))
    for _ in range(20):
        asked = {choice.operand.tensor: int(draw.choice(choice.widths)) for choice in order}
        for spend_slack in (False, True):
            widths = confine(problem, asked, order, spend_slack=spend_slack)
            assert game.space.allows(widths) and budget.allows(problem.cost(widths))


def test_a_search_finds_the_optimum_among_legal_policies() -> None:
    game = paired(4, 1)
    budget = between(game, {"energy": 0.4})
    result = search(
        game.space,
        budget,
        price,
        terms(game.space),
        game.evaluate,
        baseline=price(game.space.widest),
        float_accuracy=FLOAT_ACCURACY,
        sensitivity=game.sensitivity,
        options=SearchOptions(evaluations=40),
        record=lambda trial: None,
        progress=lambda *_: None,
    )
    assert all(is_legal(trial.policy) and budget.allows(trial.cost) for trial in result.trials)
    assert result.best.accuracy == pytest.approx(optimum(game, budget), abs=1e-9)


def unpacking(policy: Policy) -> Cost:
    """A processor that has to unpack weights below 8 bits: 2 bits take longest, and 8 bits least."""
    whole = price(policy)
    slow = sum(
        layer.weight_values * {2: 6.0, 3: 5.5, 4: 3.0, 8: 1.0}.get(bits.weight, 5.0)
        for layer, bits in zip(policy.graph.layers, policy.layer_bits, strict=True)
    )
    return replace(whole, latency_s=slow * 1e-9)


def measure_of(metric: Metric) -> Callable[[Cost], float]:
    return lambda cost: cost.value(metric)


@pytest.mark.parametrize("metric", METRICS)
def test_the_cheapest_policy_is_the_minimum_where_narrower_costs_more(metric: Metric) -> None:
    game = paired(4)
    found = cheapest(game.space, unpacking, measure_of(metric))
    least = min(unpacking(policy).value(metric) for policy in legal(game))
    assert unpacking(found).value(metric) == pytest.approx(least, rel=1e-12)


def test_the_cheapest_policy_is_looked_for_once() -> None:
    game = toy(5, weights=(2, 4, 8), activations=(2, 4, 8))
    full, priced = unpacking(game.space.widest), []

    def pricing(policy: Policy) -> Cost:
        priced.append(policy.key)
        return unpacking(policy)

    budget = Budget((Limit("latency", 1.0001 * full.latency_s, "latency"),))
    problem = Problem(game.space, budget, pricing, game.sensitivity)
    first = problem.within_budget()
    assert priced and budget.allows(problem.cost(first))
    found, count = dict(first), len(priced)
    first.clear()  # what a walk makes of it is its own
    assert problem.within_budget() == found
    assert len(priced) == count


@pytest.mark.parametrize("pairs", [None, FEW])
def test_narrowing_that_fails_goes_on_from_the_cheapest(pairs: frozenset[tuple[int, int]] | None) -> None:
    game = toy(5, weights=(2, 4, 8), activations=(2, 4, 8), pairs=pairs)
    full = unpacking(game.space.widest)
    limits = Limit("latency", 1.0001 * full.latency_s, "latency"), Limit("energy", 2 * full.energy_j, "energy")
    budget = Budget(limits)
    problem = Problem(game.space, budget, unpacking, game.sensitivity)
    require_feasible(game.space, budget, unpacking, full)
    order = list(game.space.free)
    narrow = {choice.operand.tensor: choice.widths[0] for choice in order}
    widths = confine(problem, narrow, order, spend_slack=False)
    assert budget.allows(problem.cost(widths))
    assert budget.allows(problem.cost(Descent(problem, WEIGHINGS[0].of(problem)).run()))
    with pytest.raises(InfeasibleBudget, match="latency"):
        require_feasible(game.space, Budget((Limit("latency", 0.9 * full.latency_s, "latency"),)), unpacking, full)
