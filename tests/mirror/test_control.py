"""If, Loop and Scan equal onnxruntime, whatever their bodies capture, and gradients flow through what ran."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import pytest
import torch
from onnx import numpy_helper

from haqc.mirror import Mirror, from_onnx
from haqc.runtime import Runtime

Array = np.ndarray


def _model(text: str, opset: int = 21) -> onnx.ModelProto:
    model = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["": {opset}]> ' + text)
    onnx.checker.check_model(model)
    return model


def _agrees(model: onnx.ModelProto, *inputs: Array, cleaned: bool = True) -> Mirror:
    """Fails unless the mirror gives what onnxruntime gives; through the clean-up, or of the graph as it stands."""
    runtime = Runtime(model.SerializeToString(), optimised=False)
    expected = runtime.run(dict(zip(runtime.inputs, inputs, strict=True)))
    mirror = from_onnx(model if cleaned else ir.from_proto(model))
    with torch.no_grad():
        given = mirror(*(torch.from_numpy(np.asarray(array)) for array in inputs))
    for tensor, reference in zip(given, expected.values(), strict=True):
        assert (tensor.numpy().dtype, tensor.numpy().shape) == (reference.dtype, reference.shape)
        np.testing.assert_allclose(tensor.numpy(), reference, rtol=1e-5, atol=1e-6)
    return mirror


def draw(*shape: int) -> Array:
    return np.random.default_rng([3, *shape]).standard_normal(shape).astype(np.float32)


CHOICE = """
    agraph (float[N, 4] x, bool b) => (float[N, 4] y, float[N, M] z) <float[4] w = {1, 2, 3, 4}> {
        h = Mul (x, w)
        y, z = If (b) <
            then_branch = yes () => (float[N, 4] p, float[N, 4] q) <float[4] v = {5, 6, 7, 8}> {
                p = Add (h, v)
                q = Mul (x, v)
            },
            else_branch = no () => (float[N, 4] r, float[N, 8] s) {
                half = Constant <value = float {0.5}> ()
                r = Mul (h, half)
                s = Concat <axis = 1> (x, h)
            }
        >
    }
"""


@pytest.mark.parametrize("cleaned", [True, False])
@pytest.mark.parametrize("condition", [True, False])
def test_if_runs_one_body(condition: bool, cleaned: bool) -> None:
    _agrees(_model(CHOICE), draw(3, 4), np.array(condition), cleaned=cleaned)


@pytest.mark.parametrize("cleaned", [True, False])
@pytest.mark.parametrize("condition", [True, False])
def test_if_whose_other_body_comes_first(condition: bool, cleaned: bool) -> None:
    model = _model(CHOICE)
    (choice,) = [node for node in model.graph.node if node.op_type == "If"]
    choice.attribute.reverse()
    _agrees(model, draw(3, 4), np.array(condition), cleaned=cleaned)


def test_what_a_body_stores_trains_and_goes_back() -> None:
    mirror = from_onnx(ir.from_proto(_model(CHOICE)))
    (name,) = [name for name, _ in mirror.named_parameters() if name.endswith("v")]
    optimiser = torch.optim.SGD(mirror.parameters(), 0.1)
    x = torch.from_numpy(draw(3, 4))
    mirror(x, torch.tensor(False))[0].sum().backward()
    parameters = dict(mirror.named_parameters())
    assert parameters[name].grad is None
    mirror(x, torch.tensor(True))[0].sum().backward()
    gradient = parameters[name].grad
    assert gradient is not None
    assert torch.equal(gradient, torch.full((4,), 3.0))
    optimiser.step()
    model = mirror.to_onnx()
    (then,) = [entry.g for entry in model.graph.node[-1].attribute if entry.name == "then_branch"]
    np.testing.assert_allclose(numpy_helper.to_array(then.initializer[0]), [4.7, 5.7, 6.7, 7.7], rtol=1e-6)
    runtime = Runtime(model.SerializeToString())
    given = runtime.run({"x": x.numpy(), "b": np.array(True)})["y"]
    np.testing.assert_allclose(mirror(x, torch.tensor(True))[0].detach().numpy(), given, rtol=1e-6)


def test_bodies_in_bodies_capture_from_all_around() -> None:
    text = """
        agraph (float[N, 4] x, bool b, bool c) => (float[N, 4] y) <float[4] w = {1, 2, 3, 4}> {
            h = Mul (x, w)
            y = If (b) <
                then_branch = outer () => (float[N, 4] p) {
                    k = Add (h, w)
                    p = If (c) <
                        then_branch = inner () => (float[N, 4] q) <float[4] v = {5, 6, 7, 8}> {
                            kv = Mul (k, v)
                            q = Add (kv, x)
                        },
                        else_branch = other () => (float[N, 4] r) { r = Sub (h, k) }
                    >
                },
                else_branch = no () => (float[N, 4] s) { s = Neg (x) }
            >
        }
    """
    for b in (True, False):
        for c in (True, False):
            _agrees(_model(text), draw(2, 4), np.array(b), np.array(c))


COUNTED = """
    agraph (int64 n, bool go, float[N, 4] x) => (float[N, 4] last, float[K, N, 4] every, int64[K] counts)
    <float[4] w = {0.5, 1, 1.5, 2}> {
        last, every, counts = Loop (n, go, x) <
            body = step (int64 i, bool on, float[N, 4] state) =>
                (bool more, float[N, 4] fresh, float[N, 4] out, int64 at)
            <float limit = {50}> {
                scaled = Mul (state, w)
                fresh = Add (scaled, x)
                out = Neg (fresh)
                at = Identity (i)
                total = ReduceMax <keepdims = 0> (fresh)
                more = Less (total, limit)
            }
        >
    }
"""


@pytest.mark.parametrize("go", [True, False])
@pytest.mark.parametrize("count", [0, 1, 4, 40])
def test_loop_ends_by_count_or_condition(count: int, go: bool) -> None:
    _agrees(_model(COUNTED), np.array(count, np.int64), np.array(go), np.abs(draw(2, 4)))


def test_loop_without_a_condition_runs_to_its_count() -> None:
    model = _model(COUNTED)
    (node,) = model.graph.node
    node.input[1] = ""
    del model.graph.input[1]
    _agrees(model, np.array(12, np.int64), np.abs(draw(2, 4)))


def test_loop_without_a_count_runs_until_its_condition_fails() -> None:
    model = _model(COUNTED)
    model.graph.node[0].input[0] = ""
    del model.graph.input[0]
    _agrees(model, np.array(True), np.abs(draw(2, 4)))


def test_loop_with_neither_runs_until_its_body_ends_it() -> None:
    model = _model(COUNTED)
    model.graph.node[0].input[0] = model.graph.node[0].input[1] = ""
    del model.graph.input[:2]
    _agrees(model, np.abs(draw(2, 4)))


def test_gradients_flow_through_every_iteration() -> None:
    mirror = from_onnx(_model(COUNTED)).double()
    x = torch.from_numpy(draw(2, 4)).abs().double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: mirror(torch.tensor(3), torch.tensor(True), x)[:2], (x,))
    mirror(torch.tensor(3), torch.tensor(True), x)[0].sum().backward()
    gradient = mirror.value("w").grad
    assert gradient is not None and bool((gradient != 0).all())


SCAN = """
    agraph (float[4] start, float[T, 4] a, float[4, T] b) => (float[4] last, float[4, T] sums, float[T, 4] products) {
        last, sums, products = Scan <
            num_scan_inputs = 2, scan_input_axes = [0, 1], scan_input_directions = [1, 0],
            scan_output_axes = [1, 0], scan_output_directions = [0, 1],
            body = step (float[4] state, float[4] p, float[4] q) => (float[4] fresh, float[4] sum, float[4] product) {
                sum = Add (p, state)
                product = Mul (p, q)
                fresh = Sub (sum, product)
            }
        > (start, a, b)
    }
"""


@pytest.mark.parametrize("length", [1, 5])
def test_scan_axes_and_directions(length: int) -> None:
    _agrees(_model(SCAN), draw(4), draw(length, 4), draw(4, length))


def test_scan_with_negative_axes() -> None:
    text = SCAN.replace("scan_input_axes = [0, 1]", "scan_input_axes = [-2, -1]")
    _agrees(
        _model(text.replace("scan_output_axes = [1, 0]", "scan_output_axes = [-1, -2]")),
        draw(4),
        draw(3, 4),
        draw(4, 3),
    )


def test_gradients_of_scan() -> None:
    mirror = from_onnx(_model(SCAN)).double()
    inputs = [torch.from_numpy(array).double().requires_grad_() for array in (draw(4), draw(3, 4), draw(4, 3))]
    assert torch.autograd.gradcheck(mirror, inputs)


def test_dead_values_of_a_body_are_freed() -> None:
    (step,) = Mirror(ir.from_proto(_model(COUNTED))).steps
    body = step.function.__closure__
    assert body is not None
    (found,) = [cell.cell_contents for cell in body if hasattr(cell.cell_contents, "steps")]
    assert {key for entry in found.steps for key in entry.dead} >= {"scaled", "total"}
