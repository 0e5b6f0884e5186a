"""Equalisation: the network gives what it gave, and ranges between two layers meet; nothing else is touched."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
import torch

from haqc.graph import Graph
from haqc.mirror import Mirror, from_onnx
from haqc.passes.bind import bind
from haqc.passes.clean import clean
from haqc.passes.equalise import equalise
from haqc.passes.parse import parse
from tests.small_model import draw, small_model

HEAD = "(float[n,3,8,8] x) => (float[n,c,h,k] y) "
EQUALISED = {
    "relu": "{ a = Conv (x, w1, b1) r = Relu (a) y = Conv (r, w2) }",
    "leaky": "{ a = Conv (x, w1, b1) r = LeakyRelu <alpha=0.2> (a) y = Conv (r, w2) }",
    "prelu": "{ a = Conv (x, w1, b1) r = PRelu (a, slope) y = Conv (r, w2) }",
    "nothing": "{ a = Conv (x, w1, b1) y = Conv (a, w2) }",
    "no bias": "{ a = Conv (x, w1) r = Relu (a) y = Conv (r, w2) }",
    "depthwise": "{ a = Conv (x, w1, b1) r = Relu (a) y = Conv <group=6> (r, d) }",
}
LEFT = {
    "bounded": "{ a = Conv (x, w1, b1) r = Clip (a, zero, six) y = Conv (r, w2) }",
    "read twice": "{ a = Conv (x, w1, b1) r = Relu (a) b = Conv (r, w2) p = Conv (r, w4) y = Add (b, p) }",
    "read by another": "{ a = Conv (x, w1, b1) r = Relu (a) b = Conv (r, w3) y = Add (b, r) }",
    "an output": "{ a = Conv (x, w1, b1) r = Sigmoid (a) y = Conv (r, w2) }",
    "groups": "{ a = Conv (x, w1, b1) r = Relu (a) y = Conv <group=2> (r, g) }",
}


def _prepared(body: str) -> tuple[Mirror, ir.Model, Graph]:
    spread = np.exp(2 * draw(6, 1, 1, 1))
    constants = {
        "w1": draw(6, 3, 3, 3) * spread,
        "b1": draw(6),
        "w2": draw(4, 6, 1, 1),
        "w3": draw(6, 6, 1, 1),
        "w4": draw(4, 6, 1, 1, seed=1),
        "d": draw(6, 1, 3, 3),
        "g": draw(6, 3, 1, 1),
        "slope": np.abs(draw(6, 1, 1)),
        "zero": 0.0,
        "six": 6.0,
    }
    used = {name: value for name, value in constants.items() if f" {name}" in body or f"({name}" in body}
    model = clean(ir.from_proto(small_model(HEAD + body, used)))
    return from_onnx(model), model, parse(bind(model), "small")


@pytest.mark.parametrize("name", EQUALISED)
def test_the_network_stays_and_its_ranges_meet(name: str) -> None:
    mirror, model, graph = _prepared(EQUALISED[name])
    x = torch.from_numpy(draw(5, 3, 8, 8))
    with torch.no_grad():
        (before,) = mirror(x)
    changed = equalise(mirror, model, graph)
    first, second = graph.layers
    assert {*changed} == {name for name in (first.weight, first.bias, second.weight) if name}
    mirror.load(changed)
    with torch.no_grad():
        (after,) = mirror(x)
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)
    written = np.abs(changed[first.weight]).max(axis=(1, 2, 3))
    read = np.abs(changed[second.weight]).max(axis=(1, 2, 3) if name == "depthwise" else (0, 2, 3))
    np.testing.assert_allclose(written, read, rtol=1e-5)


@pytest.mark.parametrize("name", LEFT)
def test_what_it_would_change_is_left_alone(name: str) -> None:
    assert equalise(*_prepared(LEFT[name])) == {}


def test_a_chain_is_equalised_throughout() -> None:
    mirror, model, graph = _prepared("{ a = Conv (x, w1, b1) b = Conv <group=6> (a, d) r = Relu (b) y = Conv (r, w2) }")
    changed = equalise(mirror, model, graph)
    first, middle, last = (np.abs(changed[layer.weight]) for layer in graph.layers)
    np.testing.assert_allclose(first.max(axis=(1, 2, 3)), middle.max(axis=(1, 2, 3)), rtol=0.01)
    np.testing.assert_allclose(middle.max(axis=(1, 2, 3)), last.max(axis=(0, 2, 3)), rtol=0.01)


def test_channels_of_zeros_stay() -> None:
    mirror, model, graph = _prepared(EQUALISED["relu"])
    with torch.no_grad():
        mirror.value(graph.layers[0].weight)[2] = 0
    changed = equalise(mirror, model, graph)
    np.testing.assert_array_equal(changed[graph.layers[0].bias][2], mirror.value(graph.layers[0].bias)[2].item())
    assert all(np.isfinite(array).all() for array in changed.values())
