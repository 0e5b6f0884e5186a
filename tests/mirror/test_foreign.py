"""Operators without a mirror run in onnxruntime beside the others, and stop whoever would train through them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import pytest
import torch

from haqc.errors import ModelError
from haqc.mirror import Mirror
from haqc.mirror.foreign import Foreign
from haqc.runtime import Runtime

HEADER = '<ir_version: 10, opset_import: ["": 21, "com.microsoft": 1]> '
Array = np.ndarray


def _model(text: str) -> onnx.ModelProto:
    model = onnx.parser.parse_model(HEADER + text)
    onnx.checker.check_model(model, full_check=False)
    return model


def _typed(model: onnx.ModelProto) -> ir.Model:
    return ir.from_proto(onnx.shape_inference.infer_shapes(model))


def _agrees(mirror: Mirror, model: onnx.ModelProto, *inputs: Array) -> None:
    runtime = Runtime(model.SerializeToString(), optimised=False)
    expected = runtime.run(dict(zip(runtime.inputs, inputs, strict=True)))
    given = mirror(*(torch.from_numpy(value) if value.dtype.kind != "O" else value for value in inputs))
    for value, reference in zip(given, expected.values(), strict=True):
        array = value.detach().numpy() if isinstance(value, torch.Tensor) else value
        assert (array.dtype, array.shape) == (reference.dtype, reference.shape)
        if reference.dtype.kind == "f":
            np.testing.assert_allclose(array, reference, rtol=1e-5, atol=1e-6)
        else:
            np.testing.assert_array_equal(array, reference)


def _foreign(mirror: Mirror) -> list[str]:
    return [step.name for step in mirror.steps if isinstance(step.function, Foreign)]


def draw(*shape: int) -> Array:
    return np.random.default_rng([5, *shape]).standard_normal(shape).astype(np.float32)


TAIL = """
    agraph (float[N, 4] x) => (float[N, 4] scores, float[N, 4] y) <float[4, 4] w = {
        1, 2, 0, 1, 0, 1, 3, 1, 2, 1, 1, 0, 0, 0, 1, 1}> {
        h = MatMul (x, w)
        scores = Tanh (h)
        a = Softsign (scores)
        b = Erf (a)
        y = Mul (b, a)
    }
"""


def test_neighbours_run_as_one_and_the_rest_trains(without: Callable[..., None]) -> None:
    without("Softsign", "Erf")
    model = _model(TAIL)
    mirror = Mirror(_typed(model))
    assert len(_foreign(mirror)) == 1
    _agrees(mirror, model, draw(3, 4))
    scores, _ = mirror(torch.from_numpy(draw(3, 4)))
    scores.sum().backward()
    gradient = mirror.value("w").grad
    assert gradient is not None and bool((gradient != 0).any())


def test_training_through_one_is_refused_before_and_while_it_happens(without: Callable[..., None]) -> None:
    without("Softsign", "Erf")
    model = _typed(_model(TAIL))
    for index, node in enumerate(model.graph):
        node.name = f"n{index}"
    mirror = Mirror(model)
    mirror.require_gradients(["w"], "scores")
    mirror.require_gradients([], "y")
    with pytest.raises(ModelError, match=r"^node 'n2' \(Softsign, opset 21\) has no mirror, and lies between .* 'y'; "):
        mirror.require_gradients(["w"], "y")
    _, y = mirror(torch.from_numpy(draw(3, 4)))
    with pytest.raises(ModelError, match=r"node 'n2' \(Softsign, opset 21\) has no mirror"):
        y.sum().backward()


def test_what_comes_before_the_trained_part_is_no_hindrance(without: Callable[..., None]) -> None:
    without("Erf")
    text = """
        agraph (float[N, 4] x) => (float[N, 4] y) <float[4] w = {1, 2, 3, 4}> {
            a = Erf (x)
            y = Mul (a, w)
        }
    """
    model = _model(text)
    mirror = Mirror(_typed(model))
    mirror.require_gradients(["w"], "y")
    _agrees(mirror, model, draw(2, 4))
    mirror(torch.from_numpy(draw(2, 4)))[0].sum().backward()
    assert mirror.value("w").grad is not None


def test_integers_ask_for_no_gradient(without: Callable[..., None]) -> None:
    without("ArgMax")
    text = """
        agraph (float[N, 4] x) => (float[N, 4] y) <float[4] w = {1, 2, 3, 4}> {
            a = Mul (x, w)
            place = ArgMax <axis = 1, keepdims = 1> (a)
            best = GatherElements <axis = 1> (a, place)
            y = Sub (a, best)
        }
    """
    model = _model(text)
    mirror = Mirror(_typed(model))
    mirror.require_gradients(["w"], "y")
    _agrees(mirror, model, draw(2, 4))
    mirror(torch.from_numpy(draw(2, 4)))[0].square().sum().backward()
    assert mirror.value("w").grad is not None


def test_a_part_that_something_in_between_needs_is_two_parts(without: Callable[..., None]) -> None:
    without("Erf", "Softsign")
    text = """
        agraph (float[N, 4] x) => (float[N, 4] y, float[N, 4] z) {
            a = Erf (x)
            b = Neg (a)
            c = Softsign (b)
            d = Softsign (x)
            z = Erf (d)
            y = Add (c, a)
        }
    """
    model = _model(text)
    mirror = Mirror(_typed(model))
    assert len(_foreign(mirror)) == 3
    _agrees(mirror, model, draw(2, 4))


def test_strings_and_sequences_stay_outside_torch() -> None:
    text = """
        agraph (float[N, 4] x, string[M] words) => (float[N, 4] y, string[M] twice, int64 count) {
            twice = StringConcat (words, words)
            a = Neg (x)
            parts = SequenceConstruct (a, x)
            count = SequenceLength (parts)
            one = Constant <value = int64 {1}> ()
            y = SequenceAt (parts, one)
        }
    """
    model = _model(text)
    _agrees(Mirror(_typed(model)), model, draw(2, 4), np.array(["Ab", "cD"], object))


def test_a_body_may_hold_one(without: Callable[..., None]) -> None:
    without("Erf")
    text = """
        agraph (float[N, 4] x, int64 n) => (float[N, 4] y) <float[4] w = {1, 2, 3, 4}> {
            y = Loop (n, , x) <
                body = step (int64 i, bool on, float[N, 4] state) => (bool more, float[N, 4] fresh) {
                    more = Identity (on)
                    e = Erf (state)
                    fresh = Mul (e, w)
                }
            >
        }
    """
    model = _model(text)
    model.graph.node[0].name = "again"
    mirror = Mirror(_typed(model))
    _agrees(mirror, model, draw(2, 4), np.array(3, np.int64))
    with pytest.raises(ModelError, match=r"\(Erf, opset 21\) has no mirror"):
        mirror.require_gradients(["w"], "y")


def test_a_control_node_that_works_on_sequences_runs_whole() -> None:
    text = """
        agraph (float[N, 4] x, int64 n) => (float[M, 4] y) <float[4] w = {1, 2, 3, 4}> {
            none = SequenceEmpty ()
            all = Loop (n, , none) <
                body = step (int64 i, bool on, seq(float[N, 4]) state) => (bool more, seq(float[N, 4]) fresh) {
                    more = Identity (on)
                    product = Mul (x, w)
                    fresh = SequenceInsert (state, product)
                }
            >
            y = ConcatFromSequence <axis = 0> (all)
        }
    """
    model = _model(text)
    _agrees(Mirror(_typed(model)), model, draw(2, 4), np.array(3, np.int64))


def test_a_float_that_such_an_operator_stores_follows_what_is_loaded(without: Callable[..., None]) -> None:
    without("PRelu")
    text = """
        agraph (float[N, 4] x) => (float[N, 4] y) <float[4] slope = {1, 2, 3, 4}> { y = PRelu (x, slope) }
    """
    mirror = Mirror(_typed(_model(text)))
    mirror.load({"slope": np.zeros(4, np.float32)})
    with torch.no_grad():
        (y,) = mirror(torch.from_numpy(draw(2, 4)))
    assert torch.equal(y, torch.from_numpy(draw(2, 4)).relu())


def test_one_of_another_domain() -> None:
    text = "agraph (float[N, 4] x) => (float[N, 4] y) { y = com.microsoft.QuickGelu <alpha = 2.0> (x) }"
    model = _model(text)
    with torch.no_grad():
        _agrees(Mirror(_typed(model)), model, draw(2, 4))
