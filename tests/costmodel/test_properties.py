"""What must hold of every kind of hardware, on layers of random shapes; exceptions are listed and explained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haqc import targets
from haqc.costmodel import CostTable, build_table
from haqc.graph import Layer
from haqc.policy import Policy
from tests.costmodel.mobilenet_v2_layers import convolution, dense, mobilenet_v2
from tests.costmodel.random_layers import LAYERS, graph_of, inputs, outputs

pytestmark = pytest.mark.slow

EXCEPTIONS: dict[str, dict[str, str]] = {
    "bit-composable": {
        "cycles by weight bits": "the mapping with the fewest cycles is sought among tiles of powers of two",
        "cycles by activation bits": "narrower data joins more products in a unit, and weights are padded to a whole "
        "number of these: a short reduction then moves more bits",
        "energy by weight bits": "the mapping is chosen by cycles first, and one that is faster may cost more energy",
        "energy by activation bits": "the same",
        "energy by output bits": "the same, in mode corrected; in the reference results have 32 bits",
        "cycles by channels out": "tiles of powers of two, capped at the extent: the larger layer may find one that "
        "overlaps its traffic better",
        "cycles by channels in": "the same",
        "energy by channels out": "the mapping is chosen by cycles first",
        "energy by channels in": "the same",
        "energy by pixels": "the same",
    },
    "tensor-core": {
        "energy by channels out": "the fastest tile is taken, whatever energy its padding takes",
        "energy by channels in": "the same",
        "energy by pixels": "the same",
    },
    "vector": {
        "cycles by weight bits": "weights narrower than the instructions take are unpacked first",
        "energy by weight bits": "energy follows the cycles",
    },
    "npu": {"weights are moved": "they lie compressed in memory, without loss"},
}
"""Properties that need not hold, by kind: why not."""

CASES = [(name, mode) for name in targets.names() for mode in targets.load(name).modes]
PER_CASE = settings(
    max_examples=20, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
CLOSE = 1 - 1e-12


@pytest.fixture(params=CASES, ids="-".join)
def case(request: pytest.FixtureRequest) -> tuple[str, str]:
    name, mode = request.param
    if targets.load(name).kind == "lookup":
        pytest.skip("a table of measurements prices only what was measured")
    return name, mode


def table_of(case: tuple[str, str], *layers: Layer, batch: int | None = None) -> CostTable:
    return build_table(graph_of(layers), targets.load(case[0]), mode=case[1], batch=batch)


def is_excepted(case: tuple[str, str], name: str) -> bool:
    return name in EXCEPTIONS.get(targets.load(case[0]).kind, {})


def figures(table: CostTable) -> dict[str, npt.NDArray[np.float64]]:
    """Cycles and energy; those of pairs that are not allowed are infinite."""
    return {"cycles": table.latency_s * table.target.hardware.clock_hz, "energy": table.energy_j}


def grown(layer: Layer) -> dict[str, Layer]:
    """The layer with twice the channels out, the channels in, or (four times) the pixels or rows."""
    if layer.is_dense:
        more = {
            "channels out": dense("t", "t", layer.in_channels, 2 * layer.out_channels, rows=layer.rows),
            "channels in": dense("t", "t", 2 * layer.in_channels, layer.out_channels, rows=layer.rows),
        }
        return more | ({"pixels": replace(layer, rows=4 * layer.rows)} if layer.op == "MatMul" else {})

    def like(channels_in: int, channels_out: int, groups: int, scale: int = 1) -> Layer:
        size, stride = scale * round(layer.feature_size**0.5), layer.stride[0]
        channels = (channels_in, channels_out)
        return convolution("t", "t", channels, kernel=layer.kernel[0], stride=stride, groups=groups, size_in=size)

    many, out, groups = layer.in_channels, layer.out_channels, layer.groups
    pixels = {"pixels": like(many, out, groups, 2)}
    if layer.is_depthwise:
        return pixels | {"channels out": like(2 * many, 2 * out, 2 * groups)}
    return pixels | {"channels out": like(many, 2 * out, 1), "channels in": like(2 * many, out, 1)}


def test_a_layer_takes_no_less_than_its_arithmetic_and_its_traffic(case: tuple[str, str]) -> None:
    @PER_CASE
    @given(LAYERS, st.sampled_from([1, 3, 16]))
    def check(layer: Layer, batch: int) -> None:
        table = table_of(case, layer, batch=batch)
        cycles = table.latency_s * table.target.hardware.clock_hz
        assert np.all(cycles >= table.prices.compute_cycles * CLOSE)
        assert np.all(cycles >= table.prices.memory_cycles * CLOSE)
        allowed = np.isfinite(cycles)
        assert np.all(table.energy_j[allowed] > 0) and np.all(cycles[allowed] > 0)

    check()


@pytest.mark.parametrize("axis", [1, 2, 3], ids=["weight bits", "activation bits", "output bits"])
def test_no_width_costs_more_than_a_wider_one(case: tuple[str, str], axis: int) -> None:
    bits = ("layer", "weight bits", "activation bits", "output bits")[axis]
    if all(is_excepted(case, f"{figure} by {bits}") for figure in ("cycles", "energy")):
        pytest.skip(EXCEPTIONS[targets.load(case[0]).kind][f"cycles by {bits}"])

    @PER_CASE
    @given(LAYERS)
    def check(layer: Layer) -> None:
        for name, array in figures(table_of(case, layer)).items():
            if is_excepted(case, f"{name} by {bits}"):
                continue
            for narrow, wide in combinations(np.moveaxis(array, axis, 0), 2):
                both = np.isfinite(narrow) & np.isfinite(wide)
                assert np.all(narrow[both] * CLOSE <= wide[both]), name

    check()


def test_more_multiply_accumulates_never_cost_less(case: tuple[str, str]) -> None:
    @PER_CASE
    @given(LAYERS)
    def check(layer: Layer) -> None:
        larger = grown(layer)
        for name, array in figures(table_of(case, layer, *larger.values())).items():
            for place, what in enumerate(larger, start=1):
                if not is_excepted(case, f"{name} by {what}"):
                    assert np.all(array[0] * CLOSE <= array[place]), (name, what)

    check()


def test_every_operand_is_moved_at_least_once(case: tuple[str, str]) -> None:
    @PER_CASE
    @given(LAYERS, st.sampled_from([1, 3, 16]))
    def check(layer: Layer, batch: int) -> None:
        table = table_of(case, layer, batch=batch)
        axes, precision = table.axes, table.target.precision

        def stored(count: int, widths: tuple[int, ...], container: Callable[[int], int], axis: int) -> object:
            shape = [1, 1, 1, 1]
            shape[axis] = -1
            return count * np.array([container(bits) for bits in widths], np.float64).reshape(shape)

        least = {
            "weights": stored(layer.weight_values, axes.weight_bits, precision.weight_container_bits, 1),
            "activations": stored(inputs(layer) * batch, axes.activation_bits, precision.activation_container_bits, 2),
            "outputs": stored(outputs(layer) * batch, axes.output_bits, precision.activation_container_bits, 3),
        }
        for operand, needed in least.items():
            if not is_excepted(case, f"{operand} are moved"):
                moved = table.moved_bits[operand]
                assert np.all(moved[:, table.allowed] >= np.broadcast_to(needed, moved.shape)[:, table.allowed] * CLOSE)

    check()


def test_energy_and_time_add_up(case: tuple[str, str]) -> None:
    name, mode = case
    table = build_table(mobilenet_v2(), targets.load(name), mode=mode)
    pairs = sorted(table.target.precision.allowed_pairs)
    for seed in range(5):
        draw = np.random.default_rng(seed)
        widths = {}
        for layer in table.graph.layers:
            widths[layer.weight], widths[layer.activation] = pairs[draw.integers(len(pairs))]
        policy = Policy(table.graph, widths)
        total, rows = table.price(policy), [*table.layer_costs(policy), *table.operation_costs(policy)]
        assert total.energy_j == pytest.approx(sum(row.energy_j for row in rows), rel=1e-12)
        assert total.latency_s == pytest.approx(sum(row.latency_s for row in rows), rel=1e-12)
        for row in table.layer_costs(policy):
            assert row.energy_j == pytest.approx(sum(row.energy_parts_j.values()), rel=1e-12)


def test_a_layer_costs_the_same_wherever_it_stands(case: tuple[str, str]) -> None:
    @PER_CASE
    @given(st.lists(LAYERS, min_size=2, max_size=4), st.randoms(use_true_random=False))
    def check(layers: list[Layer], random: object) -> None:
        order = list(range(len(layers)))
        random.shuffle(order)  # type: ignore[attr-defined]
        table, shuffled = table_of(case, *layers), table_of(case, *(layers[place] for place in order))
        for one, other in zip(figures(table).values(), figures(shuffled).values(), strict=True):
            np.testing.assert_array_equal(one[order], other)
        for part, moved in table.moved_bits.items():
            np.testing.assert_array_equal(moved[order], shuffled.moved_bits[part])

    check()


def test_other_modes_say_no_less_than_must_be_moved_and_reference_no_less_than_corrected() -> None:
    bitfusion = [name for name in targets.names() if targets.load(name).kind == "bit-composable"]
    bismo = [name for name in targets.names() if targets.load(name).kind == "bit-serial"]

    def moved(name: str, mode: str) -> npt.NDArray[np.float64]:
        return np.sum(list(build_table(mobilenet_v2(), targets.load(name), mode=mode).moved_bits.values()), axis=0)

    for name in bitfusion:
        assert np.all(moved(name, "corrected") <= moved(name, "reference") * (2 - CLOSE))
    for name in bismo:
        assert np.all(moved(name, "physical") >= moved(name, "reference") * CLOSE)


@pytest.mark.parametrize(
    ("name", "mode", "layer", "axis"),
    [
        ("bitfusion", "reference", dense("t", "t", 4, 192), 2),
        ("bitfusion", "reference", convolution("t", "t", (256, 256), kernel=3, stride=2, groups=1, size_in=4), 1),
        ("cortex-m4", "reference", convolution("t", "t", (64, 64), kernel=3, stride=1, groups=1, size_in=8), 1),
    ],
)
def test_the_exceptions_are_real(name: str, mode: str, layer: Layer, axis: int) -> None:
    cycles = figures(table_of((name, mode), layer))["cycles"]
    pairs = combinations(np.moveaxis(cycles, axis, 0), 2)
    assert any(np.any(narrow > wide) for narrow, wide in pairs), "not so any more: drop it from EXCEPTIONS"


def test_only_known_kinds_are_excepted() -> None:
    assert set(EXCEPTIONS) <= {targets.load(name).kind for name in targets.names()}
    assert "bit-serial" not in EXCEPTIONS
