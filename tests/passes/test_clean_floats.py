"""Models of 16-bit floats and of doubles become float32 inside, and are called as before."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir
import pytest

from haqc.errors import ModelError
from haqc.passes.clean import clean, remarks
from tests.small_model import draw, run, small_model

NETWORK = """(TYPE[n,3,6,6] x, TYPE[n,4] z) => (TYPE[n,4] y, TYPE[n,4,6,6] features, int64[n] best) {
    [conv] c = Conv <pads=[1,1,1,1]> (x, w, b)
    [relu] features = Relu (c)
    [pool] p = GlobalAveragePool (features)
    [flat] f = Flatten (p)
    [fc] g = Gemm (f, w2, b2)
    [mask] m = Where (keep, g, low)
    [sum] y = Add (m, z)
    [best] best = ArgMax <axis=1, keepdims=0> (y)
}"""


def network(dtype: np.dtype, name: str) -> onnx.ModelProto:
    """A small classifier, with a mask of the lowest number, all of one type of float."""
    lowest = -65504.0 if dtype.itemsize == 2 else -1e30
    constants = {
        "w": draw(4, 3, 3, 3), "b": draw(4), "w2": draw(4, 4, seed=1), "b2": draw(4, seed=1),
        "low": np.array(lowest, np.float32),
    }  # fmt: skip
    typed = {key: value.astype(dtype) for key, value in constants.items()}
    return small_model(NETWORK.replace("TYPE", name), {**typed, "keep": np.array([True, False, True, True])})


@pytest.mark.parametrize("name", ["float16", "bfloat16", "double"])
def test_a_network_of_other_floats_gives_what_its_float32_twin_gives(name: str) -> None:
    dtype = np.dtype(ml_dtypes.bfloat16) if name == "bfloat16" else np.dtype({"double": "f8"}.get(name, "f2"))
    before = network(dtype, name)
    twin = small_model(
        NETWORK.replace("TYPE", "float"),
        {
            tensor.name: value.astype(np.float32) if value.dtype == dtype else value
            for tensor, value in ((t, ir.from_proto(t).numpy()) for t in before.graph.initializer)
        },
    )
    after = clean(ir.from_proto(before))
    expected_type = ir.DataType.from_numpy(dtype)
    assert [value.dtype for value in after.graph.inputs] == [expected_type] * 2
    assert [value.dtype for value in after.graph.outputs] == [expected_type, expected_type, ir.DataType.INT64]
    assert [value.name for value in after.graph.outputs] == ["y", "features", "best"]
    assert {v.dtype for v in after.graph.initializers.values()} <= {
        ir.DataType.FLOAT, ir.DataType.BOOL, ir.DataType.INT64,
    }  # fmt: skip
    inner = {v.dtype for n in after.graph for v in n.outputs if not v.is_graph_output()}
    assert inner == {ir.DataType.FLOAT}
    assert remarks(after)[0].endswith("inside became 32-bit floats; inputs and outputs keep their types")
    made = ir.to_proto(after)
    onnx.checker.check_model(made, full_check=True)
    data = {"x": draw(2, 3, 6, 6).astype(dtype), "z": draw(2, 4).astype(dtype)}
    expected = run(twin, **{key: value.astype(np.float32) for key, value in data.items()})
    if name == "bfloat16":  # onnxruntime takes no bfloat16 from numpy: look inside the border
        for value in made.graph.input:
            value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
        for value in made.graph.output[:2]:
            value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
        for node in made.graph.node:
            if node.op_type == "Cast":
                node.attribute[0].i = onnx.TensorProto.FLOAT
        found = run(made, **{key: value.astype(np.float32) for key, value in data.items()})
    else:
        found = run(made, **data)
    for old, new in zip(expected, found, strict=True):
        if name != "bfloat16" and old.dtype == np.float32:
            assert new.dtype == dtype
            old = old.astype(dtype)  # noqa: PLW2901
        np.testing.assert_allclose(
            new.astype(np.float64), old.astype(np.float64), rtol=2e-3 if name == "float16" else 1e-5
        )


def test_a_half_precision_network_stays_near_its_own_numbers() -> None:
    before = network(np.dtype(np.float16), "float16")
    data = {"x": draw(2, 3, 6, 6).astype(np.float16), "z": draw(2, 4).astype(np.float16)}
    after = ir.to_proto(clean(ir.from_proto(before)))
    for old, new in zip(run(before, **data), run(after, **data), strict=True):
        np.testing.assert_allclose(new, old, rtol=5e-3, atol=5e-3)


def test_weights_are_converted_when_they_are_read() -> None:
    after = clean(ir.from_proto(network(np.dtype(np.float16), "float16")))
    weight = after.graph.initializers["w"].const_value
    assert isinstance(weight, ir.LazyTensor)
    assert weight._tensor is None, "cleaning read the weights"
    np.testing.assert_array_equal(weight.numpy(), draw(4, 3, 3, 3).astype(np.float16).astype(np.float32))


def test_infinities_stay_and_large_doubles_become_the_ends_of_float32() -> None:
    limits = np.array([[-np.inf, -1e300], [1e300, np.inf]])
    before = small_model("(double[n,2] x) => (double[n,2] y) { y = MatMul (x, w) }", {"w": limits})
    weight = clean(ir.from_proto(before)).graph.initializers["w"].const_value
    assert weight is not None
    ends = np.finfo(np.float32)
    np.testing.assert_array_equal(weight.numpy(), np.array([[-np.inf, ends.min], [ends.max, np.inf]], np.float32))


def test_casts_to_half_precision_inside_a_float32_network_go() -> None:
    before = small_model(
        """(float[n,4] x) => (float[n,4] y) {
            h = Cast <to=10> (x) v = Cast <to=10> (w) p = MatMul (h, v) f = Cast <to=1> (p) y = Relu (f)
        }""",
        {"w": draw(4, 4).astype(np.float16).astype(np.float32)},
    )
    after = clean(ir.from_proto(before))
    assert [node.op_type for node in after.graph] == ["MatMul", "Relu"]
    assert len(remarks(after)) == 1
    x = draw(3, 4)
    np.testing.assert_allclose(run(ir.to_proto(after), x=x)[0], run(before, x=x)[0], rtol=5e-3, atol=5e-3)


def test_a_side_calculation_in_doubles_stays() -> None:
    before = small_model(
        """(float[n,4] x) => (float[n,4] y) {
            d = Cast <to=11> (x) s = Mul (d, third) f = Cast <to=1> (s) y = MatMul (f, w)
        }""",
        {"w": draw(4, 4), "third": np.array(1 / 3)},
    )
    after = clean(ir.from_proto(before))
    assert [node.op_type for node in after.graph] == ["Cast", "Mul", "Cast", "MatMul"]
    assert remarks(after) == ()


@pytest.mark.parametrize("text", ["y = Add (x, x)", "b = BitCast <to=7> (x) y = BitCast <to=11> (b)"])
def test_doubles_that_are_no_network_stay(text: str) -> None:
    before = onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["": 26]> small (double[n,4] x) => (double[n,4] y) {{ {text} }}'
    )
    after = clean(ir.from_proto(before))
    assert "Cast" not in {node.op_type for node in after.graph}
    assert remarks(after) == ()


def test_branches_and_loops_are_widened_too() -> None:
    before = onnx.parser.parse_model(
        """<ir_version: 10, opset_import: ["": 21]> small
        (float16[n,4] x, bool c) => (float16[n,4] y, float16[m,n,4] all) <int64 three = {3}, bool yes = {1}> {
            f = Constant <value = float[4] {1.0, 2.0, 3.0, 4.0}> ()
            b = Cast <to=10> (f)
            p = If (c) <
                then_branch = t () => (float16[n,4] a) {
                    two = Constant <value = float {2.0}> () h = Cast <to=10> (two) a = Mul (x, h)
                },
                else_branch = e () => (float16[n,4] d) { d = Add (x, b) }
            >
            y, all = Loop (three, yes, p) <
                body = l (int64 i, bool go, float16[n,4] s) => (bool on, float16[n,4] r, float16[n,4] o) {
                    on = Identity (go) h = Cast <to=10> (i) r = Add (s, h) o = Mul (r, b)
                }
            >
        }"""
    )
    after = clean(ir.from_proto(before))
    made = ir.to_proto(after)
    onnx.checker.check_model(made, full_check=True)
    for graph in after.graphs():
        for node in graph:
            for value in node.outputs:
                assert value.dtype != ir.DataType.FLOAT16 or (value.is_graph_output() and graph is after.graph)
    for choice in (True, False):
        data = {"x": draw(2, 4).astype(np.float16), "c": np.array(choice)}
        for old, new in zip(run(before, **data), run(made, **data), strict=True):
            np.testing.assert_allclose(new, old, rtol=5e-3, atol=5e-3)


def test_an_input_that_is_an_output_keeps_its_type() -> None:
    before = small_model(
        "(float16[n,2] x) => (float16[n,2] y, float16[n,2] same) { y = Relu (x) same = Identity (x) }", {}
    )
    after = ir.to_proto(clean(ir.from_proto(before)))
    onnx.checker.check_model(after, full_check=True)
    x = draw(3, 2).astype(np.float16)
    for old, new in zip(run(before, x=x), run(after, x=x), strict=True):
        np.testing.assert_array_equal(new, old)


def test_a_sequence_of_halves_at_the_border_is_refused() -> None:
    before = small_model("(seq(float16[n]) x) => (float16[m] y) { y = ConcatFromSequence <axis=0> (x) }", {})
    with pytest.raises(ModelError, match="sequence of 16-bit floats; export the model in float32"):
        clean(ir.from_proto(before))
