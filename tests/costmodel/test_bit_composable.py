"""The search of tilings against the published simulator, and what both modes obey."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from math import ceil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haqc import targets
from haqc.costmodel import build_table
from haqc.costmodel.bit_composable import price_bit_composable, price_with
from haqc.costmodel.bit_composable_mapping import Cell, map_nest
from haqc.costmodel.bit_composable_tiling import Nest
from haqc.costmodel.bit_composable_traffic import CORRECTED, REFERENCE, Corrections
from haqc.costmodel.prices import Axes, Context, Prices
from haqc.errors import TargetError
from haqc.graph import Layer
from haqc.hardware.bit_composable import BitComposable
from haqc.policy import baseline
from haqc.precision import Precision
from tests.costmodel.mobilenet_v2_layers import chain, convolution, dense, mobilenet_v2_layers
from tests.costmodel.resnet18_layers import resnet18, resnet18_layers

BITS = tuple(range(1, 9))
POWERS = (1, 2, 4, 8)
SIMULATED = Path(__file__).parents[2] / "../shared/data/cost/bitfusion_bf_e_lenet_alexnet.csv"


def hardware_of(target: str) -> BitComposable:
    hardware = targets.load(target).hardware
    assert isinstance(hardware, BitComposable)
    return hardware


def prices(
    layers: list[Layer],
    hardware: BitComposable,
    batch: int,
    corrections: Corrections = REFERENCE,
    *,
    bits: tuple[int, ...] = BITS,
    output_bits: tuple[int, ...] = (8,),
    first: tuple[str, ...] = (),
    unshared: tuple[str, ...] = (),
) -> Prices:
    context = Context(Precision(BITS, BITS), frozenset(unshared), frozenset(first))
    return price_with(layers, hardware, Axes(bits, bits, output_bits), batch, corrections, context)


def energy_j(prices: Prices) -> npt.NDArray[np.float64]:
    total = np.sum([np.broadcast_to(part, prices.cycles.shape) for part in prices.energy.parts.values()], axis=0)
    return np.asarray(total)


def moved_bits(prices: Prices) -> npt.NDArray[np.float64]:
    parts = prices.moved_bits.parts.values()
    return np.asarray(np.sum([np.broadcast_to(part, prices.cycles.shape) for part in parts], axis=0))


def simulated_rows() -> list[dict[str, str]]:
    if not SIMULATED.exists():
        pytest.skip("the simulator's rows are not in ../shared/data/cost")
    with SIMULATED.open(newline="") as file:
        return list(csv.DictReader(file))


def as_layer(row: dict[str, str]) -> Layer:
    name, inputs, outputs = f"{row['net']}/{row['layer']}", int(row["IC"]), int(row["OC"])
    if "fc" in row["layer"]:
        return dense(name, "x", inputs, outputs)
    kernel, stride, size = int(row["K"]), int(row["S"]), int(row["O"])
    return convolution(name, "x", (inputs, outputs), kernel=kernel, stride=stride, groups=1, size_in=size * stride)


def test_reproduces_every_row_of_the_simulator() -> None:
    rows = simulated_rows()
    assert len(rows) == 208
    layers = list({layer.name: layer for layer in map(as_layer, rows)}.values())
    places = {layer.name: place for place, layer in enumerate(layers)}
    first = tuple({as_layer(row).name for row in rows if row["im2col"] == "1"})
    priced = prices(layers, hardware_of("bitfusion-e"), 16, first=first)
    for row in rows:
        cell = places[as_layer(row).name], int(row["w_bits"]) - 1, int(row["a_bits"]) - 1, 0
        assert priced.cycles[cell] == int(row["cycles"])
        assert priced.compute_cycles[cell] == int(row["compute_cycles"])
        assert 1e12 * energy_j(priced)[cell] == pytest.approx(float(row["energy_pJ"]), rel=1e-6)
        for part, column in (("compute", "core_pJ"), ("on_chip", "sram_pJ"), ("off_chip", "dram_pJ")):
            assert 1e12 * priced.energy.parts[part][cell] == pytest.approx(float(row[column]), abs=0.051)
        assert priced.energy.leakage[cell] == 0
        assert priced.moved_bits.activations[cell] == int(row["IBUF_wr_bits"])
        assert priced.moved_bits.weights[cell] == int(row["WBUF_wr_bits"])
        assert moved_bits(priced)[cell] == int(row["DRAM_rd_bits"]) + int(row["DRAM_wr_bits"])


def test_reproduces_the_simulator_s_accesses_to_every_buffer() -> None:
    hardware = hardware_of("bitfusion-e")
    for row in simulated_rows():
        nest = Nest.of(as_layer(row), 16, is_first=row["im2col"] == "1", is_shared=True)
        weight, activation = int(row["w_bits"]), int(row["a_bits"])
        found = map_nest(nest, hardware, [Cell(weight, activation, weight, activation, 32, 32)], REFERENCE).accesses
        counts = {
            "WBUF_rd_bits": found.weight_reads,
            "WBUF_wr_bits": found.moved_weights,
            "IBUF_rd_bits": found.input_reads,
            "IBUF_wr_bits": found.moved_inputs,
            "OBUF_rd_bits": found.result_accesses,
            "OBUF_wr_bits": found.result_accesses,
            "DRAM_rd_bits": found.moved_weights + found.moved_inputs + found.loaded_results,
            "DRAM_wr_bits": found.stored_results,
        }
        assert {column: int(bits[0]) for column, bits in counts.items()} == {key: int(row[key]) for key in counts}


Shape = tuple[Layer, int, int]


def simulated_network(name: str) -> Iterator[Shape]:
    """Yields the layers of a network of the simulator's repository, with their widths of weights and activations."""

    def conv(
        inputs: int, outputs: int, size: int, weight: int, activation: int, kernel: int = 3, stride: int = 1
    ) -> Shape:
        label = "first" if inputs in (1, 3) else "conv"
        shape = (inputs, outputs)
        return (
            convolution(label, "x", shape, kernel=kernel, stride=stride, groups=1, size_in=size * stride),
            weight,
            activation,
        )

    def product(inputs: int, outputs: int, bits: int) -> Shape:
        return dense("fc", "x", inputs, outputs), bits, bits

    if name in ("SVHN", "CIFAR10"):
        wide, first, bits = (64, 1, 1) if name == "SVHN" else (128, 8, 2)
        yield conv(3, wide, 32, first, 8)
        yield conv(wide, wide, 32, bits, bits)
        for size, inputs in ((16, wide), (8, 2 * wide)):
            yield conv(inputs, 2 * inputs, size, bits, bits)
            yield conv(2 * inputs, 2 * inputs, size, bits, bits)
        yield from (product(64 * wide, 1024, bits), product(1024, 1024, bits), product(1024, 10, bits))
    elif name == "LeNet-5":
        yield from (conv(1, 32, 32, 2, 2, 5), conv(32, 64, 16, 2, 2, 5), product(4096, 512, 2), product(512, 10, 2))
    elif name == "VGG-7":
        yield from 2 * (conv(3, 128, 32, 2, 2), conv(128, 256, 16, 2, 2), conv(256, 512, 8, 2, 2))
        yield product(8192, 1024, 2)
    elif name == "AlexNet":
        yield from 2 * (conv(3, 96, 55, 8, 8, 11, 4), conv(96, 256, 27, 4, 4, 5), conv(512, 384, 13, 4, 4))
        yield from 2 * (conv(384, 384, 13, 4, 4), conv(384, 256, 13, 4, 4))
        yield from (product(18432, 8192, 4), product(8192, 8192, 4), product(8192, 1000, 8))
    elif name == "ResNet-18":
        yield conv(3, 128, 112, 8, 8, 7, 2)
        inputs = 128
        for outputs, size, stride in ((128, 56, 1), (256, 28, 2), (512, 14, 2), (1024, 7, 2)):
            yield from (conv(inputs, outputs, size, 4, 4, 1, stride), conv(outputs, outputs, size, 4, 4))
            yield from (conv(outputs, outputs, size, 4, 4, 1), conv(outputs, outputs, size, 4, 4))
            inputs = outputs
    else:
        length = {"RNN": 4096, "LSTM": 3600}[name]
        yield product(length, length, 4)


@pytest.mark.parametrize(
    ("name", "published_ms", "published_mw"),
    [
        ("AlexNet", 4.708311375, 448.386241718),
        ("SVHN", 0.164690375, 410.014092738),
        ("CIFAR10", 0.411713, 450.464576981),
        ("LeNet-5", 0.051294, 356.024253811),
        ("VGG-7", 0.352811375, 419.433333242),
        ("ResNet-18", 6.13499775, 442.486265848),
        ("RNN", 0.049322875, 407.720807613),
        ("LSTM", 0.042146875, 410.009320233),
    ],
)
def test_reproduces_the_figures_of_the_published_notebook(name: str, published_ms: float, published_mw: float) -> None:
    """The notebook prints 256e-6 nJ/ms as a milliwatt (16 images twice), which is 0.256 of what it should be."""
    hardware, cycles, energy = hardware_of("bitfusion-e"), 0, 0.0
    for layer, weight, activation in simulated_network(name):
        context = Context(Precision(BITS, BITS), first=frozenset({"first"}))
        axes = Axes((weight,), (activation,), (8,))
        one = price_bit_composable([layer], hardware, axes, 16, "reference", context)
        cycles += int(one.cycles.item())
        energy += energy_j(one).item()
    latency_s = cycles / hardware.clock_hz
    assert 1e3 * latency_s / 16 == pytest.approx(published_ms, rel=1e-9)
    assert 0.256 * 1e3 * energy / latency_s == pytest.approx(published_mw, rel=1e-6)


@pytest.mark.parametrize(
    ("corrections", "expected"),
    [
        (REFERENCE, {8: (7.37, 10.98), 6: (7.37, 9.37), 4: (2.73, 4.72), 2: (2.09, 3.52)}),
        (
            Corrections(results=True, inputs=True),
            {8: (7.13, 9.26), 6: (7.13, 7.27), 4: (1.91, 2.77), 2: (1.17, 1.54)},
        ),
    ],
    ids=["reference", "results and inputs corrected"],
)
def test_reproduces_resnet18_with_and_without_the_first_two_corrections(
    corrections: Corrections, expected: dict[int, tuple[float, float]]
) -> None:
    """Latency (ms) and energy (mJ) of one image; the first layer reads 8 bits, and its result is counted at 8 too."""
    hardware, layers = hardware_of("bitfusion-e"), resnet18_layers()
    widths = (2, 4, 6, 8)
    priced = prices(layers, hardware, 16, corrections, bits=widths, output_bits=widths, first=("conv0",))
    energies = energy_j(priced)
    for bits, (latency_ms, energy_mj) in expected.items():
        place = widths.index(bits)
        narrow = np.array([3] + [place] * (len(layers) - 1))
        cells = np.arange(len(layers)), np.full(len(layers), place), narrow, narrow
        assert 1e3 * priced.cycles[cells].sum() / hardware.clock_hz / 16 == pytest.approx(latency_ms, abs=0.0051)
        assert 1e3 * energies[cells].sum() / 16 == pytest.approx(energy_mj, abs=0.0056)  # 3.52 was 3.5145


def test_one_tile_counted_by_hand() -> None:
    """16 inputs and 32 outputs at 8/8 on 16 x 32 units are one cycle; all moves before or after, 192 bits a cycle."""
    hardware = hardware_of("bitfusion-e")
    layer = dense("y", "x", 16, 32)
    priced = prices([layer], hardware, 1, bits=(8,))
    weights, inputs, results = 16 * 32 * 8, 16 * 8, 32 * 32
    assert priced.cycles.item() == 1 + ceil((weights + inputs + results) / 192) + ceil(results / 192)
    parts = {part: 1e12 * energy.item() for part, energy in priced.energy.parts.items()}
    assert parts["compute"] == pytest.approx(235.104, rel=1e-9)
    assert parts["off_chip"] == pytest.approx(15 * (weights + inputs + 2 * results), rel=1e-9)
    # Results stay in place: each weight is read once, each input for every output, each result once and once for DRAM.
    per_bit = np.array([0.683701 + 0.925317, 1.90318, 3.63853, 1.06097 + 2.33869]) / 32
    assert parts["on_chip"] == pytest.approx(per_bit @ np.array([weights, 16 * 32 * 8, inputs, 2 * results]), rel=1e-9)
    assert parts["leakage"] == 0

    mended = prices([layer], hardware, 1, CORRECTED, bits=(8,), output_bits=(4,))
    stored = 32 * 4
    cycles = 1 + ceil((weights + inputs) / 192) + ceil(stored / 192)
    assert mended.cycles.item() == cycles
    parts = {part: 1e12 * energy.item() for part, energy in mended.energy.parts.items()}
    assert parts["compute"] == pytest.approx(235.104, rel=1e-9)  # all units do useful work
    assert parts["off_chip"] == pytest.approx(15 * (weights + inputs + stored), rel=1e-9)
    assert parts["on_chip"] == pytest.approx(per_bit @ np.array([weights, 16 * 8, inputs, 2 * results]), rel=1e-9)
    leakage_mw = 512 * 0.0593275 + 512 * 0.249588 + 16 * 3.22997 + 32 * 1.03183
    assert parts["leakage"] == pytest.approx(leakage_mw * cycles * 2.0, rel=1e-9)  # 1 mW over 2 ns is 2 pJ


def test_three_bits_compute_like_four_and_five_to_seven_like_eight() -> None:
    hardware = hardware_of("bitfusion-e")
    per_unit = [[hardware.products_per_unit(w, a) for a in BITS] for w in BITS]
    speed = np.array([4, 4, 2, 2, 1, 1, 1, 1])
    np.testing.assert_array_equal(per_unit, np.outer(speed, speed))
    with pytest.raises(TargetError, match="at most 8 bits, not 9/8"):
        hardware.products_per_unit(9, 8)
    with pytest.raises(TargetError, match="layer 'y': a unit multiplies operands of at most 8 bits, not 8/16"):
        prices([dense("y", "x", 16, 32)], hardware, 1, bits=(8, 16))


def test_a_depthwise_layer_has_a_channel_a_column() -> None:
    """64 channels of 3 x 3 on 14 x 14 pixels, batch 2, on 8 x 8 units with 128 bits a cycle."""
    hardware = hardware_of("bitfusion")
    layer = convolution("d", "x", (64, 64), kernel=3, stride=1, groups=64, size_in=14)
    priced = prices([layer], hardware, 2, bits=(2, 8))
    outputs, weights = 2 * 14 * 14 * 64, 9 * 64
    for place, (bits, passes) in enumerate(((2, 1), (8, 2))):  # 8 rows do 128 products of 2 bits, or 8 of 8 bits
        moved = 2 * 16 * 16 * 64 * bits + weights * bits + 2 * outputs * 32
        assert priced.compute_cycles[0, place, place, 0] == 2 * 14 * 14 * 8 * passes
        assert priced.cycles[0, place, place, 0] == ceil(moved / 128)
        assert moved_bits(priced)[0, place, place, 0] == moved
    mended = prices([layer], hardware, 2, CORRECTED, bits=(8,), output_bits=(2, 8))
    for place, bits in enumerate((2, 8)):
        moved = 2 * 14 * 14 * 64 * 8 + weights * 8 + outputs * bits
        assert mended.cycles[0, 0, 0, place] == max(2 * 14 * 14 * 8 * 2, ceil(moved / 128))
    assert mended.energy.compute.item(0) == pytest.approx(layer.macs * 2 * 0.4591875e-12, rel=1e-12)


def test_groups_and_products_of_activations_repeat() -> None:
    hardware = hardware_of("bitfusion-e")

    def cycles(layer: Layer, batch: int = 1, unshared: tuple[str, ...] = ()) -> npt.NDArray[np.generic]:
        return prices([layer], hardware, batch, bits=POWERS, unshared=unshared).cycles

    grouped = convolution("g", "x", (64, 96), kernel=3, stride=1, groups=4, size_in=14)
    single = convolution("s", "x", (16, 24), kernel=3, stride=1, groups=1, size_in=14)
    np.testing.assert_array_equal(cycles(grouped), 4 * cycles(single))
    product = dense("p", "x", 64, 50, rows=50, groups=8)
    one = dense("o", "x", 64, 50, rows=50)
    np.testing.assert_array_equal(cycles(product), 8 * cycles(one))
    np.testing.assert_array_equal(cycles(product, 16, ("p",)), 16 * 8 * cycles(one))
    np.testing.assert_array_equal(cycles(one, 16), cycles(replace(one, rows=16 * 50)))
    transposed = replace(single, op="ConvTranspose", reduction=16, columns=9 * 24)
    np.testing.assert_array_equal(cycles(transposed), cycles(dense("t", "x", 16, 9 * 24, rows=196)))


def test_only_the_first_convolution_is_laid_out_by_the_host() -> None:
    hardware, layer = (
        hardware_of("bitfusion-e"),
        convolution("c", "x", (3, 64), kernel=7, stride=2, groups=1, size_in=224),
    )
    first, later = (prices([layer], hardware, 1, bits=(8,), first=names) for names in (("c",), ()))
    pixels = 112 * 112
    assert first.compute_cycles.item() == pixels * 2 * ceil(49 * 3 / 16)
    assert later.compute_cycles.item() == pixels * 2 * 49
    matrix = dense("m", "x", 100, 100)
    first, later = (prices([matrix], hardware, 1, bits=(8,), first=names) for names in (("m",), ()))
    assert first.cycles.item() == later.cycles.item()


layers_of_any_kind = st.one_of(
    st.builds(
        lambda inputs, outputs, kernel, stride, size: convolution(
            "y", "x", (inputs, outputs), kernel=kernel, stride=stride, groups=1, size_in=size
        ),
        st.integers(1, 300), st.integers(1, 300), st.sampled_from([1, 3, 5]), st.integers(1, 3), st.integers(5, 40),
    ),
    st.builds(lambda inputs, outputs, rows: dense("y", "x", inputs, outputs, rows=rows),
              st.integers(1, 2000), st.integers(1, 2000), st.integers(1, 60)),
    st.builds(
        lambda channels, stride, size: convolution(
            "y", "x", (channels, channels), kernel=3, stride=stride, groups=channels, size_in=size
        ),
        st.integers(2, 300), st.integers(1, 2), st.integers(3, 40),
    ),
)  # fmt: skip


def read_pixels(layer: Layer) -> int:
    """Input pixels that some window reads, padding left out."""
    if layer.is_dense:
        return 1
    kernel, stride, size = layer.kernel[0], layer.stride[0], round(layer.rows**0.5)
    return min(layer.feature_size, (kernel + (size - 1) * stride) ** 2 if kernel >= stride else layer.rows * kernel**2)


@settings(max_examples=40, deadline=None)
@given(
    layer=layers_of_any_kind,
    batch=st.sampled_from([1, 3, 16]),
    target=st.sampled_from(["bitfusion", "bitfusion-e", "bitfusion-s"]),
    is_first=st.booleans(),
)
def test_both_modes_obey_the_bounds_of_the_machine(layer: Layer, batch: int, target: str, is_first: bool) -> None:
    hardware, widths, outputs = hardware_of(target), (2, 4, 8), (1, 8)
    first = ("y",) if is_first else ()
    reference = prices([layer], hardware, batch, bits=widths, output_bits=outputs, first=first)
    corrected = prices([layer], hardware, batch, CORRECTED, bits=widths, output_bits=outputs, first=first)
    lanes = np.array([[hardware.products_per_unit(w, a) for a in widths] for w in widths]) * hardware.units
    w, a, o = (np.array(bits, np.float64) for bits in (widths, widths, outputs))
    elements = batch * read_pixels(layer) * layer.in_channels
    values = layer.rows if layer.is_dense else 1
    for priced in (reference, corrected):
        assert (priced.cycles >= priced.compute_cycles).all()
        assert (priced.cycles >= priced.memory_cycles).all()
        assert (priced.compute_cycles[0, :, :, 0] >= layer.macs * batch / lanes).all()
        assert (priced.moved_bits.activations[0] >= elements * values * a[:, None]).all()
        assert (priced.moved_bits.weights[0] >= layer.weight_values * w[:, None, None]).all()
        assert (priced.moved_bits.outputs[0] >= batch * layer.rows * layer.out_channels * o).all()
        assert (energy_j(priced) > 0).all()
    assert (moved_bits(corrected) <= moved_bits(reference)).all()
    assert (corrected.cycles <= reference.cycles).all()
    assert (corrected.energy.compute <= reference.energy.compute * (1 + 1e-12)).all()


def test_equal_layers_have_equal_prices_wherever_they_stand() -> None:
    hardware, layers = hardware_of("bitfusion-e"), resnet18_layers()[1:6]
    order = [3, 0, 4, 2, 1]
    straight = prices(layers, hardware, 16, bits=POWERS)
    mixed = prices([layers[place] for place in order], hardware, 16, bits=POWERS)
    np.testing.assert_array_equal(mixed.cycles, straight.cycles[order])
    np.testing.assert_array_equal(energy_j(mixed), energy_j(straight)[order])


def slower_when_narrower(layers: list[Layer], corrections: Corrections) -> dict[str, float]:
    """Gives the layers that take longer at a narrower width on bitfusion-e, each with its worst ratio."""
    cycles = prices(layers, hardware_of("bitfusion-e"), 16, corrections, bits=POWERS, first=("conv0",)).cycles
    by_weight = (cycles[:, :-1] / cycles[:, 1:]).max(axis=(1, 2, 3))
    by_activation = (cycles[:, :, :-1] / cycles[:, :, 1:]).max(axis=(1, 2, 3))
    worst = np.maximum(by_weight, by_activation)
    return {layer.name: float(ratio) for layer, ratio in zip(layers, worst, strict=True) if ratio > 1}


def test_exceptions_to_narrower_is_faster_are_known() -> None:
    """The reductions of weights are padded to whole passes, and these are longer for narrow operands.

    In three layers the 96 x 576 weights fit half of their buffer at 4/8 bits, where a pass takes 32 of the 96. At 4/4
    bits it takes 64, so that they are padded to 128 x 576, do not fit, and are loaded again for each image.
    """
    assert slower_when_narrower(resnet18_layers(), REFERENCE) == {}
    exceptions = slower_when_narrower(mobilenet_v2_layers(), REFERENCE)
    assert exceptions == pytest.approx({"conv33": 1.02287, "conv36": 1.02287, "conv39": 1.02287}, abs=1e-5)
    # Whatever saves a cycle is chosen, at the start and the end too, so a limit on traffic costs a few elsewhere.
    assert max(slower_when_narrower(resnet18_layers(), CORRECTED).values()) == pytest.approx(1.00132, abs=1e-5)


def test_a_buffer_that_holds_no_tile_is_refused() -> None:
    hardware = hardware_of("bitfusion")
    bank = replace(hardware.weight_buffer.bank, size_bytes=1.0)
    small = replace(hardware, weight_buffer=replace(hardware.weight_buffer, bank=bank))
    with pytest.raises(TargetError, match="layer 'y': half of a buffer does not hold the smallest tile at 8/8 bits"):
        prices([dense("y", "x", 16, 32)], small, 1, bits=(8,))


@pytest.mark.slow
def test_the_table_prices_resnet18_in_both_modes() -> None:
    target = targets.load("bitfusion-e")
    policy = baseline(resnet18())
    reference = build_table(resnet18(), target).price(policy)
    assert 1e3 * reference.latency_s / 16 == pytest.approx(7.374, abs=5e-4)
    assert 1e3 * reference.energy_j / 16 == pytest.approx(10.978, abs=5e-4)
    corrected = build_table(resnet18(), target, mode="corrected").price(policy)
    assert 1e3 * corrected.latency_s / 16 == pytest.approx(7.129, abs=5e-4)
    assert 1e3 * corrected.energy_j / 16 == pytest.approx(9.590, abs=5e-4)


def test_images_that_are_not_square_are_split_as_evenly_as_can_be() -> None:
    layer = replace(convolution("c", "x", (8, 8), kernel=3, stride=1, groups=1, size_in=4), rows=6, feature_size=6)
    assert Nest.of(layer, 1, is_first=False, is_shared=True).pixels == (2, 3)
    line = replace(layer, kernel=(3,), stride=(1,), reduction=24)
    nest = Nest.of(line, 1, is_first=False, is_shared=True)
    assert nest.pixels == (6,) and nest.macs == line.macs
    volume = replace(layer, kernel=(3, 3, 3), stride=(1, 1, 1), rows=24, reduction=216)
    assert Nest.of(volume, 1, is_first=False, is_shared=True).pixels == (3, 2, 4)
    for one in (layer, line, volume):
        assert (prices([one], hardware_of("bitfusion"), 2, bits=POWERS).cycles > 0).all()


def test_chain_of_mobilenet_is_priced_at_once() -> None:
    graph = chain(mobilenet_v2_layers(), "mobilenet_v2", 3 * 224 * 224)
    table = build_table(graph, targets.load("bitfusion"))
    assert table.shape == (53, 8, 8, 8)
    assert 1e3 * table.price(baseline(graph)).latency_s == pytest.approx(12.8575, abs=1e-4)
