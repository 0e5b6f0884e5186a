"""Budgets: what a user may write, what is refused and with which next step, and limits that hold together."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haqc.budget import METRICS, UNITS, Budget, Cost, Demand, Limit
from haqc.errors import BudgetError

ALLOWED = "allowed are energy, latency, size, memory"
BASELINE = Cost(energy_j=2.0, latency_s=0.5, weight_bytes=1000.0, peak_activation_bytes=300.0)


@pytest.mark.parametrize(
    ("text", "metric", "amount"),
    [
        ("energy=0.5", "energy", 0.5),
        ("latency=1", "latency", 1.0),
        ("size=.25", "size", 0.25),
        ("memory=5e-1", "memory", 0.5),
        (" energy = 0.5 ", "energy", 0.5),
    ],
)
def test_a_bare_number_is_a_fraction(text: str, metric: str, amount: float) -> None:
    assert Demand.parse(text) == Demand(metric, amount, True, text)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("latency=10ms", 0.01), ("latency=10 ms", 0.01), ("latency=2s", 2.0), ("latency=1e3us", 1e-3),
        ("latency=5\u00b5s", 5e-6), ("latency=5\u03bcs", 5e-6), ("latency=7ns", 7e-9),
        ("energy=3mJ", 3e-3), ("energy=1.5J", 1.5), ("energy=4uJ", 4e-6), ("energy=4nJ", 4e-9), ("energy=4pJ", 4e-12),
        ("size=250KiB", 256_000), ("size=250KB", 250_000), ("size=2MiB", 2 << 20), ("size=1GiB", 1 << 30),
        ("memory=512B", 512), ("memory=1MB", 1e6),
    ],
)  # fmt: skip
def test_a_number_with_a_unit_is_absolute(text: str, amount: float) -> None:
    demand = Demand.parse(text)
    assert not demand.is_fraction
    assert demand.amount == pytest.approx(amount, rel=1e-12)
    assert demand.text == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "budget '' lacks '='; write METRIC=VALUE, for example energy=0.5 or latency=10ms"),
        ("energy", "budget 'energy' lacks '='; write METRIC=VALUE, for example energy=0.5 or latency=10ms"),
        ("=0.5", f"unknown budget metric ''; {ALLOWED}"),
        ("enrgy=0.5", f"unknown budget metric 'enrgy' (did you mean 'energy'?); {ALLOWED}"),
        ("Energy=0.5", f"unknown budget metric 'Energy' (did you mean 'energy'?); {ALLOWED}"),
        ("latency=10", "budget 'latency=10' is no fraction in (0, 1]; did you mean latency=10ms?"),
        ("energy=1.5", "budget 'energy=1.5' is no fraction in (0, 1]; did you mean energy=1.5mJ?"),
        ("size=250", "budget 'size=250' is no fraction in (0, 1]; did you mean size=250KiB?"),
        ("energy=0", "budget 'energy=0' is no fraction in (0, 1]"),
        ("energy=1e-999", "budget 'energy=1e-999' is no fraction in (0, 1]"),
        ("energy=1e999", "budget 'energy=1e999' is no fraction in (0, 1]"),
        ("latency=0ms", "budget 'latency=0ms' must be above zero and finite; write for example latency=10ms"),
        ("latency=1e999ms", "budget 'latency=1e999ms' must be above zero and finite; write for example latency=10ms"),
        ("energy=1e-320pJ", "budget 'energy=1e-320pJ' must be above zero and finite; write for example energy=10mJ"),
        ("latency=10kg", "unknown unit 'kg' in budget 'latency=10kg'; latency takes s, ms, us, ns"),
        ("latency=1e", "unknown unit 'e' in budget 'latency=1e'; latency takes s, ms, us, ns"),
        ("latency=10MS", "unknown unit 'MS' in budget 'latency=10MS'; latency takes s, ms, us, ns"),
        ("energy=10ms", "unknown unit 'ms' in budget 'energy=10ms'; energy takes J, mJ, uJ, nJ, pJ"),
    ],
)  # fmt: skip
def test_a_mistake_is_refused_with_what_would_be_right(text: str, message: str) -> None:
    with pytest.raises(BudgetError) as caught:
        Demand.parse(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "value",
    ["", " ", "-1", "-0.5", "+0.5", "nan", "NaN", "inf", "-inf", "ms", "1..2", "1,5", "0x10", "1_0", "50%", "1=2",
     "\u0661", "\u00bd", "\uff11", "\u221e", "1ms2", "0.5\n0.5", "0.5\0"],
)  # fmt: skip
def test_what_is_no_number_is_refused(value: str) -> None:
    text = f"latency={value}"
    with pytest.raises(BudgetError) as caught:
        Demand.parse(text)
    advice = "write a fraction such as latency=0.5 or a value with a unit such as latency=10ms"
    assert str(caught.value) == f"budget '{text}' has no number above zero; {advice}"


@given(
    st.sampled_from([f"{metric}=" for metric in METRICS] + [""]),
    st.text("0123456789.eE+- =msJKiB\u00b5\u0661", max_size=9),
)
def test_any_text_is_a_demand_or_a_mistake(metric: str, value: str) -> None:
    try:
        demand = Demand.parse(metric + value)
    except BudgetError:
        return
    assert 0 < demand.amount < math.inf


@given(st.sampled_from(METRICS), st.floats(min_value=1e-6, max_value=1.0))
def test_every_fraction_is_read_exactly(metric: str, fraction: float) -> None:
    assert Demand.parse(f"{metric}={fraction!r}").amount == fraction


def test_every_metric_has_units() -> None:
    assert set(UNITS) == set(METRICS)
    assert all(1.0 in units.values() for units in UNITS.values())


def test_costs_add_and_peaks_do_not() -> None:
    total = BASELINE + Cost(1.0, 0.25, 10.0, 200.0)
    assert total == Cost(3.0, 0.75, 1010.0, 300.0)
    assert sum([BASELINE, BASELINE], Cost()) == Cost(4.0, 1.0, 2000.0, 300.0)


def test_costs_are_read_by_metric_and_written_under_their_units() -> None:
    assert [BASELINE.value(metric) for metric in METRICS] == [2.0, 0.5, 1000.0, 300.0]
    assert json.loads(json.dumps(BASELINE.to_json())) == {
        "energy_j": 2.0, "latency_s": 0.5, "weight_bytes": 1000.0, "peak_activation_bytes": 300.0,
    }  # fmt: skip


def resolved(*texts: str, batch: int = 16) -> Budget:
    return Budget.resolve(tuple(Demand.parse(text) for text in texts), BASELINE, batch)


def test_fractions_are_of_the_baseline_and_absolute_energy_is_of_one_inference() -> None:
    budget = resolved("energy=0.5", "energy=3mJ", "latency=0.1s", "size=0.25", "memory=100B")
    assert [limit.value for limit in budget.limits] == pytest.approx([1.0, 48e-3, 0.1, 250.0, 100.0], rel=1e-12)
    assert [limit.text for limit in budget.limits][:2] == ["energy=0.5", "energy=3mJ"]


def test_several_limits_hold_together() -> None:
    budget = resolved("energy=0.5", "size=0.5")
    assert budget.allows(Cost(energy_j=1.0, weight_bytes=500.0))  # a limit may be reached
    assert not budget.allows(Cost(energy_j=1.0, weight_bytes=500.1))
    assert not budget.allows(Cost(energy_j=1.1, weight_bytes=500.0))
    assert budget.excess(Cost(energy_j=1.0, weight_bytes=500.0)) == 0
    assert budget.excess(Cost(energy_j=1.5, weight_bytes=1000.0)) == pytest.approx(0.5 + 1.0, rel=1e-12)
    assert Budget(()).allows(BASELINE)


def test_a_fraction_of_nothing_is_met_by_nothing() -> None:
    limit = Limit("size", 0.0, "size=0.5")  # a model whose layers multiply activations only has no weights
    assert limit.allows(Cost())
    assert limit.excess(Cost()) == 0
