"""Why layers have their widths: neighbours of the winner, their prices and losses, why none was taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from haqc.alternatives import Alternatives
from haqc.budget import METRICS, Budget, Cost, Limit
from haqc.data.split import Split, Transform
from haqc.effect import Effect
from haqc.judge import Judge
from haqc.metrics import named
from haqc.policy import Bits, Policy, Space
from haqc.precision import Precision
from haqc.result import SearchResult, Trial
from haqc.score import Score
from tests.passes.search_toy import chain, price

ALL = (2, 3, 4, 5, 6, 7, 8)
GRAPH = chain(5)
SPACE = Space.of(GRAPH, Precision(ALL, ALL))
UNBOUNDED = Budget(())
FIGURES = {"energy": "energy_j", "latency": "latency_s", "size": "weight_bytes", "memory": "peak_activation_bytes"}


@dataclass(frozen=True)
class Prices:
    """What a table answers, of which alternatives ask for nothing else."""

    def price(self, policy: Policy) -> Cost:
        return price(policy)


def judge(metric: str, float_value: float) -> Judge:
    nothing = Split((np.zeros((4, 2), np.float32),), np.zeros(4, np.int64), (Transform(),))
    return Judge(named(metric), ("y",), nothing, None, float_value)


def effects(space: Space, *, lost: bool = True) -> dict[tuple[str, int], Effect]:
    """Each width of the n-th operand has 2^-bits (n + 1) of output error, and a hundred times that in points."""
    errors = {(c.operand.tensor, b): 2.0**-b * (n + 1) for n, c in enumerate(space.free) for b in c.widths}
    return {key: Effect(error, 0.0, 100 * error if lost else None) for key, error in errors.items()}


def beside(
    space: Space,
    widths: Mapping[str, int],
    budget: Budget = UNBOUNDED,
    others: Sequence[tuple[Mapping[str, int], float]] = (),
    finalists: Sequence[float] = (),
    metric: str = "top-1",
    float_value: float = 90.0,
    lost: bool = True,
) -> Alternatives:
    """The alternatives of a winner with a score of 80, beside trials with scores of their own."""
    made = [(space.policy(each), score) for each, score in [(widths, 80.0), *others]]
    trials = tuple(Trial(policy, price(policy), score, score, 0.0, "ddpg", 0) for policy, score in made)
    found = SearchResult(
        trials, (), trials[0], finalists=tuple((t, Score(f, f)) for t, f in zip(trials, finalists, strict=False))
    )
    return Alternatives(space, Prices(), budget, effects(space, lost=lost), found, judge(metric, float_value))  # type: ignore[arg-type]


def flat(width: int, space: Space = SPACE) -> dict[str, int]:
    return {choice.operand.tensor: width for choice in space.free}


def pairs(entries: Sequence[Mapping[str, Any]]) -> list[tuple[int, int]]:
    return [(entry["weight_bits"], entry["activation_bits"]) for entry in entries]


def test_each_operand_has_a_wider_and_a_narrower_neighbour() -> None:
    inner, first = GRAPH.layer["l2"], GRAPH.layer["l0"]
    assert pairs(beside(SPACE, flat(4)).of(inner)) == [(5, 4), (3, 4), (4, 5), (4, 3)]
    assert pairs(beside(SPACE, flat(8)).of(inner)) == [(7, 8), (8, 7)]
    assert pairs(beside(SPACE, flat(2)).of(inner)) == [(3, 2), (2, 3)]
    assert beside(SPACE, flat(4)).of(first) == []  # it is pinned
    assert beside(SPACE, flat(4)).of(replace(inner, float_reason="kept in float by 'l2'")) == []


def test_costs_are_changes_of_the_whole_network() -> None:
    entries = beside(SPACE, flat(4)).of(GRAPH.layer["l2"])
    winner = SPACE.policy(flat(4))
    for entry, changed in zip(entries, ({"w2": 5}, {"w2": 3}, {"t2": 5}, {"t2": 3}), strict=True):
        after = price(SPACE.policy({**flat(4), **changed}))
        expected = {FIGURES[m]: after.value(m) - price(winner).value(m) for m in METRICS}
        assert entry["cost"] == expected
    assert entries[0]["cost"]["weight_bytes"] == GRAPH.layer["l2"].weight_values / 8
    assert entries[1]["cost"]["energy_j"] < 0 < entries[0]["cost"]["energy_j"]


def test_without_a_trial_the_loss_is_what_operands_lose_alone() -> None:
    place = [choice.operand.tensor for choice in SPACE.free].index("w2") + 1
    wider, narrower, *_ = beside(SPACE, flat(4)).of(GRAPH.layer["l2"])
    assert (wider["measured"], narrower["measured"]) == (False, False)
    assert narrower["output_error"] == pytest.approx(place * (2**-3 - 2**-4), rel=1e-12)
    assert narrower["loss"] == pytest.approx(100 * narrower["output_error"], rel=1e-12)
    assert wider["loss"] == pytest.approx(-100 * place * 2**-5, rel=1e-12)
    points = f"{narrower['loss']:.2f} points"
    assert narrower["reason"].startswith(f"within the budget, and not tried; estimated to lose {points}, at +")
    assert narrower["reason"].endswith("of output error; the budget holds without it")
    assert "estimated to gain" in wider["reason"]
    unknown, *_ = beside(SPACE, flat(4), lost=False).of(GRAPH.layer["l2"])
    assert unknown["loss"] is None and unknown["reason"].startswith("within the budget, and not tried; estimated at -")


@pytest.mark.parametrize(
    ("score", "loss", "words"),
    [
        (79.5, 0.5, "within the budget; the search scored it 0.50 points worse"),
        (80.0, 0.0, "within the budget; scored the same, and was found later or is predicted to lose more"),
        (80.5, -0.5, "within the budget; the search scored it 0.50 points better, but another one best"),
    ],
)
def test_a_trial_that_differs_in_just_that_is_the_measure(score: float, loss: float, words: str) -> None:
    entry, other, *_ = beside(SPACE, flat(4), others=[({**flat(4), "w2": 5}, score)]).of(GRAPH.layer["l2"])
    assert (entry["loss"], entry["measured"], entry["reason"]) == (pytest.approx(loss, abs=1e-12), True, words)
    assert other["measured"] is False


def test_of_two_finalists_the_longer_fine_tune_counts() -> None:
    alternatives = beside(SPACE, flat(4), others=[({**flat(4), "w2": 5}, 80.5)], finalists=(84.0, 83.0))
    assert alternatives.of(GRAPH.layer["l2"])[0]["loss"] == pytest.approx(1.0, abs=1e-12)


def test_a_metric_whose_less_is_better_loses_upwards_in_its_own_unit() -> None:
    """80 points of an error that is 2.0 in float are 2.5, and 50 points are 4.0."""
    trial = [({**flat(4), "w2": 5}, 50.0)]
    entry, other, *_ = beside(SPACE, flat(4), others=trial, metric="mse", float_value=2.0).of(GRAPH.layer["l2"])
    assert entry["loss"] == pytest.approx(1.5, rel=1e-12)
    assert other["loss"] is None  # what operands lose alone is counted in points


def test_what_is_over_says_over_what_and_by_how_much() -> None:
    cost = price(SPACE.policy(flat(4)))
    budget = Budget((Limit("energy", cost.energy_j, "energy=0.4"), Limit("size", cost.weight_bytes, "size=1KiB")))
    by_weights, narrower, by_data, _ = beside(SPACE, flat(4), budget).of(GRAPH.layer["l2"])
    over = [
        by_weights["cost"][field] / whole
        for field, whole in (("energy_j", cost.energy_j), ("weight_bytes", cost.weight_bytes))
    ]
    energy, size = (f"{100 * share:.2g} %" for share in over)
    assert by_weights["reason"] == f"over energy=0.4 by {energy} and size=1KiB by {size}"
    assert by_data["reason"].startswith("over energy=0.4 by") and "size" not in by_data["reason"]
    assert narrower["reason"].startswith("within the budget")


def test_layers_that_change_along_are_counted() -> None:
    tied = Space.of(GRAPH, Precision(ALL, ALL), same_bits=("l[123]",))
    assert {entry["others"] for entry in beside(tied, flat(4, tied)).of(tied.graph.layer["l2"])} == {2}
    assert {entry["others"] for entry in beside(SPACE, flat(4)).of(GRAPH.layer["l2"])} == {0}


def test_where_pairs_are_few_the_partner_comes_along() -> None:
    few = Space.of(GRAPH, Precision((2, 4, 8), (2, 4, 8), frozenset({(8, 8), (4, 8), (4, 4), (2, 2)})))
    assert pairs(beside(few, flat(4, few)).of(GRAPH.layer["l2"])) == [(8, 8), (2, 2), (4, 8)]
    assert all(few.precision.allows(*pair) for pair in pairs(beside(few, flat(2, few)).of(GRAPH.layer["l2"])))


def test_a_figure_that_is_not_priced_is_null() -> None:
    space = Space.of(GRAPH, Precision(ALL, ALL), pins={"l2": Bits(4, 4)})
    alternatives = beside(space, flat(4, space))
    unpriced = replace(alternatives, table=Unpriced())
    entry = unpriced.of(GRAPH.layer["l1"])[0]
    assert entry["cost"]["energy_j"] is None and entry["cost"]["weight_bytes"] > 0
    assert unpriced.of(GRAPH.layer["l2"]) == []


class Unpriced(Prices):
    """A table that knows no energies."""

    def price(self, policy: Policy) -> Cost:
        return replace(price(policy), energy_j=float("nan"))
