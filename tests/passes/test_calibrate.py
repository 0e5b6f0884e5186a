"""Grids: streaming over the samples, never worse than the full range (2 % for the histogram), safe on odd tensors."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
import pytest
import torch
from onnx import ModelProto, numpy_helper

from haqc.calibration import ActivationGrid, Calibration
from haqc.errors import DataError, ModelError
from haqc.mirror import from_onnx
from haqc.mirror.quantised import QuantisedMirror
from haqc.passes.bind import bind
from haqc.passes.calibrate import calibrate
from haqc.passes.clean import clean
from haqc.passes.parse import parse
from haqc.policy import Space, baseline
from haqc.precision import Precision
from haqc.quant import activation_range, weight_range
from tests.passes.small_graphs import EVERY_GRAPH, GRAPHS, WIDTHS, Prepared
from tests.small_model import draw, small_model

BITS = range(1, 9)
DRAWS = {
    "normal": lambda r, shape: r.standard_normal(shape),
    "laplace": lambda r, shape: r.laplace(size=shape),
    "uniform": lambda r, shape: r.uniform(-1, 3, shape),
    "rectified": lambda r, shape: np.maximum(r.standard_normal(shape), 0),
    "negative": lambda r, shape: -r.exponential(size=shape),
    "outlier": lambda r, shape: np.where(r.random(shape) < 1e-3, 50.0, 1.0) * r.standard_normal(shape),
    "two values": lambda r, shape: np.where(r.random(shape) < 0.5, 0.0, 7.0),
}


def _calibrate(proto: ModelProto, *batches: np.ndarray) -> Calibration:
    model = clean(ir.from_proto(proto))
    space = Space.of(parse(bind(model), "small"), Precision(WIDTHS, WIDTHS), min_bits=1, default_pins=False)
    return calibrate(from_onnx(model), space, [(batch.astype(np.float32),) for batch in batches])


def _activation_error(x: np.ndarray, scale: float, zero_point: int, bits: int) -> float:
    codes = np.clip(np.round(x / scale) + zero_point, *activation_range(bits))
    return float(np.square((codes - zero_point) * scale - x).mean())


@pytest.mark.parametrize("name", DRAWS)
def test_activation_ranges_are_no_worse_than_the_full_range(name: str) -> None:
    x = DRAWS[name](np.random.default_rng(0), (600, 16))
    grids = _calibrate(GRAPHS["gemm"](), x).activations
    low, high = min(x.min(), 0), max(x.max(), 0)
    for bits in BITS:
        grid = grids["x", bits]
        full = (high - low) / (2**bits - 1)
        bound = _activation_error(x, full, int(np.round(-low / full)), bits)
        assert _activation_error(x, grid.scale, grid.zero_point, bits) <= bound * 1.02 + 1e-12


def test_a_narrow_activation_is_clipped_well_below_its_full_range() -> None:
    x = np.random.default_rng(0).standard_normal((600, 16))
    grid = _calibrate(GRAPHS["gemm"](), x).activations["x", 2]
    full = (x.max() - x.min()) / 3
    assert _activation_error(x, grid.scale, grid.zero_point, 2) < 0.5 * _activation_error(x, full, 2, 2)


def _with_weight(name: str, array: np.ndarray) -> ModelProto:
    """The small Gemm network with other values for one weight or bias."""
    proto = GRAPHS["gemm"]()
    (tensor,) = (tensor for tensor in proto.graph.initializer if tensor.name == name)
    assert tuple(tensor.dims) == array.shape
    tensor.CopyFrom(numpy_helper.from_array(array.astype(np.float32), name))
    return proto


DATA = np.random.default_rng(1).standard_normal((64, 16))


def _output_errors(difference: np.ndarray) -> np.ndarray:
    """Mean squared errors of what the first layer gives on the data, with the ridge that the pass states."""
    return np.square(DATA @ difference.T).mean(axis=0) + 1e-3 * np.square(DATA).mean() * np.square(difference).sum(1)


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("bits", range(2, 9))
def test_weight_scales_are_no_worse_for_the_output_than_the_full_range(name: str, bits: int) -> None:
    weight = DRAWS[name](np.random.default_rng(0), (24, 16)).astype(np.float32)
    grid = _calibrate(_with_weight("w1", weight), DATA).weights["w1", bits]
    bottom, top = weight_range(bits)

    def errors(scale: np.ndarray) -> np.ndarray:
        codes = np.clip(np.round(weight / scale[:, None]), bottom, top)
        return _output_errors(codes * scale[:, None] - weight)

    assert grid.scale.shape == (24,)
    assert (errors(grid.scale) <= errors(np.abs(weight).max(axis=1) / top) * (1 + 1e-3) + 1e-9).all()


def test_weights_are_rounded_for_the_inputs_that_matter() -> None:
    """The scale of a channel serves the one input that is large, not the most weights."""
    weight, data = np.random.default_rng(0).standard_normal((24, 16)), DATA.copy()
    data[:, 5] *= 100
    plain, served = (_calibrate(_with_weight("w1", weight), x).weights["w1", 3].scale for x in (DATA, data))
    missed = [np.abs(np.clip(np.round(weight[:, 5] / s), -4, 3) * s - weight[:, 5]).mean() for s in (plain, served)]
    assert missed[1] < 0.25 * missed[0]


def test_one_bit_weights_have_the_scale_of_least_error() -> None:
    """For signs s, that is where the output's error is perpendicular to what they give: s'Hw / s'Hs."""
    weight = np.random.default_rng(0).standard_normal((24, 16))
    grid = _calibrate(_with_weight("w1", weight), DATA).weights["w1", 1]
    moments = DATA.T @ DATA / len(DATA) + 1e-3 * np.square(DATA).mean() * np.eye(16)
    signs = np.where(weight < 0, -1.0, 1.0)
    expected = ((signs @ moments) * weight).sum(1) / ((signs @ moments) * signs).sum(1)
    np.testing.assert_allclose(grid.scale, expected, rtol=1e-4)


@dataclass(frozen=True)
class _Batches:
    """Batches that exist only while they are read."""

    count: int

    def __iter__(self) -> Iterator[tuple[np.ndarray, ...]]:
        random = np.random.default_rng(0)
        return ((random.standard_normal((20, 3, 8, 8), dtype=np.float32),) for _ in range(self.count // 20))


def _peak(prepared: Prepared, count: int) -> int:
    mirror = from_onnx(prepared.model)
    tracemalloc.start()
    calibration = calibrate(mirror, prepared.space, _Batches(count))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert calibration.samples == count
    return peak


def test_memory_does_not_grow_with_the_samples() -> None:
    prepared = Prepared.of(GRAPHS["depthwise"]())
    _peak(prepared, 20)  # what the libraries allocate once
    assert _peak(prepared, 2000) <= 1.1 * _peak(prepared, 100)


def test_batches_are_one_stream() -> None:
    x = np.random.default_rng(0).standard_normal((64, 16))
    whole, parted = _calibrate(GRAPHS["gemm"](), x), _calibrate(GRAPHS["gemm"](), x[:10], x[10:50], x[50:])
    assert whole.samples == parted.samples == 64
    assert whole.activations["x", 4] == parted.activations["x", 4]
    for key, grid in whole.activations.items():  # later tensors come from sums in another order
        assert parted.activations[key].scale == pytest.approx(grid.scale, rel=1e-5)


def test_the_same_data_give_the_same_grids() -> None:
    first, second = (_calibrate(GRAPHS["residual"](), np.random.default_rng(0).random((32, 3, 8, 8))) for _ in "ab")
    assert first.activations == second.activations
    for key, grid in first.weights.items():
        np.testing.assert_array_equal(second.weights[key].scale, grid.scale)


def test_every_operand_has_a_grid_at_every_width_and_at_eight_bits() -> None:
    model = clean(ir.from_proto(GRAPHS["residual"]()))
    graph = parse(bind(model), "small")
    space = Space.of(graph, Precision((2, 4), (3, 4)), default_pins=False)
    calibration = calibrate(from_onnx(model), space, [(np.ones((2, 3, 8, 8), np.float32),)])
    for choice in space.choices:
        grids = calibration.weights if choice.operand.kind == "weight" else calibration.activations
        assert {bits for tensor, bits in grids if tensor == choice.operand.tensor} == {*choice.widths, 8}


@pytest.mark.parametrize("name", EVERY_GRAPH)
def test_scales_are_positive_and_zero_points_lie_in_range(name: str) -> None:
    prepared = Prepared.of(GRAPHS[name]())
    for (tensor, bits), grid in prepared.calibration.activations.items():
        assert grid.scale > 0
        assert 0 <= grid.zero_point <= 2**bits - 1
        assert grid.zero_point == 0 or prepared.graph.operand[tensor].signed
    for grid_of_weights in prepared.calibration.weights.values():
        assert (grid_of_weights.scale > 0).all() and grid_of_weights.scale.dtype == np.float32


@pytest.mark.parametrize("value", [0.0, 1e-40])
def test_a_tensor_that_is_always_zero_gets_a_harmless_grid(value: float) -> None:
    grids = _calibrate(GRAPHS["gemm"](), np.full((8, 16), value)).activations
    assert {grids["x", bits] for bits in BITS} == {ActivationGrid(1.0, 0)}


@pytest.mark.parametrize("value", [2.5, -2.5])
def test_a_constant_tensor_is_kept(value: float) -> None:
    grids = _calibrate(GRAPHS["gemm"](), np.full((8, 16), value)).activations
    for bits in BITS:
        grid = grids["x", bits]
        x = np.full(1, value)
        assert _activation_error(x, grid.scale, grid.zero_point, bits) <= (1e-3 * value) ** 2


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("dead", [slice(3, 4), slice(None)], ids=["channel", "tensor"])
def test_dead_weights_stay_dead_and_leave_their_bias_alone(bits: int, dead: slice) -> None:
    weight, bias = np.random.default_rng(0).standard_normal((24, 16)), np.full(24, 30.0)
    weight[dead] = 0
    proto = _with_weight("w1", weight)
    (tensor,) = (tensor for tensor in proto.graph.initializer if tensor.name == "b1")
    tensor.CopyFrom(numpy_helper.from_array(bias.astype(np.float32), "b1"))
    prepared = Prepared.of(proto)
    network = prepared.quantise(prepared.space.uniform(bits, 8)).network
    with torch.no_grad():
        (sums,) = network.run((torch.from_numpy(DATA.astype(np.float32)),), ("g1",))
    # Signs cannot be zero: one bit adds the smallest scale there is, 1e-5 of the largest, to every product.
    np.testing.assert_allclose(sums.numpy()[:, dead], 30.0, atol=2e-3 if bits == 1 else 1e-3 + 2.0**-bits)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_weights_that_are_not_finite_are_refused(value: float) -> None:
    weight = np.ones((24, 20))
    weight[3, 4] = value
    with pytest.raises(ModelError, match="weight 'w2' holds infinities or NaN"):
        _calibrate(_with_weight("w2", weight), DATA)


@pytest.mark.parametrize(
    ("graph", "weight"),
    [
        ("depthwise", "c2.w"), ("transposed", "w2"), ("table", "t"), ("tied_table", "t"), ("recurrent", "lr"),
        ("recurrent", "GRU.w"), ("encoder", "t"), ("encoder", "attended.k.w"), ("vision_transformer", "patch.w"),
    ],
)  # fmt: skip
def test_weights_of_every_kind_of_layer_must_be_finite(graph: str, weight: str) -> None:
    proto = GRAPHS[graph]()
    (tensor,) = (each for each in proto.graph.initializer if each.name == weight)
    array = numpy_helper.to_array(tensor).copy()
    array.flat[-1] = np.nan
    tensor.CopyFrom(numpy_helper.from_array(array, weight))
    with pytest.raises(ModelError, match=r"weight '.*' holds infinities or NaN; repair or retrain the model"):
        Prepared.of(proto)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_activations_that_are_not_finite_are_refused(value: float) -> None:
    data = DATA.copy()
    data[3, 4] = value
    with pytest.raises(DataError, match="tensor 'x' becomes infinite or NaN on the calibration data"):
        _calibrate(GRAPHS["gemm"](), data)


def test_gradients_are_still_recorded_after_a_refusal() -> None:
    with pytest.raises(DataError):
        _calibrate(GRAPHS["gemm"](), np.full((2, 16), np.inf))
    assert torch.is_grad_enabled()


def test_gradients_are_recorded_where_batches_are_made() -> None:
    enabled = []

    class Watching(_Batches):
        def __iter__(self) -> Iterator[tuple[np.ndarray, ...]]:
            for batch in super().__iter__():
                enabled.append(torch.is_grad_enabled())
                yield batch

    prepared = Prepared.of(GRAPHS["depthwise"]())
    calibrate(from_onnx(prepared.model), prepared.space, Watching(40))
    assert len(enabled) >= 4 and all(enabled)


def test_activations_of_another_type_are_refused() -> None:
    proto = small_model(
        """(float[n,4,4] x) => (float[n,4,4] y) {
            d = Cast <to=11> (x) p = MatMul (d, d) f = Cast <to=1> (p) y = MatMul (f, w)
        }""",
        {"w": draw(4, 4)},
    )
    model = clean(ir.from_proto(proto))
    space = Space.of(parse(bind(model), "small"), Precision(WIDTHS, WIDTHS), default_pins=False)
    with pytest.raises(ModelError, match="tensor 'd' is of type float64; export the model in float32"):
        calibrate(from_onnx(model), space, [(draw(2, 4, 4),)])


def test_a_network_that_stays_in_float_has_nothing_to_calibrate() -> None:
    proto = GRAPHS["gemm"]()
    for node in proto.graph.node:
        if node.op_type == "Gemm":
            del node.attribute[:]
    del proto.graph.node[1:]
    proto.graph.node[0].attribute.add(name="transA", i=1, type=2)
    proto.graph.output[0].name = proto.graph.node[0].output[0]
    (weight,) = (tensor for tensor in proto.graph.initializer if tensor.name == "w1")
    weight.CopyFrom(numpy_helper.from_array(np.ones((8, 24), np.float32), "w1"))
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 8
    calibration = _calibrate(proto, DATA[:8])
    assert (calibration.activations, calibration.weights, calibration.samples) == ({}, {}, 8)


MASKED = """(float[n,4] x, float[n,4] m) => (float[n,4] y) {
    a = MatMul (x, w) [sum] b = Add (a, m) c = Relu (b) y = MatMul (c, w2)
}"""


@pytest.mark.parametrize("far", [-np.inf, -3.4e38, 2e30])
def test_a_mask_that_only_a_sum_reads_loses_its_quantiser(far: float) -> None:
    model = clean(ir.from_proto(small_model(MASKED, {"w": draw(4, 4), "w2": draw(4, 4)})))
    graph = parse(bind(model), "small")
    space = Space.of(graph, Precision(WIDTHS, WIDTHS), default_pins=False)
    mask = np.where(np.eye(4, dtype=bool), 0.0, far).astype(np.float32)
    bounded = calibrate(from_onnx(model), space, [(draw(4, 4), np.zeros_like(mask))])
    assert (bounded.unbounded, ("m", 8) in bounded.activations) == ({}, True)
    if far < 0:
        found = calibrate(from_onnx(model), space, [(draw(4, 4), mask)])
        assert found.unbounded == {"m": "it reaches beyond 1e+30 on the calibration data, as masks do"}
        assert ("m", 8) not in found.activations
        smaller = graph.without(found.unbounded)
        assert "m" not in smaller.operand and smaller.left_out[-1].node == "sum"
        QuantisedMirror(from_onnx(model), baseline(smaller), found)
        with pytest.raises(ValueError, match="only operands that no layer reads"):
            graph.without({"c": "too large"})
    else:
        with pytest.raises(DataError, match="tensor 'c' becomes infinite"):
            calibrate(from_onnx(model), space, [(draw(4, 4), np.full_like(mask, np.inf))])
