"""The vector processor: a layer by hand, published rates, where 4 bits are slower, and what any such machine obeys."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haqc import policy as policies
from haqc import targets
from haqc.costmodel import build_table
from haqc.costmodel.prices import Axes, Context, Prices
from haqc.costmodel.vector import operator_class, price_vector
from haqc.errors import TargetError
from haqc.graph import Layer
from haqc.hardware.vector import Rates, Scales, Unpacking, Vector, Work
from haqc.precision import Precision
from tests.costmodel.mobilenet_v2_layers import chain, convolution, dense, mobilenet_v2

CHIPS = ("cortex-m4", "cortex-m7", "cortex-m85", "x86-vnni")
PRECISION = Precision((2, 4, 8), (4, 8), output_bits=8)
CHIP = Vector(
    clock_hz=100e6,
    rates=Rates((8, 32), (0.5, 0.25), (0.8, 0.4), (0.4, 0.2), (0.5, 0.25)),
    unpacking=Unpacking((2, 4), (1.5, 1.25), (0.75, 0.5), rows=2),
    work=Work(requantise_cycles=20, im2col_cycles=0.5, elementwise_cycles=8, overhead_cycles=1000),
    weights_bytes_per_s=200e6,
    activations_bytes_per_s=400e6,
    cycle_energy_j=1e-9,
    weights_energy_j_per_bit=3e-12,
    activations_energy_j_per_bit=2e-12,
)
CONV = convolution("conv", "x", (3, 8), kernel=3, stride=2, groups=1, size_in=8)
POINTWISE = convolution("point", "conv.out", (8, 16), kernel=1, stride=1, groups=1, size_in=4)
DEPTHWISE = convolution("deep", "point.out", (16, 16), kernel=3, stride=1, groups=16, size_in=4)
DENSE = dense("fc", "deep.out", 16, 10)
LAYERS = [CONV, POINTWISE, DEPTHWISE, DENSE]


def prices(
    layers: list[Layer], chip: Vector = CHIP, precision: Precision = PRECISION, batch: int = 1, **names: frozenset[str]
) -> Prices:
    return price_vector(layers, chip, Axes.of(precision), batch, "reference", Context(precision, **names))


def test_operator_classes() -> None:
    transposed = replace(POINTWISE, op="ConvTranspose")
    grouped = replace(CONV, groups=3, in_channels=6)
    found = [operator_class(layer) for layer in [*LAYERS, transposed, grouped]]
    assert found == ["conv", "pointwise", "depthwise", "dense", "conv", "conv"]


def test_layers_counted_by_hand() -> None:
    got = prices(LAYERS)
    # conv at 8/8: 16 x 27 x 8 products at 0.5, 128 outputs, 432 gathered bytes, one call.
    assert got.cycles[0, 2, 1, 0] == 1000 + 3456 / 0.5 + 128 * 20 + 432 * 0.5
    # 4-bit weights: 216 of them, again for each two of 16 positions.
    assert got.cycles[0, 1, 1, 0] == got.cycles[0, 2, 1, 0] + 216 * 8 * 1.25
    # 4-bit activations: 192 of them, once.
    assert got.cycles[0, 2, 0, 0] == got.cycles[0, 2, 1, 0] + 192 * 0.5
    # Neither pointwise nor depthwise gathers columns; a dense layer unpacks its weights once.
    assert got.cycles[1, 2, 1, 0] == pytest.approx(1000 + 2048 / 0.8 + 256 * 20, rel=1e-12)
    assert got.cycles[2, 2, 1, 0] == pytest.approx(1000 + 2304 / 0.4 + 256 * 20, rel=1e-12)
    assert got.cycles[3, 0, 1, 0] == pytest.approx(1000 + 160 / 0.5 + 10 * 20 + 160 * 1.5, rel=1e-12)
    np.testing.assert_array_equal(got.moved_bits.weights[0, :, 0, 0], [216 * 2, 216 * 4, 216 * 8])
    np.testing.assert_array_equal(got.moved_bits.activations[0, 0, :, 0], [192 * 4, 192 * 8])
    assert got.moved_bits.outputs.ravel().tolist() == [128 * 8, 256 * 8, 256 * 8, 10 * 8]
    data_bits = 192 * 8 + 128 * 8
    np.testing.assert_allclose(got.memory_cycles[0, 2, 1, 0], max(216 * 0.5, data_bits / 8 * 0.25), rtol=1e-12)
    np.testing.assert_allclose(got.energy.compute, got.cycles * 1e-9, rtol=1e-12)
    assert got.energy.on_chip[0, 0, 1, 0] == pytest.approx(data_bits * 2e-12, rel=1e-12)
    assert got.energy.off_chip[0, 2, 0, 0] == pytest.approx(216 * 8 * 3e-12, rel=1e-12)


def test_slow_flash_binds_and_then_narrow_weights_are_faster() -> None:
    slow = replace(CHIP, weights_bytes_per_s=1e5)
    got = prices([DENSE], slow)
    seconds = np.array([2, 4, 8]) * 160 / 8 / 1e5
    np.testing.assert_allclose(got.cycles[0, :, 1, 0] / 100e6, 1000 / 100e6 + seconds, rtol=1e-12)
    assert (got.bounds() == 2).all()
    # Where arithmetic binds, unpacking makes them slower.
    assert (np.diff(prices([DENSE]).cycles[0, :, 1, 0]) < 0).all()


def test_a_batch_is_rows_of_a_dense_layer_and_calls_of_a_convolution() -> None:
    one, many = prices(LAYERS), prices(LAYERS, batch=6)
    np.testing.assert_allclose(many.cycles[:3], 6 * one.cycles[:3], rtol=1e-12)
    assert many.cycles[3, 0, 1, 0] == 1000 + 6 * (160 / 0.5 + 10 * 20) + 160 * 1.5 * 3
    np.testing.assert_array_equal(many.moved_bits.weights[3], one.moved_bits.weights[3])
    apart = prices(LAYERS, batch=6, unshared=frozenset({"fc"}))
    np.testing.assert_allclose(apart.cycles[3], 6 * one.cycles[3], rtol=1e-12)


def test_float_layers_have_one_price_at_the_rate_of_float() -> None:
    precision = replace(PRECISION, has_float=True)
    got = prices(LAYERS, precision=precision, floating=frozenset({"conv"}))
    assert np.unique(got.cycles[0]).tolist() == [1000 + 3456 / 0.25 + 128 * 20 + 432 * 4 * 0.5]
    assert np.unique(np.broadcast_to(got.moved_bits.weights, (4, 3, 2, 1))[0]).tolist() == [216 * 32]
    without = replace(CHIP, rates=Rates((8,), (1.0,), (1.0,), (1.0,), (1.0,)))
    with pytest.raises(TargetError, match="rates have no width 32; add it to 'bits'"):
        prices(LAYERS, without, precision, floating=frozenset({"conv"}))


def test_a_rate_of_its_own_needs_no_unpacking_and_a_mixed_pair_does() -> None:
    chip = replace(CHIP, rates=Rates((4, 8), (1.0, 0.5), (1.6, 0.8), (0.8, 0.4), (1.0, 0.5)))
    precision = Precision((4, 8), (4, 8), output_bits=8)
    got = prices([CONV], chip, precision).cycles[0, ..., 0] - 1000 - 128 * 20 - 432 * 0.5
    assert got.tolist() == [[3456, 6912 + 216 * 8 * 1.25], [6912 + 192 * 0.5, 6912]]


def test_a_width_without_a_cost_is_refused_unless_its_pairs_are_not_allowed() -> None:
    chip = replace(CHIP, unpacking=Unpacking((4,), (1.25,), (0.5,)))
    with pytest.raises(TargetError, match=r"at 2/4 bits .* operands of 2 bits must be unpacked to 8"):
        prices([CONV], chip)
    prices([CONV], chip, replace(PRECISION, pairs=frozenset({(4, 4), (8, 8)})))


def test_scales_divide_what_is_busy_and_multiply_overhead_and_energy() -> None:
    one = prices(LAYERS)
    two = prices(LAYERS, replace(CHIP, scales=Scales(conv=2, overhead=3, energy=5)))
    assert two.cycles[0, 2, 1, 0] == 3000 + (one.cycles[0, 2, 1, 0] - 1000) / 2
    np.testing.assert_allclose(two.cycles[1:], one.cycles[1:] + 2000, rtol=1e-12)
    np.testing.assert_allclose(two.energy.compute, two.cycles * 5e-9, rtol=1e-12)


@pytest.mark.parametrize("name", CHIPS)
def test_four_bit_weights_save_bytes_and_cost_time_on_each_chip(name: str) -> None:
    # The exception to monotony in widths: arithmetic binds MobileNet-V2, and 4-bit weights must be unpacked.
    graph = mobilenet_v2()
    table = build_table(graph, targets.load(name))
    full, four = table.price(policies.plain(graph, 8, 8)), table.price(policies.plain(graph, 4, 8))
    assert four.weight_bytes == full.weight_bytes / 2
    assert 1.05 < four.latency_s / full.latency_s < 1.6


@pytest.mark.parametrize("name", CHIPS)
def test_each_chip_obeys_its_bounds(name: str) -> None:
    graph = mobilenet_v2()
    target = targets.load(name)
    table = build_table(graph, target)
    cells = table.prices
    assert np.isfinite(table.energy_j[table.allowed[None, ..., None] & np.ones(table.shape, bool)]).all()
    assert (cells.cycles >= cells.compute_cycles).all() and (cells.cycles >= cells.memory_cycles).all()
    hardware = target.hardware
    assert isinstance(hardware, Vector)
    peak = max(max(hardware.rates.of(kind)[:1]) * hardware.scales.of(kind) for kind in ("conv", "pointwise", "dense"))
    macs = np.array([layer.macs for layer in graph.layers])
    assert (macs[:, None] / cells.cycles[:, -1, -1] <= peak).all()


def test_the_m85_is_several_times_as_fast_at_convolutions_as_at_depthwise_ones() -> None:
    # MLPerf Tiny v1.2, EK-RA8D1: 3.07 multiply-accumulates a cycle on ResNet-8, which has only the former, and 1.17 on
    # MobileNet-V1-0.25, whose depthwise layers must lie below that.
    target = targets.load("cortex-m85")
    wide = chain([convolution("c", "x", (32, 32), kernel=3, stride=1, groups=1, size_in=16)])
    deep = chain([convolution("d", "x", (32, 32), kernel=3, stride=1, groups=32, size_in=16)])
    rates = [
        graph.macs / build_table(graph, target).latency_s[0, 1, 0, 0] / target.hardware.clock_hz
        for graph in (wide, deep)
    ]
    assert 2.5 < rates[0] < 4 and rates[1] < 1.17


def test_elementwise_operators_run_at_the_speed_of_their_loop() -> None:
    streaming = CHIP.streaming("reference")
    assert streaming.bits_per_s == 100e6
    assert streaming.energy_j_per_bit == pytest.approx(1e-9 + 2e-12, rel=1e-12)
    assert replace(CHIP, activations_bytes_per_s=1e6).streaming("reference").bits_per_s == 8e6


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3, 5]), st.integers(4, 20), st.integers(1, 4),
    st.booleans(),
)  # fmt: skip
def test_monotone_in_products_and_never_under_a_bound(
    channels: int, outputs: int, kernel: int, size: int, batch: int, is_depthwise: bool
) -> None:
    def layer(more: int) -> Layer:
        pair = (channels + more, channels + more if is_depthwise else outputs)
        groups = channels + more if is_depthwise else 1
        return convolution("c", "x", pair, kernel=kernel, stride=1, groups=groups, size_in=size)

    if is_depthwise and channels == 1:
        return
    got, larger = prices([layer(0)], batch=batch), prices([layer(1)], batch=batch)
    assert (larger.cycles > got.cycles).all()
    assert (got.cycles >= got.compute_cycles).all() and (got.cycles >= got.memory_cycles).all()
    # Wider activations of the same rate need less unpacking, narrower ones move fewer bits.
    moved = got.moved_bits
    assert (np.diff(moved.activations, axis=2) > 0).all() and (np.diff(moved.weights, axis=1) > 0).all()


def test_a_permutation_of_equal_layers_permutes_prices() -> None:
    order = [2, 0, 3, 1]
    got, permuted = prices(LAYERS), prices([LAYERS[place] for place in order])
    np.testing.assert_array_equal(permuted.cycles, got.cycles[order])


def test_parameters_that_contradict_one_another_are_refused() -> None:
    with pytest.raises(TargetError, match="widths of rates must ascend and hold 8"):
        Rates((4,), (1.0,), (1.0,), (1.0,), (1.0,))
    with pytest.raises(TargetError, match="rates of dense must be one above zero"):
        Rates((8,), (1.0,), (1.0,), (1.0,), (1.0, 2.0))
    with pytest.raises(TargetError, match="cycles of unpacking must be one"):
        Unpacking((4,), (1.0,), ())
    with pytest.raises(TargetError, match="clock_hz must be above zero"):
        replace(CHIP, clock_hz=-1.0)
