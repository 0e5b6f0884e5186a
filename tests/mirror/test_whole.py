"""Shape arithmetic on Python integers gives what onnxruntime's tensors give, and no tensor's value is ever read."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from haqc.mirror import Mirror
from haqc.mirror.integers import computed
from haqc.runtime import Runtime

HEADER = '<ir_version: 10, opset_import: ["": 21]> '

GRAPHS = {
    "shape": "y = Shape (x)",
    "shape-range": "y = Shape <start = -2, end = 7> (x)",
    "size": "y = Size (x)",
    "shape-of-shape": "s = Shape (x) y = Shape (s)",
    "gather-one": "s = Shape (x) y = Gather (s, minus_one)",
    "gather-many": "s = Shape (x) y = Gather (s, pair)",
    "slice": "s = Shape (x) y = Slice (s, one_, far_)",
    "slice-back": "s = Shape (x) y = Slice (s, far_, least_, zero_, minus_one_)",
    "concat": "s = Shape (x) y = Concat <axis = 0> (s, pair, s)",
    "unsqueeze": "s = Size (x) y = Unsqueeze (s, zero_)",
    "squeeze": "s = Shape <start = 1, end = 2> (x) y = Squeeze (s, zero_)",
    "to-vector": "s = Size (x) y = Reshape (s, minus_one_)",
    "to-scalar": "s = Shape <start = 1, end = 2> (x) y = Reshape (s, nothing)",
    "add": "s = Shape (x) y = Add (s, two)",
    "sub": "s = Shape (x) y = Sub (two, s)",
    "mul": "s = Shape (x) t = Mul (s, s) y = Mul (t, one_)",
    "div-down": "s = Shape (x) t = Sub (s, seven) y = Div (t, two)",
    "div-by-negative": "s = Shape (x) t = Neg (two) y = Div (s, t)",
    "mod": "s = Shape (x) t = Sub (s, seven) y = Mod (t, two)",
    "abs": "s = Shape (x) t = Sub (s, seven) y = Abs (t)",
    "min-max": "s = Shape (x) t = Min (s, two, seven) y = Max (t, s, one_)",
    "cast": "s = Shape (x) t = Cast <to = 6> (s) y = Add (t, t)",
    "truth": "s = Shape (x) t = Sub (s, two) y = Cast <to = 9> (t)",
    "equal": "s = Shape (x) y = Equal (s, two)",
    "compare": "s = Shape (x) a = Less (s, seven) b = GreaterOrEqual (s, two) y = And (a, b)",
    "logic": "s = Shape (x) a = Greater (s, seven) b = LessOrEqual (s, two) c = Or (a, b) y = Not (c)",
    "where": "s = Shape (x) a = Equal (s, two) y = Where (a, seven, s)",
    "product": "s = Shape (x) y = ReduceProd <keepdims = 0> (s)",
    "total": "s = Shape (x) y = ReduceSum (s, zero_)",
    "extremes": "s = Shape (x) a = ReduceMax (s) b = ReduceMin (s) y = Sub (a, b)",
    "fill": "s = Shape (x) y = ConstantOfShape <value = int64[1] {3}> (s)",
    "fill-vector": "s = Shape <end = 1> (x) t = ConstantOfShape <value = int64[1] {3}> (s) y = Add (t, one_)",
    "fill-floats": "s = Shape (x) y = ConstantOfShape (s)",
    "range": "s = Size (x) y = Range (two, s, two)",
    "range-down": "s = Size (x) y = Range (s, two, minus_one)",
    "range-of-nothing": "s = Size (x) y = Range (s, two, two)",
    "to-floats": "s = Shape (x) t = Cast <to = 1> (s) y = Sqrt (t)",
    "matrix": "s = Shape (x) r = Reshape (s, three_one) y = Transpose (r)",
    "reshape": "s = Size (x) n = Unsqueeze (s, zero_) y = Reshape (x, n)",
    "expand": "s = Shape (x) t = Concat <axis = 0> (pair, s) y = Expand (x, t)",
    "slice-tensor": "s = Shape <start = 2> (x) t = Sub (s, one_) y = Slice (x, one_, t, two_)",
    "slice-tensor-back": "s = Shape <start = 2> (x) t = Sub (s, one_) y = Slice (x, t, zero_, two_, minus_one_)",
    "tile": "s = Shape (x) y = Tile (x, s)",
    "split": "s = Shape <start = 2> (x) a = Div (s, two) b = Sub (s, a) c = Concat <axis = 0> (a, b)"
    " p, y = Split <axis = 2> (x, c)",
    "top": "s = Shape <start = 2> (x) k = Sub (s, one_) y, i = TopK (x, k)",
    "pad": "s = Shape (x) t = Concat <axis = 0> (s, s) y = Pad (x, t)",
    "take": "s = Shape <start = 1, end = 2> (x) t = Sub (s, one_) y = Gather <axis = 1> (x, t)",
    "cumulate": "s = Shape <end = 1> (x) t = Sub (s, s) t0 = Squeeze (t, zero_) y = CumSum (x, t0)",
    "fork": "s = Size (x) big = Greater (s, seven) y = If (big) <"
    "then_branch = yes () => (int64 p) { p = Add (s, two) }, else_branch = no () => (int64 q) { q = Identity (s) }>",
    "loop": "s = Shape (x) n = Gather (s, minus_one) y = Loop (n, , x) <"
    "body = step (int64 i, bool on, float[A, B, C] v) => (bool more, float[A, B, C] w)"
    " { more = Identity (on) r = Reshape (v, s) w = Add (r, x) }>",
    "captured-output": "s = Size (x) y = If (yes) <"
    "then_branch = a () => (int64 p) { t = Shape (x) p = Gather (t, one) },"
    " else_branch = b () => (int64 q) { q = Size (x) }>",
}

CONSTANTS: dict[str, object] = {
    "zero_": [0], "one_": [1], "two_": [2], "far_": [99], "least_": [-(2**62)], "minus_one_": [-1], "three_one": [3, 1],
    "pair": [2, 1], "nothing": [], "one": 1, "two": 2, "seven": 7, "minus_one": -1,
}  # fmt: skip


def _model(body: str) -> onnx.ModelProto:
    nodes = body.replace(") ", ")\n")
    model = onnx.parser.parse_model(f"{HEADER} small (float[A, B, C] x) => (int64 y) {{ {nodes} }}")
    model.graph.output[0].CopyFrom(onnx.helper.make_empty_tensor_value_info("y"))
    for name, value in CONSTANTS.items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value, np.int64), name))
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(True), "yes"))
    return model


def _draw(*shape: int) -> np.ndarray:
    return np.random.default_rng([9, *shape]).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("name", GRAPHS)
def test_it_equals_onnxruntime(name: str) -> None:
    model = _model(GRAPHS[name])
    runtime = Runtime(model.SerializeToString(), optimised=False)
    mirror = Mirror(ir.from_proto(onnx.shape_inference.infer_shapes(model)))
    for shape in ((2, 3, 4), (1, 5, 2)):
        x = _draw(*shape)
        expected = runtime.run({"x": x})["y"]
        with torch.no_grad():
            (y,) = mirror(torch.from_numpy(x))
        assert (y.numpy().dtype, y.numpy().shape) == (expected.dtype, expected.shape)
        np.testing.assert_allclose(y.numpy(), expected, rtol=1e-6)


NEVER_TENSORS = [name for name in GRAPHS if name not in ("to-floats", "matrix", "take", "truth")]


@pytest.mark.parametrize("name", NEVER_TENSORS)
def test_no_value_of_a_tensor_is_read(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror = Mirror(ir.from_proto(onnx.shape_inference.infer_shapes(_model(GRAPHS[name]))))
    if name == "captured-output":
        pytest.skip("its condition is a stored tensor")

    def read(self: torch.Tensor, *others: object) -> None:
        raise AssertionError("a tensor's value was read")

    for method in ("tolist", "item", "__int__", "__index__", "__bool__"):
        monkeypatch.setattr(torch.Tensor, method, read)
    if name != "loop":
        mirror(torch.from_numpy(_draw(2, 3, 4)))


def _broadcast(value: int | tuple[int, ...]) -> np.ndarray:
    return np.asarray(value, np.int64)


numbers = st.integers(-50, 50)
values = st.one_of(numbers, st.tuples(numbers), st.tuples(numbers, numbers, numbers))
PAIRS = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Mod": np.mod,
    "Min": np.minimum,
    "Max": np.maximum,
    "Equal": np.equal,
    "Less": np.less,
    "Div": lambda a, b: np.trunc(a / b).astype(np.int64),
}


@settings(max_examples=200, deadline=None, derandomize=True)
@given(op=st.sampled_from(sorted(PAIRS)), a=values, b=values)
def test_pairs_broadcast_as_arrays_do(op: str, a: int | tuple[int, ...], b: int | tuple[int, ...]) -> None:
    if op in ("Div", "Mod") and not np.all(_broadcast(b)):
        return
    given_ = computed(op, (), a, b)
    expected = PAIRS[op](_broadcast(a), _broadcast(b))
    assert np.shape(given_) == expected.shape
    np.testing.assert_array_equal(np.asarray(given_), expected)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    length=st.integers(0, 5),
    start=st.integers(-8, 8),
    end=st.integers(-8, 8),
    step=st.integers(-3, 3).filter(bool),
)
def test_slices_are_those_of_the_tensor_operator(length: int, start: int, end: int, step: int) -> None:
    from haqc.mirror.operators.slicing import cut_at

    data = tuple(range(length))
    expected = cut_at(torch.arange(length), [start], [end], [0], [step])
    assert list(computed("Slice", (), data, (start,), (end,), (0,), (step,))) == expected.tolist()
