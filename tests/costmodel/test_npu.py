"""Ethos-U: layers counted by hand, its bounds, and what lower widths of weights save."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haqc import targets
from haqc.costmodel import build_table
from haqc.costmodel.npu import PortPrices, price_npu
from haqc.costmodel.prices import Axes, Context
from haqc.errors import ModelError, TargetError
from haqc.graph import Layer
from haqc.hardware.npu import Npu
from haqc.policy import plain
from haqc.precision import Precision
from tests.costmodel.mobilenet_v2_layers import chain, convolution, dense, mobilenet_v2

BITS = tuple(range(1, 9))
CHIPS = ("ethos-u55-128", "ethos-u65-512")


def hardware_of(chip: str) -> Npu:
    hardware = targets.load(chip).hardware
    assert isinstance(hardware, Npu)
    return hardware


def prices(
    layers: list[Layer],
    hardware: Npu,
    batch: int = 1,
    *,
    widths: tuple[int, ...] = BITS,
    unshared: tuple[str, ...] = (),
) -> PortPrices:
    context = Context(Precision(widths, (8,), output_bits=8), frozenset(unshared))
    return price_npu(layers, hardware, Axes(widths, (8,), (8,)), batch, "estimate", context)


def conv(channels: tuple[int, int], *, kernel: int = 1, size: int = 16, stride: int = 1, groups: int = 1) -> Layer:
    return convolution("c", "x", channels, kernel=kernel, stride=stride, groups=groups, size_in=size)


U55, U65 = hardware_of("ethos-u55-128"), hardware_of("ethos-u65-512")
NO_DRAIN = replace(U55, values_per_block=1, sram_bits_per_s=1e18, off_chip_bits_per_s=1e18)


def multiplying(layer: Layer, hardware: Npu = NO_DRAIN) -> float:
    """Gives the cycles of the multipliers alone: an output stage that takes next to no time."""
    return float(prices([layer], replace(hardware, output_cycles_per_value=1e-9)).compute_cycles[0, 0, 0, 0])


def test_peaks_are_those_of_the_names() -> None:
    assert U55.macs_per_cycle == 128 and U55.clock_hz == 500e6
    assert U65.macs_per_cycle == 512 and U65.clock_hz == 1e9
    assert (U55.sram_bits_per_s, U55.off_chip_bits_per_s) == (64 * 500e6, 8 * 500e6)
    assert (U65.sram_bits_per_s, U65.off_chip_bits_per_s) == (128 * 1e9, 96 * 1e9)


@pytest.mark.parametrize(
    ("layer", "cycles"),
    [
        # 16 x 8 micro-blocks of 1 x 2 pixels, 4 of 8 channels; 64 channels are 8 dot products
        (conv((64, 32)), 16 * 8 * 4 * 8),
        # 40 channels are taken as 64 by depth, so 9 taps are 72 steps; gathered as 12, of 5 dot products each, 60
        (conv((40, 32), kernel=3), 16 * 8 * 4 * 60),
        # 3 channels are one dot product of gathered taps: 9 as 12
        (conv((3, 32), kernel=3, stride=2), 8 * 4 * 4 * 12),
        # depthwise: 5 groups of 8 channels, 9 taps as 12, one lane of each dot product
        (conv((36, 36), kernel=3, groups=36), 16 * 8 * 5 * 12),
        # 4 groups, each a convolution of 16 by 16 channels: 2 x 8 channels out, 16 in gathered as 4 taps of 2 steps
        # or as 32 by depth, 4 steps
        (conv((64, 64), groups=4), 4 * 16 * 8 * 2 * 4),
        # 3 x 3 pixels are 3 x 2 micro-blocks, fewer than the 8 cycles in which 64 weights are decoded
        (conv((64, 32), size=3), 8 * 4 * 8),
        (dense("y", "x", 1280, 1000), 8 * 125 * 160),
        # 50 rows are taken as 8 x 7
        (dense("y", "x", 64, 16, rows=50), 8 * 4 * 2 * 8),
    ],
)
def test_multiplication_counted_by_hand(layer: Layer, cycles: int) -> None:
    assert multiplying(layer) == pytest.approx(cycles, rel=1e-6)


def test_two_cores_share_output_channels_and_larger_blocks() -> None:
    free = replace(U65, values_per_block=1, sram_bits_per_s=1e18, off_chip_bits_per_s=1e18)
    assert multiplying(conv((64, 32)), free) == pytest.approx(8 * 8 * 4 * 8 / 2, rel=1e-6)


def test_a_line_is_cut_into_blocks_of_one_row() -> None:
    line = replace(conv((64, 32)), kernel=(1,), stride=(1,), rows=101)
    free = replace(U65, values_per_block=1, sram_bits_per_s=1e18, off_chip_bits_per_s=1e18)
    assert multiplying(line) == pytest.approx(51 * 4 * 8, rel=1e-6)
    assert multiplying(line, free) == pytest.approx(26 * 4 * 8 / 2, rel=1e-6)


def test_a_transposed_convolution_runs_over_its_input_with_zeros_in_between() -> None:
    layer = replace(conv((16, 8), kernel=4, size=8), op="ConvTranspose", stride=(2, 2), reduction=16, columns=8 * 16)
    direct = replace(conv((16, 8), kernel=4, size=16))
    assert multiplying(layer) == multiplying(direct)
    assert prices([layer], U55).moved_bits.outputs.item() == 8 * 16 * 16 * 8


def test_the_output_stage_and_the_last_block() -> None:
    """16 to 96 channels on 16 x 16 pixels: 4 steps for each of 16 x 8 x 12 blocks; half a cycle for each value."""
    macs, values = 16 * 8 * 12 * 4, 16 * 16 * 96
    found = prices([conv((16, 96))], U55).compute_cycles[0, 0, 0, 0]
    assert found == pytest.approx(values / 2 + macs * 2048 / values, rel=1e-12)
    few = prices([dense("y", "x", 1280, 1000)], U55).compute_cycles[0, 0, 0, 0]
    assert few == pytest.approx(160_000 + 1000 / 2, rel=1e-12)  # all of it is one block


def test_traffic_and_energy_counted_by_hand() -> None:
    """64 to 80 channels on 16 x 16 pixels: 3 passes over the input, 80 bits of bias and scale a channel."""
    found = prices([conv((64, 80))], U55)
    read, written, weights = 3 * 16 * 16 * 64 * 8, 16 * 16 * 80 * 8, 64 * 80 * 5.01 + 80 * 80
    assert found.moved_bits.activations.item() == read
    assert found.moved_bits.outputs.item() == written
    assert found.moved_bits.weights[0, 4, 0, 0] == pytest.approx(weights, rel=1e-12)
    assert found.activation_cycles.item() == pytest.approx((read + written) / 64, rel=1e-12)
    assert found.weight_cycles[0, 4, 0, 0] == pytest.approx(weights / 8, rel=1e-12)
    parts = found.energy.parts
    assert parts["compute"].item() == pytest.approx(16 * 16 * 64 * 80 * 0.3e-12, rel=1e-12)
    assert parts["on_chip"].item() == pytest.approx((read + written) * 1.56e-12, rel=1e-12)
    assert parts["off_chip"][0, 4, 0, 0] == pytest.approx(weights * 20.31e-12, rel=1e-12)
    assert not parts["leakage"].any()


def test_lower_widths_of_weights_save_bytes_and_no_multiplication() -> None:
    table = build_table(mobilenet_v2(), targets.load("ethos-u55-128"))
    assert table.axes.weight_bits == BITS and table.axes.activation_bits == table.axes.output_bits == (8,)
    compute = np.broadcast_to(table.prices.compute_cycles, table.shape)
    assert (compute == compute[:, :1]).all()
    stored = np.array([bits for _, bits in U55.stored_bits])
    assert (np.diff(table.moved_bits["weights"], axis=1) > 0).all()
    assert (np.diff(table.cycles, axis=1) >= 0).all()
    at_4, at_8 = (table.price(plain(mobilenet_v2(), bits, 8)) for bits in (4, 8))
    assert at_4.energy_j < at_8.energy_j and at_4.latency_s <= at_8.latency_s
    assert at_4.weight_bytes == at_8.weight_bytes / 2
    # The classifier is bound by flash at every width; were its 8 bits a cycle 32, by the decoder up to 3 bits.
    fetched_bits = 1280 * 1000 * stored + 80 * 1000
    assert table.cycles[-1, :, 0, 0] == pytest.approx(fetched_bits / 8, rel=1e-12)
    faster = prices([dense("y", "x", 1280, 1000)], replace(U55, off_chip_bits_per_s=32 * 500e6)).cycles[0, :, 0, 0]
    assert faster == pytest.approx(np.maximum(fetched_bits / 32, 160_500), rel=1e-12)
    assert (faster[:3] == 160_500).all() and (faster[4:] > 160_500).all()
    assert table.bounds[-1, 7, 0, 0] == 2


def test_what_binds_a_layer_is_the_port_that_is_busy_for_longer() -> None:
    wide = conv((512, 512), size=2)  # 8 times as many bits of weights as of activations
    assert prices([wide], U55).bounds()[0, 7, 0, 0] == 2
    slow = replace(U55, sram_bits_per_s=64e6, off_chip_bits_per_s=64e9)
    found = prices([wide], slow)
    assert found.moved_bits.weights[0, 7, 0, 0] > found.moved_bits.activations.item() + found.moved_bits.outputs.item()
    assert found.bounds()[0, 7, 0, 0] == 1
    assert prices([conv((64, 64), kernel=3)], U55).bounds()[0, 7, 0, 0] == 0


def test_feature_maps_beyond_the_cache_go_off_the_chip() -> None:
    fits, spills = conv((16, 8), size=128), conv((16, 16), size=128)
    found = prices([fits, spills], U65)
    pixels = 128 * 128 * 8
    assert found.energy.on_chip.ravel() == pytest.approx([pixels * 24 * 1.06e-12, 0], rel=1e-12)
    expected = (pixels * 32 + 16 * 16 * 8 + 16 * 80) / 96
    assert found.memory_cycles[1, 7, 0, 0] == pytest.approx(expected, rel=1e-12)
    assert found.memory_cycles[0, 7, 0, 0] == pytest.approx(pixels * 24 / 128, rel=1e-12)
    assert (prices([spills], U55).energy.off_chip < found.energy.off_chip[1]).all()


def test_a_batch_repeats_convolutions_and_shares_dense_weights() -> None:
    layers = [conv((24, 40), kernel=3), dense("g", "x", 1280, 1000)]
    one, many = prices(layers, U55), prices(layers, U55, 16)
    np.testing.assert_allclose(many.cycles[0], 16 * one.cycles[0], rtol=1e-12)
    np.testing.assert_array_equal(many.moved_bits.weights[:, 7, 0, 0] / one.moved_bits.weights[:, 7, 0, 0], [16, 1])
    assert (many.cycles[1] < 3 * one.cycles[1]).all()


def test_refuses_products_of_two_activations_and_contradictions() -> None:
    with pytest.raises(ModelError, match=r"layer 'y' multiplies two activations.*choose a target of another kind"):
        prices([dense("y", "x", 64, 50, rows=50)], U55, unshared=("y",))
    with pytest.raises(TargetError, match="leave dot products of 8 ragged"):
        replace(U55, depth_step=12)
    with pytest.raises(TargetError, match="stored bits of weights must be above zero"):
        replace(U55, stored_bits=((8, 0.0),))


@settings(max_examples=60, deadline=None)
@given(
    side=st.integers(1, 40), inputs=st.integers(1, 300), outputs=st.integers(1, 300),
    kernel=st.sampled_from([1, 3, 5, 9]), chip=st.sampled_from(CHIPS), is_depthwise=st.booleans(),
)  # fmt: skip
def test_obeys_the_bounds_and_never_falls(
    side: int, inputs: int, outputs: int, kernel: int, chip: str, is_depthwise: bool
) -> None:
    hardware = hardware_of(chip)

    def made(size: int, into: int, out: int, taps: int) -> Layer:
        if is_depthwise:
            return conv((into + 1, into + 1), kernel=taps, size=size, groups=into + 1)
        return conv((into, out), kernel=taps, size=size)

    layer = made(side, inputs, outputs, kernel)
    found = prices([layer], hardware)
    cycles = found.cycles[0]
    assert (cycles >= layer.macs / hardware.macs_per_cycle * (1 - 1e-12)).all()
    assert (cycles >= found.compute_cycles[0]).all() and (cycles >= found.memory_cycles[0]).all()
    moved = found.moved_bits
    assert moved.activations.item() >= layer.in_channels * layer.feature_size * 8
    assert moved.outputs.item() == layer.rows * layer.out_channels * 8
    assert (np.diff(cycles, axis=0) >= 0).all()
    # No exceptions: more pixels, more channels and more taps are never faster.
    for larger in (
        made(side + 1, inputs, outputs, kernel), made(side, inputs + 1, outputs, kernel),
        made(side, inputs, outputs + 1, kernel), made(side, inputs, outputs, kernel + 2),
    ):  # fmt: skip
        assert (prices([larger], hardware).cycles[0] >= cycles * (1 - 1e-12)).all()


@settings(max_examples=60, deadline=None)
@given(rows=st.integers(1, 5000), length=st.integers(1, 3000), columns=st.integers(1, 500), chip=st.sampled_from(CHIPS))
def test_more_rows_are_never_faster(rows: int, length: int, columns: int, chip: str) -> None:
    hardware = hardware_of(chip)
    few, more = (prices([dense("y", "x", length, columns, rows=n)], hardware).cycles for n in (rows, rows + 1))
    assert (more >= few * (1 - 1e-12)).all()


def test_equal_layers_in_another_order_have_the_same_prices() -> None:
    layers = [conv((32, 64)), dense("d", "x", 100, 10), conv((64, 64), kernel=3, groups=64)]
    np.testing.assert_array_equal(prices(layers, U65).cycles, prices(layers[::-1], U65).cycles[::-1])


def test_operators_beside_the_layers_stream_through_the_sram() -> None:
    streaming = U55.streaming("estimate")
    assert streaming is not None and streaming.bits_per_s == U55.sram_bits_per_s
    assert build_table(chain([conv((8, 8))]), targets.load("ethos-u65-512")).mode == "estimate"


@pytest.mark.parametrize(
    ("chip", "expected"),
    [
        ("ethos-u55-128", {"conv0": 303263, "conv2": 101056, "conv3": 603016, "conv7": 339844, "conv14": 39040}),
        ("ethos-u65-512", {"conv6": 69161, "conv9": 69190, "conv20": 6552}),
    ],
)
def test_lies_near_the_vendors_estimates(chip: str, expected: dict[str, int]) -> None:
    """Cycles that Vela 5.2.0 gives for layers of MobileNet-V2; ``benchmarks/vela.py`` compares all."""
    table = build_table(mobilenet_v2(), targets.load(chip))
    found = dict(zip(table.layer_names, table.cycles[:, 7, 0, 0], strict=True))
    tolerance = 0.01 if chip == "ethos-u55-128" else 0.2
    for name, cycles in expected.items():
        assert found[name] == pytest.approx(cycles, rel=tolerance), name
