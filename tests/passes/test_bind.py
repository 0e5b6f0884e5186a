"""Binding: every shape a number, what follows from shapes computed, everything else as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from haqc.errors import ModelError
from haqc.passes.bind import bind
from haqc.passes.clean import clean
from haqc.passes.parse import parse
from tests.calls import calls_of
from tests.small_model import draw, run, small_model

# Heads split off and put back by the shape the data have, as exporters write it.
HEADS = """(float[batch,length,8] x) => (float[batch,length,8] y) {
    [shape] s = Shape (x)
    [b] b = Gather <axis=0> (s, zero)
    [l] l = Gather <axis=0> (s, one)
    [b1] b1 = Unsqueeze (b, zeros)
    [l1] l1 = Unsqueeze (l, zeros)
    [split] target = Concat <axis=0> (b1, l1, heads)
    [mm] q = MatMul (x, w)
    [view] v = Reshape (q, target)
    [swap] t = Transpose <perm=[0,2,1,3]> (v)
    [positions] p = Range (zero, l, one)
    [embed] e = Gather <axis=0> (table, p)
    [relu] u = Relu (t)
    [back] r = Transpose <perm=[0,2,1,3]> (u)
    [join] target2 = Concat <axis=0> (b1, l1, minus)
    [merge] m = Reshape (r, target2)
    [add] y = Add (m, e)
}"""
CONSTANTS = {
    "zero": np.int64(0),
    "one": np.int64(1),
    "zeros": [0],
    "heads": [2, 4],
    "minus": [-1],
    "w": draw(8, 8),
    "table": draw(32, 8),
}


def shapes(model: ir.Model) -> dict[str, list[int | None]]:
    return {
        str(value.name): [axis if isinstance(axis, int) else None for axis in value.shape or ()]
        for node in model.graph
        for value in node.outputs
    }


def cleaned(text: str, constants: dict[str, object], opset: int = 21) -> ir.Model:
    return clean(ir.from_proto(small_model(text, constants, opset)))


def test_shape_arithmetic_is_folded_and_everything_else_stays() -> None:
    model = cleaned(HEADS, CONSTANTS)
    before = ir.to_proto(model).SerializeToString(deterministic=True)
    bound = bind(model, {"x": (1, 6, 8)})
    assert {node.name for node in bound.graph} == {"mm", "view", "swap", "relu", "embed", "back", "merge", "add"}
    assert shapes(bound) == {
        "q": [1, 6, 8],
        "v": [1, 6, 2, 4],
        "t": [1, 2, 6, 4],
        "u": [1, 2, 6, 4],
        "e": [6, 8],
        "r": [1, 6, 2, 4],
        "m": [1, 6, 8],
        "y": [1, 6, 8],
    }
    np.testing.assert_array_equal(bound.graph.initializers["p"].const_value.numpy(), np.arange(6))
    assert ir.to_proto(model).SerializeToString(deterministic=True) == before  # the model given is as it was


def test_the_copy_computes_the_same() -> None:
    model, x = cleaned(HEADS, CONSTANTS), draw(1, 6, 8)
    found = run(ir.to_proto(bind(model, {"x": (1, 6, 8)})), x=x)
    np.testing.assert_array_equal(found[0], run(ir.to_proto(model), x=x)[0])


def test_a_length_that_is_open_is_asked_for() -> None:
    model = cleaned(HEADS, CONSTANTS)
    with pytest.raises(
        ModelError, match=r"'length' .axis 1.; state what you mean, for example --shape x=1,128,8, or give"
    ):
        bind(model)


def test_the_number_of_samples_is_one_and_needs_no_shape() -> None:
    model = cleaned(
        "(float[N,3,8,8] x) => (float[N,2,8,8] y) { y = Conv <pads=[1,1,1,1]> (x, w) }", {"w": draw(2, 3, 3, 3)}
    )
    assert shapes(bind(model)) == {"y": [1, 2, 8, 8]}


def test_sizes_computed_in_floats_are_folded_but_data_are_not() -> None:
    text = """(float[N,2,h,w] x) => (float[N,2,a,b] y) {
        s = Shape <start=2> (x)
        f = Cast <to=1> (s)
        half = Mul (f, factor)
        down = Floor (half)
        i = Cast <to=7> (down)
        head = Shape <end=2> (x)
        sizes = Concat <axis=0> (head, i)
        r = Resize <mode="nearest"> (x, , , sizes)
        n = Shape <start=2, end=3> (x)
        row = Gather <axis=0> (table, n)
        y = Add (r, row)
    }"""
    model = cleaned(text, {"factor": 0.5, "table": draw(16, 1)})
    bound = bind(model, {"x": (1, 2, 9, 6)})
    assert [node.op_type for node in bound.graph] == ["Resize", "Gather", "Add"]
    assert shapes(bound)["r"] == [1, 2, 4, 3]


def test_a_graph_that_asks_for_terabytes_is_bound_without_making_them() -> None:
    text = """(float[N,4] x) => (float[a,b] y) {
        s = Shape (x)
        huge = Mul (s, factor)
        ones = ConstantOfShape <value = int64[1] {1}> (huge)
        sum = Add (ones, ones)
        y = Cast <to=1> (sum)
    }"""
    model = cleaned(text, {"factor": [10**6, 10**6]})
    bound = bind(model)
    assert "ones" not in bound.graph.initializers
    assert shapes(bound)["sum"] == shapes(bound)["y"] == [10**6, 4 * 10**6]


def test_declared_shapes_serve_where_nothing_can_be_inferred() -> None:
    text = """<ir_version: 10, opset_import: ["": 21, "own": 1]>
    g (float[batch,length,8] x) => (float[batch,length,4] y) <float[batch,length,8] a> {
        a = own.Mystery (x)
        y = MatMul (a, w)
    }"""
    proto = onnx.parser.parse_model(text)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(draw(8, 4), "w"))
    bound = bind(ir.from_proto(proto), {"x": (1, 5, 8)})
    assert shapes(bound) == {"a": [1, 5, 8], "y": [1, 5, 4]}


def test_shapes_inside_and_behind_control_flow() -> None:
    text = """(float[N,length,8] x, bool up) => (float[N,length,8] y) {
        t = If (up) <
            then_branch = g () => (float[N,length,8] a) { a = Relu (x) },
            else_branch = h () => (float[N,length,8] b) { b = Neg (x) }
        >
        y = Relu (t)
    }"""
    bound = bind(cleaned(text, {}), {"x": (1, 5, 8)})
    assert shapes(bound) == {"t": [1, 5, 8], "y": [1, 5, 8]}


@pytest.mark.parametrize(("length", "expected"), [(1, [1, 8]), (5, [1, 5, 8])])
def test_a_branch_that_follows_from_a_shape_is_taken(length: int, expected: list[int]) -> None:
    """What TorchScript writes for a squeeze of an axis that may be of length one."""
    text = """(float[N,length,8] x) => (float y) {
        s = Shape <start=1, end=2> (x)
        c = Equal (s, one)
        t = If (c) <
            then_branch = g () => (float a) { a0 = Squeeze (x, one) a = Relu (a0) },
            else_branch = h () => (float b) { b = Relu (x) }
        >
        y = Neg (t)
    }"""
    bound = bind(cleaned(text, {"one": [1]}), {"x": (1, length, 8)})
    assert shapes(bound)["t"] == shapes(bound)["y"] == expected


def test_a_static_model_gets_the_shapes_that_whole_graph_inference_gives(shared: Path) -> None:
    path = shared / "fashion-mobilenet" / "fashion_mobilenet.onnx"
    model = clean(ir.load(path))
    bound = bind(model)
    proto = ir.to_proto(model)
    for axis in (value.type.tensor_type.shape.dim[0] for value in (*proto.graph.input, *proto.graph.output)):
        axis.dim_value = 1
    del proto.graph.value_info[:]
    inferred = onnx.shape_inference.infer_shapes(proto, strict_mode=True, data_prop=True)
    expected = {
        value.name: [axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in (*inferred.graph.value_info, *inferred.graph.output)
    }
    assert shapes(bound) == {name: expected[name] for name in shapes(bound)}
    assert len(shapes(bound)) > 30


def test_the_work_grows_with_the_number_of_nodes_only() -> None:
    def calls(count: int) -> int:
        nodes = "".join(f"v{i + 1} = Relu (v{i}) " for i in range(count))
        model = ir.from_proto(small_model(f"(float[N,4] v0) => (float[N,4] v{count}) {{ {nodes} }}", {}))
        return calls_of(lambda: bind(model))

    calls(10)  # the first call imports what it needs
    assert calls(2_000) < 4.2 * calls(500)


def test_a_table_beside_the_samples_does_not_count_them() -> None:
    """The products of one sample are priced, although the first input has ten rows."""
    text = """(float[10,8] table, float[N,8] x) => (float[N,4] y) {
        s = ReduceSum (table, rows)
        a = Add (x, s)
        y = MatMul (a, w)
    }"""
    model = cleaned(text, {"rows": [0], "w": draw(8, 4)})
    graph = parse(bind(model), "small")
    assert (graph.batch, graph.layers[0].rows, graph.macs) == (1, 1, 32)
