"""Budgets of every metric, together, as fractions and in units, on real chips: no allocator ever leaves them."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haqc import targets
from haqc.budget import METRICS, UNITS, Budget, Demand, Metric
from haqc.costmodel import CostTable, build_table
from haqc.ddpg import AgentOptions
from haqc.errors import InfeasibleBudget
from haqc.passes.bind import bind
from haqc.passes.clean import clean
from haqc.passes.parse import parse
from haqc.passes.search import SearchOptions, search
from haqc.passes.search.feasibility import cheapest
from haqc.policy import Policy, Space
from haqc.request import ALLOCATORS, AllocatorName
from haqc.result import SearchResult
from haqc.score import Score
from tests.passes.search_toy import same
from tests.passes.small_graphs import GRAPHS

QUICK: tuple[AllocatorName, ...] = ("greedy", "integer", "random")
TINY = AgentOptions(hidden=(16, 16), actor_rate=1e-3, critic_rate=3e-3, warm_up=0.0, updates_per_step=0.25)
CHIPS = ("edge", "cloud", "bitfusion", "t4", "cortex-m4")
NETWORKS = ("residual", "encoder")


@dataclass(frozen=True)
class Game:
    """A small network on a chip, whose accuracy falls by what each operand loses alone."""

    table: CostTable
    space: Space

    def error(self, tensor: str, bits: int) -> float:
        """What an operand loses alone."""
        return (1 + zlib.crc32(tensor.encode()) % 7) * 2.0 ** (2 - bits)

    def evaluate(self, policies: Sequence[Policy]) -> list[Score]:
        tensors = self.space.free_widths
        return [
            same(90.0 - sum(self.error(tensor, policy.widths[tensor]) for tensor in tensors)) for policy in policies
        ]

    def search(self, budget: Budget, allocators: tuple[AllocatorName, ...] = ALLOCATORS) -> SearchResult:
        return search(
            self.space,
            budget,
            self.table.price,
            self.table.terms(self.space),
            self.evaluate,
            baseline=self.table.baseline,
            float_accuracy=90.0,
            sensitivity={
                (c.operand.tensor, b): self.error(c.operand.tensor, b) for c in self.space.free for b in c.widths
            },
            options=SearchOptions(evaluations=4, networks=TINY, allocators=allocators),
            record=lambda trial: None,
            progress=lambda *_: None,
        )


@functools.cache
def game(network: str, chip: str) -> Game:
    target = targets.load(chip)
    graph = parse(bind(clean(ir.from_proto(GRAPHS[network]()))), network)
    space = Space.of(graph, target.precision)
    return Game(build_table(space.graph, target), space)


def lowest(played: Game, metric: Metric) -> float:
    """The least that any policy is found to cost."""
    return played.table.price(cheapest(played.space, played.table.price, lambda cost: cost.value(metric))).value(metric)


def in_units(demand: Demand, played: Game) -> Demand:
    """The same limit, written as an absolute value."""
    (limit,) = Budget.resolve((demand,), played.table.baseline, played.table.batch).limits
    amount = limit.value / (played.table.batch if demand.metric == "energy" else 1)
    unit, factor = next(iter(UNITS[demand.metric].items()))
    return Demand.parse(f"{demand.metric}={amount / factor!r}{unit}")


@pytest.mark.slow
@settings(max_examples=16, deadline=None, derandomize=True, report_multiple_bugs=False)
@given(
    st.sampled_from(NETWORKS),
    st.sampled_from(CHIPS),
    st.dictionaries(st.sampled_from(METRICS), st.sampled_from((0.1, 0.4, 0.8)), min_size=1, max_size=4),
    st.lists(st.booleans(), min_size=4, max_size=4),
)
def test_every_trial_of_every_allocator_holds_every_limit(
    network: str, chip: str, shares: dict[Metric, float], absolute: list[bool]
) -> None:
    hold(game(network, chip), shares, absolute)


@pytest.mark.parametrize("chip", ["edge", "t4"])
def test_all_four_limits_hold_together(chip: str) -> None:
    assert hold(game("residual", chip), dict.fromkeys(METRICS, 0.6), [False, True, False, True])


def hold(played: Game, shares: dict[Metric, float], absolute: list[bool]) -> bool:
    """Searches under limits a share of the way from the least to the widest; gives whether there is any policy."""
    whole, widest = played.table.baseline, played.table.price(played.space.widest)
    demands = []
    for (metric, share), is_absolute in zip(shares.items(), absolute, strict=False):
        low = lowest(played, metric)
        fraction = min(1.0, (low + share * max(0.0, widest.value(metric) - low)) / whole.value(metric) * 1.0001)
        demand = Demand.parse(f"{metric}={fraction!r}")
        demands.append(in_units(demand, played) if is_absolute else demand)
    budget = Budget.resolve(tuple(demands), whole, played.table.batch)
    try:
        result = played.search(budget)
    except InfeasibleBudget:
        assert len(shares) > 1  # the cheapest by one metric need not be the cheapest by another
        return False
    assert {row.name for row in result.allocators} >= set(ALLOCATORS)
    for trial in result.trials:
        cost = played.table.price(trial.policy)
        for limit, demand in zip(budget.limits, demands, strict=True):
            each = played.table.batch if demand.metric == "energy" and not demand.is_fraction else 1
            allowed = demand.amount * (whole.value(demand.metric) if demand.is_fraction else each)
            assert cost.value(limit.metric) <= allowed
        assert trial.cost == cost
    return True


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("chip", ["edge", pytest.param("t4", marks=pytest.mark.slow)])
def test_the_least_that_can_be_reached_is_met_and_no_less(chip: str, metric: Metric) -> None:
    played = game("residual", chip)
    low = lowest(played, metric)
    at: Callable[[float], Budget] = lambda value: Budget.resolve(  # noqa: E731
        (Demand(metric, value, False, "budget"),), played.table.baseline, 1
    )
    result = played.search(at(low), (*QUICK, "ddpg"))
    assert {played.table.price(trial.policy).value(metric) for trial in result.trials} == {low}
    with pytest.raises(InfeasibleBudget, match="budget cannot be met"):
        played.search(at(low * (1 - 1e-9)))


@pytest.mark.parametrize("metric", METRICS)
def test_a_limit_in_units_is_the_same_as_the_fraction(metric: Metric) -> None:
    played = game("residual", "cloud")
    fraction = Demand.parse(f"{metric}=0.8")
    absolute = in_units(fraction, played)
    assert not absolute.is_fraction
    budgets = [Budget.resolve((demand,), played.table.baseline, played.table.batch) for demand in (fraction, absolute)]
    assert budgets[1].limits[0].value == pytest.approx(budgets[0].limits[0].value, rel=1e-15)
    searches = [[trial.policy.key for trial in played.search(budget, QUICK).trials] for budget in budgets]
    assert searches[0] == searches[1]


def test_memory_is_the_largest_moment_and_not_a_sum() -> None:
    """The memory of a policy is that of one moment: narrowing what is stored at another changes nothing."""
    played = game("residual", "edge")
    widest = played.space.widest
    whole = played.table.price(widest).peak_activation_bytes
    alone = [played.table.price(played.space.policy({**widest.widths, t: 2})) for t in played.space.free_widths]
    assert all(cost.peak_activation_bytes <= whole for cost in alone)
    assert sum(cost.peak_activation_bytes < whole for cost in alone) < len(alone)
    narrow = played.table.price(played.space.narrowest).peak_activation_bytes
    saved = sum(whole - cost.peak_activation_bytes for cost in alone)
    assert narrow < whole and saved != pytest.approx(whole - narrow, rel=1e-6)
