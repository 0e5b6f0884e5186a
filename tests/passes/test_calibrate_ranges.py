"""The rules for ranges, and HAQ's quantiser: what each promises, on distributions where they differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from haqc.budget import Demand
from haqc.calibration import RANGES, ActivationGrid, Ranges
from haqc.errors import PolicyError
from haqc.mirror import from_onnx
from haqc.mirror.quantised import QuantisedMirror
from haqc.passes.calibrate import calibrate
from haqc.passes.calibrate.activations import CUT_SHARE, activation_grid, symmetric_grid
from haqc.passes.calibrate.divergence import divergence
from haqc.passes.calibrate.weights import tensor_grid
from haqc.passes.verify import verify
from haqc.policy import Bits, Space
from haqc.precision import Precision
from haqc.request import Request
from tests.passes.small_graphs import EVERY_GRAPH, GRAPHS, Prepared, Quantised, samples

BINS = 2048
Histogram = tuple[np.ndarray, float, float]


def histogram(values: np.ndarray) -> Histogram:
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    return np.histogram(values, bins=BINS, range=(low, high))[0].astype(np.float64), low, high


def span(grid: ActivationGrid, bits: int) -> tuple[float, float]:
    """The least and the largest value that a grid holds."""
    return -grid.zero_point * grid.scale, (2**bits - 1 - grid.zero_point) * grid.scale


def with_outlier(count: int = 100_000) -> np.ndarray:
    """Half of a normal distribution, and one value far from all others."""
    values = np.abs(np.random.default_rng(0).standard_normal(count))
    values[0] = 60.0
    return values


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("ranges", RANGES)
def test_what_is_spread_evenly_keeps_its_range(ranges: Ranges, bits: int) -> None:
    values = np.random.default_rng(0).uniform(0, 1, 200_000)
    low, high = span(activation_grid(ranges, *histogram(values), bits), bits)
    assert low == 0
    assert 0.75 < high <= 1.0 + 1e-9


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_a_lone_value_is_left_outside_but_by_the_full_range(bits: int) -> None:
    values = with_outlier()
    highs = {rule: span(activation_grid(rule, *histogram(values), bits), bits)[1] for rule in RANGES}
    assert highs["max"] == pytest.approx(60.0)
    bulk = float(np.quantile(values, 1 - CUT_SHARE))
    assert highs["percentile"] == pytest.approx(bulk, abs=2 * 60.0 / BINS)
    assert highs["kl"] < 6.0
    assert highs["mse"] < (20.0 if bits < 8 else 60.0)  # at 8 bits its square is worth the coarser step


def test_percentiles_cut_both_ends() -> None:
    values = np.random.default_rng(0).standard_normal(500_000)
    low, high = span(activation_grid("percentile", *histogram(values), 8), 8)
    expected = np.quantile(values, [CUT_SHARE, 1 - CUT_SHARE])
    np.testing.assert_allclose([low, high], expected, rtol=0.01)


@pytest.mark.parametrize("ranges", RANGES)
@pytest.mark.parametrize("values", [np.zeros(9), np.full(9, 7.0), np.array([-1.0, 0.0, 1e-38])], ids=["0", "7", "-1"])
def test_odd_tensors_get_a_grid(ranges: Ranges, values: np.ndarray) -> None:
    for bits in range(1, 9):
        grid = activation_grid(ranges, *histogram(values), bits)
        assert 0 < grid.scale < np.inf
        assert 0 <= grid.zero_point < 2**bits


def test_the_divergence_of_what_is_told_wholly_is_nothing() -> None:
    counts = np.random.default_rng(0).integers(1, 100, 64).astype(np.float64)
    everything = np.ones(64, np.bool_)
    assert divergence(counts, np.arange(64.0), everything) == pytest.approx(0.0, abs=1e-12)
    coarse = divergence(counts, np.arange(64.0) // 8, everything)
    assert coarse > 0.01
    assert divergence(counts, np.arange(64.0) // 2, everything) < coarse
    # By hand: (1, 3) told as (2, 2).
    two = divergence(np.array([1.0, 3.0]), np.zeros(2), np.ones(2, np.bool_))
    assert two == pytest.approx(0.25 * np.log(0.5) + 0.75 * np.log(1.5))


@pytest.mark.parametrize("bits", [4, 5, 8])
@pytest.mark.parametrize("levels", [3, 17])
def test_a_few_values_are_not_clipped_to_fewer(levels: int, bits: int) -> None:
    """Images of few shades: where all but one are left outside, that one is told perfectly."""
    values = np.random.default_rng(0).integers(0, levels, 50_000) / (levels - 1)
    grid = activation_grid("kl", *histogram(values), bits)
    assert span(grid, bits)[1] > 0.75
    assert symmetric_grid(*histogram(values), bits).scale == pytest.approx(grid.scale)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_haqs_grids_are_symmetric_or_begin_at_zero(bits: int) -> None:
    normal = np.random.default_rng(0).standard_normal(100_000)
    signed = symmetric_grid(*histogram(normal), bits)
    assert signed.zero_point == 2 ** (bits - 1)
    assert signed.scale * (2 ** (bits - 1) - 1) <= np.abs(normal).max() * (1 + 1e-9)
    unsigned = symmetric_grid(*histogram(np.abs(normal)), bits)
    assert unsigned.zero_point == 0
    weight = normal[:4096].reshape(64, 64).astype(np.float32)
    grid = tensor_grid(weight, 0, bits)
    assert grid.scale.shape == (1,)
    assert grid.scale[0] * (2 ** (bits - 1) - 1) <= np.abs(weight).max() * (1 + 1e-6)


def haq(name: str, seed: int) -> Quantised:
    plain = Prepared.of(GRAPHS[name]())
    space = Space.of(plain.graph, Precision(tuple(range(1, 9)), tuple(range(1, 9))), min_bits=2, default_pins=False)
    data = samples(plain.model, 32, seed=1)
    calibration = calibrate(from_onnx(plain.model), space, [data], quantiser="haq")
    prepared = Prepared(plain.model, plain.graph, space, calibration)
    return prepared.quantise(prepared.random_policy(seed))


@pytest.mark.parametrize("name", EVERY_GRAPH)
def test_haqs_networks_are_emitted_and_hold(name: str) -> None:
    quantised = haq(name, 0)
    assert all(weight.scale.size == 1 for weight in quantised.codes.weights.values())
    verification = verify(quantised.emit(), quantised.network.probe(quantised.inputs()))
    assert verification.ok, verification.first_difference


def test_haqs_steps_are_not_learned() -> None:
    network: QuantisedMirror = haq("residual", 1).network
    assert not any(parameter.requires_grad for parameter in network.steps.parameters())
    (found,) = network(*(torch.from_numpy(array) for array in samples(network.mirror._source.model, 4, 0)))
    found.square().sum().backward()  # type: ignore[no-untyped-call]
    assert all(q.log_scale.grad is None for q in (*network.weights.values(), *network.activations.values()))
    assert network.mirror.value(network.policy.graph.layers[0].weight).grad is not None


def request(**options: object) -> Request:
    return Request(Path("m.onnx"), "edge", (Demand.parse("size=0.5"),), Path("out"), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"quantiser": "haq", "ranges": "kl"}, "--quantizer haq has its own ranges"),
        ({"quantiser": "haq", "min_bits": 1}, "--quantizer haq has no 1-bit grid"),
        ({"quantiser": "haq", "pins": {"a": Bits(1, 8)}}, "--quantizer haq has no 1-bit grid"),
        ({"weights": "kmeans", "quantiser": "haq"}, "have nothing to choose"),
        ({"weights": "kmeans", "ranges": "max"}, "have nothing to choose"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(PolicyError, match=said):
        request(**options)
