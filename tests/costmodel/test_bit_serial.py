"""The closed form against the published table, the published latencies, and what any such machine obeys."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from haqc import targets
from haqc.costmodel import build_table
from haqc.costmodel.bit_serial import price_bit_serial
from haqc.costmodel.prices import BOUNDS, MAX_MACS, Axes, Context, Prices
from haqc.errors import ModelError
from haqc.graph import Layer
from haqc.hardware.bit_serial import BitSerial
from haqc.precision import Precision
from tests.costmodel.mobilenet_v2_layers import chain, convolution, dense, mobilenet_v2_layers

BITS = tuple(range(1, 9))
PUBLISHED = Path(__file__).parents[2] / "../shared/data/cost/haq_bismo_cloud_mobilenetv2.csv"


def cycles(
    layers: list[Layer], hardware: BitSerial, batch: int, unshared: tuple[str, ...] = ()
) -> npt.NDArray[np.int64]:
    """Gives cycles, [layer, weight, activation], at 1 to 8 bits."""
    return np.asarray(prices(layers, hardware, batch, unshared=unshared).cycles[..., 0])


def prices(
    layers: list[Layer],
    hardware: BitSerial,
    batch: int,
    weight_bits: tuple[int, ...] = BITS,
    activation_bits: tuple[int, ...] = BITS,
    *,
    unshared: tuple[str, ...] = (),
    mode: str = "reference",
) -> Prices:
    context = Context(Precision(BITS, BITS, output_bits=32), frozenset(unshared))
    return price_bit_serial(layers, hardware, Axes(weight_bits, activation_bits, (32,)), batch, mode, context)


def hardware_of(target: str) -> BitSerial:
    hardware = targets.load(target).hardware
    assert isinstance(hardware, BitSerial)
    return hardware


def test_reproduces_every_cell_of_the_published_table() -> None:
    if not PUBLISHED.exists():
        pytest.skip("the published table is not in ../shared/data/cost")
    expected = np.zeros((53, 8, 8), np.int64)
    with PUBLISHED.open(newline="") as file:
        for row in csv.DictReader(file):
            expected[int(row["layer"]), int(row["w_bits"]) - 1, int(row["a_bits"]) - 1] = int(row["latency"])
    assert np.count_nonzero(expected) == 3392
    np.testing.assert_array_equal(cycles(mobilenet_v2_layers(), hardware_of("cloud"), 16), expected)


@pytest.mark.parametrize(
    ("target", "batch", "published_ms"),
    [
        ("cloud", 16, {4: 74.46, 5: 99.43, 6: 127.07, 8: 189.82}),
        ("edge", 1, {4: 52.15, 5: 66.94, 6: 82.49, 8: 115.84}),
    ],
)
def test_reproduces_the_latencies_of_haq_table_3(target: str, batch: int, published_ms: dict[int, float]) -> None:
    hardware = hardware_of(target)
    table = cycles(mobilenet_v2_layers()[1:52], hardware, batch)  # the paper counts neither first nor last layer
    for bits, expected_ms in published_ms.items():
        latency_ms = 1e3 * table[:, bits - 1, bits - 1].sum() / hardware.clock_hz
        assert latency_ms == pytest.approx(expected_ms, rel=1e-3)


def test_totals_of_the_whole_network_by_uniform_width() -> None:
    table = cycles(mobilenet_v2_layers(), hardware_of("cloud"), 16)
    totals = [int(table[:, place, place].sum()) for place in range(8)]
    assert totals == [3433704, 7063425, 11103578, 15716150, 20916896, 26653434, 32886714, 39624933]


sizes = st.integers(1, 3000)


@settings(max_examples=150, deadline=None)
@example(rows=41, columns=61, length=6401, target="edge")  # the 8-bit rows are cut more evenly than the 7-bit ones
@given(rows=sizes, columns=sizes, length=st.integers(1, 20_000), target=st.sampled_from(["edge", "cloud"]))
def test_obeys_the_bounds_of_the_machine(rows: int, columns: int, length: int, target: str) -> None:
    hardware = hardware_of(target)
    layer = dense("y", "x", length, columns, rows=rows)
    table = cycles([layer], hardware, 1)[0]
    assert (np.diff(table, axis=0) >= 0).all()
    assert (np.diff(table, axis=1) >= 0).all()
    pairs = np.outer(BITS, BITS)
    assert (table >= layer.macs * pairs / (hardware.rows**2 * hardware.dot_bits)).all()
    assert (table * hardware.fetch_bits_per_cycle >= rows * length * np.array(BITS)).all()
    assert (table * hardware.fetch_bits_per_cycle >= columns * length * np.array(BITS)[:, None]).all()


@settings(max_examples=50, deadline=None)
@given(channels=st.integers(2, 300), size=st.integers(1, 60), kernel=st.sampled_from([3, 5]))
def test_depthwise_layers_grow_with_both_widths(channels: int, size: int, kernel: int) -> None:
    layer = convolution("y", "x", (channels, channels), kernel=kernel, stride=1, groups=channels, size_in=size)
    for target in ("edge", "cloud"):
        table = cycles([layer], hardware_of(target), 1)[0]
        assert (np.diff(table, axis=0) >= 0).all()
        assert (np.diff(table, axis=1) >= 0).all()
        assert (table > 0).all()


def test_a_huge_reduction_still_computes_in_blocks_of_one_tile() -> None:
    hardware = hardware_of("edge")
    length = 10 * hardware.buffer_words * hardware.dot_bits
    layer = dense("y", "x", length, 20, rows=20)
    table = cycles([layer], hardware, 1)[0]
    assert (table >= 9 * 10 * hardware.buffer_words * np.outer(BITS, BITS)).all()  # 3 x 3 tiles


def test_one_tile_counted_by_hand() -> None:
    """8 x 8 outputs of 256-long dot products on the edge, 2/2 bits: 4 cycles fetch a row of one plane."""
    table = cycles([dense("y", "x", 256, 8, rows=8)], hardware_of("edge"), 1)
    fetch, compute = 8 * 2 * 4, 2 * 2
    assert table[0, 1, 1] == max(max(fetch, compute) + 1, fetch + (2 - 1) * 2)


def test_a_batch_repeats_convolutions_and_lengthens_dense_layers() -> None:
    hardware = hardware_of("cloud")
    conv = convolution("c", "x", (24, 40), kernel=3, stride=1, groups=1, size_in=14)
    gemm = dense("g", "x", 1280, 1000)
    product = dense("p", "x", 64, 50, rows=50, groups=8)
    one = cycles([conv, gemm, product], hardware, 1)
    many = cycles([conv, gemm, product], hardware, 16)
    np.testing.assert_array_equal(many[0], 16 * one[0])
    assert (many[1] < 2 * one[1]).all()
    np.testing.assert_array_equal(many[1], cycles([replace(gemm, rows=16)], hardware, 1)[0])
    np.testing.assert_array_equal(many[2], 8 * cycles([replace(product, rows=800, groups=1)], hardware, 1)[0])


def test_a_product_of_two_activations_shares_nothing_over_a_batch() -> None:
    product = dense("p", "x", 64, 50, rows=50, groups=8)
    one = cycles([product], hardware_of("cloud"), 1)
    np.testing.assert_array_equal(cycles([product], hardware_of("cloud"), 16, ("p",)), 16 * one)


def test_grouped_and_depthwise_layers_map_as_products() -> None:
    cloud, edge = hardware_of("cloud"), hardware_of("edge")
    grouped = convolution("g", "x", (64, 96), kernel=3, stride=1, groups=4, size_in=14)
    single = convolution("s", "x", (16, 24), kernel=3, stride=1, groups=1, size_in=14)
    np.testing.assert_array_equal(cycles([grouped], cloud, 1), 4 * cycles([single], cloud, 1))

    def depthwise(channels: int, multiplier: int = 1) -> Layer:
        shape = (channels, channels * multiplier)
        return convolution("d", "x", shape, kernel=3, stride=1, groups=channels, size_in=14)

    def dense_block(channels: int, multiplier: int = 1) -> Layer:
        return convolution("b", "x", (channels, channels * multiplier), kernel=3, stride=1, groups=1, size_in=14)

    # 40 channels are two full passes of 16 and one of 8, each packed into one block-diagonal product.
    blocks = 2 * cycles([dense_block(16)], cloud, 1) + cycles([dense_block(8)], cloud, 1)
    np.testing.assert_array_equal(cycles([depthwise(40)], cloud, 1), blocks)
    np.testing.assert_array_equal(cycles([depthwise(16, 2)], cloud, 1), cycles([dense_block(16, 2)], cloud, 1))
    np.testing.assert_array_equal(cycles([depthwise(40)], edge, 1), 40 * cycles([dense_block(1)], edge, 1))
    np.testing.assert_array_equal(cycles([depthwise(40, 2)], edge, 1), 40 * cycles([dense_block(1, 2)], edge, 1))


def test_energy_counted_by_hand() -> None:
    """20 x 300 by 300 x 10 on the edge, batch 3, 4-bit weights and 2-bit activations; all fits one block a side."""
    hardware = hardware_of("edge")
    layer = dense("y", "x", 300, 10, rows=20)
    parts = prices([layer], hardware, 3, (4,), (2,)).energy.parts
    fetched = 320  # 300 bits in beats of 64
    dram_bits = 60 * fetched * 2 + 10 * fetched * 4 + 60 * 10 * 32
    assert list(parts) == ["compute", "on_chip", "off_chip", "leakage"]
    assert parts["on_chip"].item() == parts["leakage"].item() == 0
    assert parts["compute"].item() == pytest.approx(60 * 300 * 10 * 4 * 2 * 1.04e-12, rel=1e-12)
    assert parts["off_chip"].item() == pytest.approx(dram_bits * 15e-12, rel=1e-12)


def test_operands_that_do_not_fit_are_read_once_a_block_pair() -> None:
    """4-bit rows of 2,048 bits take 32 words, so 256 rows fill the edge's 8,192 words: 600 rows are 3 blocks."""
    layer = dense("y", "x", 2048, 300, rows=600)
    parts = prices([layer], hardware_of("edge"), 1, (4,), (4,)).energy.parts
    dram_bits = 2 * 600 * 2048 * 4 + 3 * 300 * 2048 * 4 + 600 * 300 * 32
    assert parts["off_chip"].item() == pytest.approx(dram_bits * 15e-12, rel=1e-12)


def test_refuses_a_layer_too_large_to_count() -> None:
    layer = dense("giant", "x", 2**20, 2**20, rows=2**10)
    with pytest.raises(ModelError, match=r"'giant'.*smaller --batch"):
        build_table(chain([layer], "giants"), targets.load("edge"))
    assert layer.macs > MAX_MACS


@settings(max_examples=100, deadline=None)
@given(rows=st.integers(1, 500), columns=st.integers(1, 500), length=st.integers(1, 5000), batch=st.integers(1, 20))
def test_physical_moves_all_that_must_move_and_takes_the_time_for_it(
    rows: int, columns: int, length: int, batch: int
) -> None:
    layer = dense("y", "x", length, columns, rows=rows)
    for target in ("edge", "cloud"):
        hardware = hardware_of(target)
        assert hardware.port is not None
        reference = prices([layer], hardware, batch)
        physical = prices([layer], hardware, batch, mode="physical")
        moved = sum(physical.moved_bits.parts.values())
        w, a = np.array(BITS)[:, None], np.array(BITS)
        needed = length * columns * w + batch * rows * length * a + batch * rows * columns * 32
        assert (moved[0, :, :, 0] >= needed).all()
        assert (moved >= sum(reference.moved_bits.parts.values())).all()
        assert (physical.cycles > reference.cycles).all()
        assert (physical.cycles * hardware.port.bits_per_cycle >= moved).all()
        for found in (reference, physical):
            assert (found.cycles >= found.compute_cycles).all() and (found.cycles >= found.memory_cycles).all()
        for axis in (1, 2):
            assert (np.diff(physical.cycles, axis=axis) >= 0).all()
            assert (np.diff(physical.energy.off_chip, axis=axis) >= 0).all()


def test_physical_counted_by_hand() -> None:
    """20 x 300 by 300 x 10 on the edge at 4/2 bits: 320 bits fetched a row, one port of 64 bits a cycle."""
    hardware = hardware_of("edge")
    layer = dense("y", "x", 300, 10, rows=20)
    found = prices([layer], hardware, 1, (4,), (2,), mode="physical")
    fetched = 20 * 320 * 2 + 10 * 320 * 4 + 20 * 10 * 32
    plane = 13 * 512  # 20 rows of 320 bits, aligned
    converted = 20 * 300 * 8 + plane * 2
    reference = prices([layer], hardware, 1, (4,), (2,)).cycles.item()
    assert found.cycles.item() == max(reference, -(-fetched // 64)) + -(-converted // 64)
    assert found.energy.off_chip.item() == pytest.approx((fetched + converted) * 15e-12, rel=1e-12)
    assert found.moved_bits.activations.item() == 20 * 320 * 2 + converted
    assert found.memory_cycles.item() == -(-fetched // 64) + -(-converted // 64)


def test_what_binds_a_layer() -> None:
    hardware = hardware_of("cloud")
    layers = [
        dense("deep", "x", 4096, 512, rows=512),  # many passes over what is on chip
        dense("tall", "x", 256, 16, rows=4096),  # one pass of activations past 16 filters
        dense("wide", "x", 256, 4096, rows=1),  # one row, many filters
    ]
    found = prices(layers, hardware, 1)
    assert [BOUNDS[code] for code in found.bounds()[:, 7, 7, 0]] == ["compute", "activations", "weights"]
    assert [BOUNDS[code] for code in found.bounds()[:, 0, 7, 0]] == ["compute", "activations", "weights"]
