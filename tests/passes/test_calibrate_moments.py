"""Second moments: what they say of a layer's output is what the layer gives, for every form of a layer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir
import pytest
import torch
from torch import Tensor

from haqc.graph import Graph
from haqc.mirror import Mirror, from_onnx
from haqc.passes.bind import bind
from haqc.passes.calibrate import secondmoments, sums
from haqc.passes.calibrate.secondmoments import Moments, moments
from haqc.passes.clean import clean
from haqc.passes.parse import parse
from tests.small_model import draw, small_model

FORMS = {
    "conv": ("Conv <pads=[1,0,2,1], strides=[2,1], dilations=[1,2]> (x, w)", (6, 4, 3, 2)),
    "same": ('Conv <auto_pad="SAME_UPPER", strides=[2,2]> (x, w)', (6, 4, 3, 3)),
    "grouped": ("Conv <group=2, pads=[1,1,1,1]> (x, w)", (6, 2, 3, 3)),
    "depthwise": ("Conv <group=4> (x, w)", (8, 1, 3, 3)),
    "transposed": ("ConvTranspose <strides=[2,2], pads=[1,0,0,1], output_padding=[1,0]> (x, w)", (4, 5, 3, 2)),
    "transposed groups": ("ConvTranspose <group=2, strides=[2,1]> (x, w)", (4, 3, 3, 3)),
    "matmul": ("MatMul (x, w)", (7, 5)),
}
SHAPE = (3, 4, 8, 7)


def _parsed(source: str, weights: dict[str, np.ndarray]) -> tuple[Mirror, Graph]:
    model = clean(ir.from_proto(small_model(source, weights)))
    return from_onnx(model), parse(bind(model), "small")


def _form(name: str, weight: np.ndarray) -> tuple[Mirror, Graph]:
    return _parsed(f"(float[n,4,8,7] x) => (float[n,c,h,k] y) {{ y = {FORMS[name][0]} }}", {"w": weight})


def _of(mirror: Mirror, graph: Graph, *batches: np.ndarray) -> Moments:
    ((name, found),) = moments(mirror, graph, ["w"], [(batch,) for batch in batches])
    assert name == "w" and found is not None
    return found


def _squares(mirror: Mirror, graph: Graph, x: np.ndarray) -> Tensor:
    """Mean squares of what the output channels give, over the samples and positions, that share a scale."""
    with torch.no_grad():
        (y,) = mirror(torch.from_numpy(x))
    (layer,) = graph.layers
    if layer.op == "MatMul":
        return y.square().mean(dim=(0, 1, 2))
    apart = y.square().mean(dim=(0, 2, 3))
    return apart.reshape(layer.groups, -1).sum(dim=0) if layer.op == "ConvTranspose" else apart


def _rows(graph: Graph, weight: np.ndarray) -> Tensor:
    axis = graph.layers[0].weight_axis
    return torch.from_numpy(np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1).copy())


@pytest.mark.parametrize("name", FORMS)
def test_mean_products_are_those_of_the_layer(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secondmoments, "_RIDGE", 0.0)
    weight, x = draw(*FORMS[name][1]), draw(*SHAPE)
    mirror, graph = _form(name, weight)
    found, rows = _of(mirror, graph, x[:1], x[1:]), _rows(graph, weight)
    expected = _squares(mirror, graph, x)
    np.testing.assert_allclose(found.product(rows, rows), expected, rtol=1e-4)
    np.testing.assert_allclose(found.product(rows, -2 * rows), -2 * expected, rtol=1e-4)


@pytest.mark.parametrize("name", FORMS)
def test_long_products_have_their_means_and_variances(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exact for weights of which all but one are zero, and where the inputs are the same at every position."""
    monkeypatch.setattr(secondmoments, "_RIDGE", 0.0)
    monkeypatch.setattr(sums, "LARGEST_REDUCTION", 1)
    single = np.zeros(FORMS[name][1], np.float32)
    single.reshape(-1)[3] = 2.0
    mirror, graph = _form(name, single)
    x, rows = draw(*SHAPE) + 1, _rows(graph, single)
    found = _of(mirror, graph, x[:1], x[1:])
    assert found.square.ndim == 2
    np.testing.assert_allclose(found.product(rows, rows), _squares(mirror, graph, x), rtol=1e-4)


def test_a_ridge_counts_inputs_that_the_samples_leave_at_zero() -> None:
    weight = np.ones((7, 5), np.float32)
    mirror, graph = _form("matmul", weight)
    x = np.full(SHAPE, 2.0, np.float32)
    x[..., 3] = 0
    unit = torch.zeros(5, 7)
    unit[:, 3] = 1
    np.testing.assert_allclose(_of(mirror, graph, x).product(unit, unit), 1e-3 * 4 * 6 / 7, rtol=1e-5)


TWICE = """(float[n,6] x) => (float[n,6] y) {
    a = MatMul (x, w) b = Relu (a) c = MatMul (b, w) d = MatMul (b, v) y = Add (c, d)
}"""


@pytest.mark.parametrize("room", [1, 1 << 20])
def test_layers_that_share_a_weight_count_alike_whatever_the_room(room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secondmoments, "KEPT_BYTES", room)
    monkeypatch.setattr(secondmoments, "_RIDGE", 0.0)
    x, w, v = draw(20, 6), draw(6, 6), draw(6, 6, seed=1)
    mirror, graph = _parsed(TWICE, {"w": w, "v": v})
    read: list[int] = []

    class Counted:
        def __iter__(self) -> Iterator[tuple[np.ndarray, ...]]:
            read.append(1)
            return iter([(x,)])

    found = dict(moments(mirror, graph, ["w", "v"], Counted()))
    assert len(read) == (2 if room == 1 else 1)
    between = np.maximum(x @ w, 0)
    for name, inputs in (("w", np.concatenate([x, between])), ("v", between)):
        one = found[name]
        assert one is not None
        np.testing.assert_allclose(one.square[0], inputs.T @ inputs / len(inputs), rtol=1e-4, atol=1e-6)


def test_weights_with_a_batch_axis_have_none() -> None:
    mirror, graph = _parsed("(float[n,3,4] x) => (float[n,3,4] y) { y = MatMul (x, w) }", {"w": draw(3, 4, 4)})
    assert dict(moments(mirror, graph, ["w"], [(draw(2, 3, 4),)])) == {"w": None}


@pytest.mark.parametrize("value", [0.0, 1e30])
def test_inputs_that_say_nothing_give_none(value: float) -> None:
    mirror, graph = _form("matmul", draw(7, 5))
    assert dict(moments(mirror, graph, ["w"], [(np.full(SHAPE, value, np.float32),)])) == {"w": None}
