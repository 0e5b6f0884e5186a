"""Rooflines of graphics processors: layers counted by hand, the bounds, ridge points, and what may not fall."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haqc import targets
from haqc.costmodel import build_table
from haqc.costmodel.prices import Axes, Context, Prices
from haqc.costmodel.tensor_core import price_tensor_core
from haqc.errors import TargetError
from haqc.graph import Layer
from haqc.hardware.tensor_core import TensorCore, TensorRate
from haqc.precision import Precision
from tests.costmodel.mobilenet_v2_layers import chain, convolution, dense, mobilenet_v2

CHIPS = ("a100", "h100", "t4")

# 4 multiprocessors of 1 GHz; 64 and 128 multiply-accumulates per cycle and multiprocessor at 8/8 and 4/4.
TOY = TensorCore(
    clock_hz=1e9, multiprocessors=4, rates=(TensorRate(8, 8, 256e9), TensorRate(4, 4, 512e9)), tiles=((16, 8),),
    tile_depth_bits=128, efficiency=1.0, vector_macs_per_s=16e9, dram_bits_per_s=800e9, launch_s=100e-9,
    board_power_w=10.0, static_power_w=2.0, dram_energy_j_per_bit=5e-12,
)  # fmt: skip
WIDE = replace(TOY, dram_bits_per_s=1e18)  # never bound by its memory


def hardware_of(chip: str) -> TensorCore:
    hardware = targets.load(chip).hardware
    assert isinstance(hardware, TensorCore)
    return hardware


def prices(
    layers: list[Layer],
    hardware: TensorCore,
    batch: int = 1,
    widths: tuple[int, ...] = (4, 8),
    outputs: tuple[int, ...] = (4, 8, 32),
    *,
    unshared: tuple[str, ...] = (),
    floating: tuple[str, ...] = (),
) -> Prices:
    context = Context(Precision(widths, widths, has_float=True), frozenset(unshared), frozenset(), frozenset(floating))
    return price_tensor_core(layers, hardware, Axes(widths, widths, outputs), batch, "roofline", context)


def conv(channels: tuple[int, int], *, kernel: int = 3, size: int = 14, groups: int = 1) -> Layer:
    return convolution("c", "x", channels, kernel=kernel, stride=1, groups=groups, size_in=size)


@pytest.mark.parametrize(
    ("chip", "macs_per_cycle"),
    [("t4", {8: 1024, 4: 2048}), ("a100", {8: 2048, 4: 4096, 1: 16384}), ("h100", {8: 4096})],
)
def test_peaks_are_those_of_the_tensor_cores_at_the_clock(chip: str, macs_per_cycle: dict[int, int]) -> None:
    """Rates of the data sheets against multiply-accumulates per cycle and multiprocessor of the white papers."""
    hardware = hardware_of(chip)
    found = {rate.weight_bits: rate.macs_per_s for rate in hardware.rates}
    peaks = {bits: each * hardware.multiprocessors * hardware.clock_hz for bits, each in macs_per_cycle.items()}
    assert found == pytest.approx(peaks, rel=3e-3)


@pytest.mark.parametrize(
    ("chip", "pairs"), [("t4", {(4, 4), (8, 8)}), ("a100", {(1, 1), (4, 4), (8, 8)}), ("h100", {(8, 8)})]
)
def test_offers_only_the_pairs_that_the_chip_has(chip: str, pairs: set[tuple[int, int]]) -> None:
    target = targets.load(chip)
    assert target.precision.allowed_pairs == pairs
    assert target.precision.has_float
    assert (target.latency_grade, target.energy_grade) == ("datasheet", "estimate")
    table = build_table(mobilenet_v2(), target)
    finite = {
        (w, a)
        for i, w in enumerate(table.axes.weight_bits)
        for j, a in enumerate(table.axes.activation_bits)
        if np.isfinite(table.latency_s[:, i, j]).all()
    }
    assert finite == pairs


def test_one_product_counted_by_hand() -> None:
    """33 x 40 by 40 x 20 takes 3 x 3 tiles of 16 x 8 in 3 waves of 4, each 48 deep at 8 bits and 64 deep at 4."""
    found = prices([dense("y", "x", 40, 20, rows=33)], WIDE)
    cycles = found.cycles[0, :, :, 0]
    assert cycles[1, 1] == pytest.approx(3 * 16 * 8 * 48 / 64 + 100, rel=1e-12)
    assert cycles[0, 0] == pytest.approx(3 * 16 * 8 * 64 / 128 + 100, rel=1e-12)
    assert cycles[0, 1] == cycles[1, 0] == cycles[1, 1]  # the smallest pair that covers 4/8 is 8/8
    assert found.bounds()[0, 1, 1, 0] == 0


def test_the_fastest_tile_is_taken() -> None:
    """With tiles of 16 x 16 as well, 33 x 20 outputs take 3 x 2 of them in 2 waves, which is more than 3 of 16 x 8."""
    layer = dense("y", "x", 48, 20, rows=33)
    both = replace(WIDE, tiles=((16, 8), (16, 16)))
    assert prices([layer], both).cycles[0, 1, 1, 0] == prices([layer], WIDE).cycles[0, 1, 1, 0]
    square = prices([layer], replace(WIDE, tiles=((16, 16),))).cycles[0, 1, 1, 0]
    assert square == pytest.approx(2 * 16 * 16 * 48 / 64 + 100, rel=1e-12)
    even = dense("y", "x", 48, 32, rows=32)  # 4 of 16 x 16 are one full wave, 8 of 16 x 8 are two
    assert prices([even], both).compute_cycles[0, 1, 0, 0] == pytest.approx(16 * 16 * 48 / 64, rel=1e-12)


def test_efficiency_slows_the_matrix_units_only() -> None:
    layers = [dense("y", "x", 48, 32, rows=32), conv((64, 64), groups=64)]
    slow, fast = prices(layers, replace(WIDE, efficiency=0.5)), prices(layers, WIDE)
    np.testing.assert_allclose(slow.compute_cycles[:, 1, 1, 0] / fast.compute_cycles[:, 1, 1, 0], [2, 1], rtol=1e-12)


def test_traffic_and_energy_counted_by_hand() -> None:
    """A 3 x 3 convolution of 16 x 16 channels on 14 x 14 pixels, batch 2, 4-bit operands, 8-bit results."""
    found = prices([conv((16, 16))], TOY, 2)
    pixels, weights = 2 * 14 * 14 * 16, 16 * 16 * 9
    assert found.moved_bits.activations[0, 0, 0, 0] == pixels * 4
    assert found.moved_bits.weights[0, 0, 0, 0] == weights * 4
    assert found.moved_bits.outputs[0, 0, 0].tolist() == [pixels * 4, pixels * 8, pixels * 32]
    bits = pixels * 4 + weights * 4 + pixels * 8
    memory_s = bits / 800e9
    assert found.memory_cycles[0, 0, 0, 1] == pytest.approx(memory_s * 1e9, rel=1e-12)
    # 392 rows are 25 tiles, 16 columns 2: 50 tiles in 13 waves, 160 deep at 4 bits.
    compute_s = 13 * 16 * 8 * 160 / 128e9
    assert found.compute_cycles[0, 0, 0, 0] == pytest.approx(compute_s * 1e9, rel=1e-12)
    seconds = max(compute_s, memory_s) + 100e-9
    assert found.cycles[0, 0, 0, 1] == pytest.approx(seconds * 1e9, rel=1e-12)
    parts = found.energy.parts
    macs = 2 * 14 * 14 * weights
    assert parts["compute"][0, 0, 0, 0] == pytest.approx(macs * 8.0 / 512e9, rel=1e-12)
    assert parts["off_chip"][0, 0, 0, 1] == pytest.approx(bits * 5e-12, rel=1e-12)
    assert parts["leakage"][0, 0, 0, 1] == pytest.approx(seconds * 2.0, rel=1e-12)
    assert not parts["on_chip"].any()


@pytest.mark.parametrize("chip", CHIPS)
def test_depthwise_layers_run_on_the_vector_units_and_are_bound_by_the_memory(chip: str) -> None:
    hardware = hardware_of(chip)
    layer = conv((192, 192), groups=192, size=56)
    found = prices([layer], hardware, 16)
    assert found.compute_cycles[0, 0, 0, 0] == pytest.approx(
        16 * layer.macs / hardware.vector_macs_per_s * hardware.clock_hz, rel=1e-12
    )
    assert (found.bounds()[0, :, :, 1:] == 1).all()
    assert (found.compute_cycles[0] < found.memory_cycles[0, 1, 1, 1]).all()


def test_narrow_groups_run_on_the_vector_units_and_wide_ones_on_the_matrix_units() -> None:
    hardware = hardware_of("t4")
    narrow, wide = conv((128, 128), groups=32, size=56), conv((512, 512), groups=2, size=56)
    found = prices([narrow, wide], hardware, 16).compute_cycles[:, 1, 1, 0]
    on_vectors = [16 * y.macs / hardware.vector_macs_per_s * hardware.clock_hz for y in (narrow, wide)]
    assert found[0] == pytest.approx(on_vectors[0], rel=1e-12)
    assert found[1] < on_vectors[1] / 4


@pytest.mark.parametrize("chip", CHIPS)
def test_ridge_points_part_compute_from_memory(chip: str) -> None:
    """A product of whole tiles and waves is bound by compute above peak over bandwidth, and by memory below."""
    hardware = hardware_of(chip)
    ridge = hardware.covering(8, 8).macs_per_s * 8 / hardware.dram_bits_per_s  # multiply-accumulates per byte
    rows, columns = 128 * hardware.multiprocessors, 128 * 8
    outputs = rows * columns
    for share, bound in ((0.5, 1), (2.0, 0)):
        # intensity = outputs * depth / (rows * depth + depth * columns + outputs), solved for the depth
        wanted = share * ridge
        depth = wanted * outputs / (outputs - wanted * (rows + columns))
        layer = dense("y", "x", -(-int(depth) // 64) * 64, columns, rows=rows)
        found = prices([layer], hardware, widths=(8,), outputs=(8,))
        assert found.bounds().item() == bound
        peak_cycles = layer.macs / hardware.covering(8, 8).macs_per_s * hardware.clock_hz
        assert found.compute_cycles.item() == pytest.approx(peak_cycles, rel=1e-12)


def test_layers_in_float_run_on_the_vector_units_at_one_price() -> None:
    layer = dense("y", "x", 64, 32, rows=64)
    found = prices([layer], TOY, floating=("y",))
    assert (found.cycles[0, :, :, 0] == found.cycles[0, 0, 0, 0]).all()
    assert found.compute_cycles[0, 0, 0, 0] == pytest.approx(layer.macs / 16e9 * 1e9, rel=1e-12)
    assert found.moved_bits.weights.ravel().tolist() == [64 * 32 * 32] * 2
    assert (found.moved_bits.activations == 64 * 64 * 32).all()


def test_a_batch_shares_weights_unless_they_are_activations() -> None:
    layer = dense("y", "x", 64, 50, rows=50, groups=8)
    one, many = prices([layer], TOY), prices([layer], TOY, 16)
    alone = prices([layer], TOY, 16, unshared=("y",))
    np.testing.assert_array_equal(many.moved_bits.weights, one.moved_bits.weights)
    np.testing.assert_array_equal(alone.moved_bits.weights, 16 * one.moved_bits.weights)
    assert alone.moved_bits.weights[0].tolist() == (16 * 8 * 64 * 50 * np.array([[[4]], [[8]]])).tolist()
    assert (many.compute_cycles < 16 * one.compute_cycles).all()  # rows of 16 inferences fill tiles better
    assert (alone.compute_cycles >= many.compute_cycles).all()


def test_the_output_of_a_transposed_convolution_is_its_enlarged_input() -> None:
    layer = replace(
        conv((8, 4), kernel=2, size=5), op="ConvTranspose", stride=(2, 2), rows=25, reduction=8, columns=4 * 4
    )
    found = prices([layer], TOY).moved_bits
    assert found.outputs[0, 0, 0, 1] == 4 * 100 * 8
    assert found.activations[0, 0, 1, 0] == 8 * 25 * 8
    assert found.weights[0, 1, 0, 0] == 8 * 16 * 8


sizes = st.integers(1, 2000)


@settings(max_examples=60, deadline=None)
@given(
    rows=sizes, columns=sizes, length=st.integers(1, 8000), groups=st.integers(1, 4), more=st.integers(1, 300),
    chip=st.sampled_from(CHIPS), batch=st.sampled_from([1, 16]),
)  # fmt: skip
def test_obeys_the_bounds_and_never_falls(
    rows: int, columns: int, length: int, groups: int, more: int, chip: str, batch: int
) -> None:
    hardware, precision = hardware_of(chip), targets.load(chip).precision
    widths = precision.weight_widths
    layer = dense("y", "x", length, columns, rows=rows, groups=groups)
    found = prices([layer], hardware, batch, widths, (*widths, 32))
    cycles, bits = found.cycles[0], sum(found.moved_bits.parts.values())[0]
    for place, width in enumerate(widths):
        fastest = max(hardware.covering(width, width).macs_per_s, hardware.vector_macs_per_s)
        seconds = batch * layer.macs / fastest
        assert (cycles[place, place] >= seconds * hardware.clock_hz * (1 - 1e-12)).all()
    assert (cycles >= bits / hardware.dram_bits_per_s * hardware.clock_hz * (1 - 1e-12)).all()
    assert (cycles >= found.compute_cycles[0]).all() and (cycles >= found.memory_cycles[0]).all()
    for axis in range(3):  # no exceptions: a narrower operand is never slower
        assert (np.diff(cycles, axis=axis) >= 0).all()
        assert (np.diff(found.energy.off_chip[0], axis=axis) >= 0).all()
    for larger in (
        dense("y", "x", length + more, columns, rows=rows, groups=groups),
        dense("y", "x", length, columns + more, rows=rows, groups=groups),
        dense("y", "x", length, columns, rows=rows + more, groups=groups),
    ):
        assert (prices([larger], hardware, batch, widths, (*widths, 32)).cycles[0] >= cycles).all()


def test_energy_may_fall_where_a_larger_product_moves_to_the_matrix_units() -> None:
    """The listed exception: 15 rows run on the vector units, whose operations cost more, and 17 do not."""
    hardware = replace(WIDE, vector_macs_per_s=250e9 / 4)
    small, large = (prices([dense("y", "x", 32, 8, rows=n)], hardware) for n in (15, 17))
    assert small.energy.compute[0, 1, 1, 0] == pytest.approx(15 * 32 * 8 * 8.0 / 62.5e9, rel=1e-12)
    assert large.energy.compute[0, 1, 1, 0] == pytest.approx(17 * 32 * 8 * 8.0 / 256e9, rel=1e-12)
    assert large.energy.compute[0, 1, 1, 0] < small.energy.compute[0, 1, 1, 0]
    assert large.cycles[0, 1, 1, 0] > small.cycles[0, 1, 1, 0]


def test_equal_layers_in_another_order_have_the_same_prices() -> None:
    layers = [conv((32, 64)), dense("d", "x", 100, 10), conv((64, 64), groups=64)]
    forward, backward = prices(layers, TOY, 4), prices(layers[::-1], TOY, 4)
    np.testing.assert_array_equal(forward.cycles, backward.cycles[::-1])


def test_operators_beside_the_layers_stream_through_the_memory() -> None:
    hardware = hardware_of("t4")
    streaming = hardware.streaming("roofline")
    assert streaming is not None and streaming.bits_per_s == 320e9 * 8 and "Add" in streaming.fused
    table = build_table(chain([conv((8, 8))]), targets.load("t4"))
    assert table.mode == "roofline" and table.batch == 16


def test_refuses_contradictions() -> None:
    with pytest.raises(TargetError, match="no rate of the matrix units covers 8/8"):
        replace(TOY, rates=(TensorRate(4, 4, 1e9),))
    with pytest.raises(TargetError, match="cannot idle"):
        replace(TOY, static_power_w=10.0)
    with pytest.raises(TargetError, match="efficiency must be at most 1"):
        replace(TOY, efficiency=1.1)
    with pytest.raises(TargetError, match="tiles must be pairs"):
        replace(TOY, tiles=())
    with pytest.raises(TargetError, match="no rate for 16/8 bits"):
        TOY.covering(16, 8)
