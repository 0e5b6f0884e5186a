"""Tables, recurrent layers, and what the parser does with graphs that are large, odd or partly unknown."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from haqc import targets
from haqc.costmodel import build_table
from haqc.errors import ModelError
from haqc.graph import Graph, LeftOut
from haqc.passes.bind import bind
from haqc.passes.clean import clean
from haqc.passes.cost import cost
from haqc.passes.parse import parse
from haqc.policy import baseline, plain
from tests.calls import calls_of
from tests.passes.small_graphs import GRAPHS
from tests.small_model import draw, small_model


def parsed(text: str, constants: dict[str, object], opset: int = 21) -> Graph:
    return parse(bind(clean(ir.from_proto(small_model(text, constants, opset)))), "small")


TABLE = """(int64[n,7] x) => (float[n,7,4] y) {
    [look] e = Gather (t, x) [fc] y = MatMul (e, w)
}"""


def test_a_table_is_a_layer_that_multiplies_nothing() -> None:
    graph = parsed(TABLE, {"t": draw(11, 5), "w": draw(5, 4)})
    table = graph.layer["look"]
    assert (table.rows, table.reduction, table.columns, table.macs) == (7, 0, 5, 0)
    assert (table.weight_values, table.weight_axis, table.weight_scales, table.kind) == (55, 1, 5, "table")
    assert (table.activation, table.data_reason, table.float_reason) == ("x", "its data are indices", "")
    assert {o.tensor: (o.kind, o.fixed_bits) for o in graph.operands} == {
        "t": ("weight", None), "w": ("weight", None), "e": ("activation", None)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "constants", "reason"),
    [
        ("e = Gather <axis=1> (t, x) y = Neg (e)", {"t": draw(5, 11)}, None),
        ("e = Gather (t, x) y = Neg (e)", {"t": draw(11)}, None),
        ("[g] e = Gather (t, x) y = Neg (e)", {"t": draw(11, 2, 3)}, "its table has more than two axes"),
    ],
)
def test_other_gathers_are_no_tables(text: str, constants: dict[str, object], reason: str | None) -> None:
    graph = parsed(f"(int64[n,7] x) => (float y) {{ {text} }}", constants)
    assert graph.layers == ()
    assert [left.reason for left in graph.left_out] == ([] if reason is None else [reason])


@pytest.mark.parametrize("name", ["tied_table", "tied_through_transpose"])
def test_a_table_that_is_also_the_weights_of_a_layer_is_one_decision(name: str) -> None:
    graph = parse(bind(clean(ir.from_proto(GRAPHS[name]()))), "small")
    assert graph.operand["t"].layers == ("rows.node", "y.node")
    assert [layer.weight_values for layer in graph.layers] == [66, 36, 0]
    assert (graph.layer["rows.node"].weight_axis, graph.layer["rows.node"].weight_scales) == (0, 11)
    assert graph.layer["y.node"].weight_axis == 0


def test_a_table_that_something_else_reads_stays_in_float() -> None:
    graph = parsed(
        "(int64[n,7] x, float[n,5] v) => (float[n,7,5] y, float[11,5] z) { [g] y = Gather (t, x) [m] z = Mul (t, v) }",
        {"t": draw(11, 5)},
    )
    assert graph.layer["g"].float_reason == "its weights are also read by Mul 'm'"
    assert graph.layer["g"].data_reason == ""


@pytest.mark.parametrize("target", targets.names())
def test_rows_are_priced_by_what_they_move(target: str) -> None:
    chip = targets.load(target)
    graph = parsed(TABLE, {"t": draw(11, 5), "w": draw(5, 4)})
    for mode in chip.modes:
        streaming = chip.hardware.streaming(mode)
        report = cost(graph, chip, plain(graph, 8, 8), mode=mode, batch=3)
        table = report.layers[0]
        bits = 3 * 35 * (8 + table.output_bits)
        assert (table.layer.name, sum(table.moved_bytes.values()) * 8) == ("look", bits)
        assert table.weight_bytes == 55
        listed = {row["op"]: row for row in report.to_json()["not_modelled"]["operators"]}
        if streaming is None:
            assert (table.latency_s, table.energy_j) == (0.0, 0.0)
            assert listed["Gather"]["moved_bytes"] * 8 == bits
        else:
            exact = bits / streaming.bits_per_s
            assert exact <= table.latency_s * (1 + 1e-12) <= exact + 1.01 / chip.hardware.clock_hz
            np.testing.assert_allclose(table.energy_j, bits * streaming.energy_j_per_bit, rtol=1e-12)
            assert "Gather" not in listed
        dense = build_table(parsed(TABLE.replace("int64[n,7] x", "float[n,7,5] x").replace(
            "[look] e = Gather (t, x)", "e = Abs (x)"), {"w": draw(5, 4)}), chip, mode=mode, batch=3)  # fmt: skip
        assert report.layers[1].cycles == dense.layer_costs(baseline(dense.graph))[0].cycles


def test_a_model_of_a_table_alone_is_priced() -> None:
    graph = parsed("(int64[n,7] x) => (float[n,7,5] y) { [look] y = Gather (t, x) }", {"t": draw(11, 5)})
    assert cost(graph, targets.load("edge"), baseline(graph)).total.weight_bytes == 55
    t4 = cost(graph, targets.load("t4"), baseline(graph), batch=1)
    assert t4.total.latency_s > 0


GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("op", GATES)
def test_a_recurrent_node_is_two_layers(op: str, directions: int) -> None:
    columns = 6 * GATES[op]
    way = "forward" if directions == 1 else "bidirectional"
    graph = parsed(
        f"""(float[n,9,5] x) => (float[9,{directions},n,6] y) {{
            t = Transpose <perm=[1,0,2]> (x) [r] y = {op} <hidden_size=6, direction="{way}"> (t, w, u, b)
        }}""",
        {"w": draw(directions, columns, 5), "u": draw(directions, columns, 6), "b": draw(directions, 2 * columns)},
    )
    data, state = graph.layers
    assert (data.name, state.name, data.nodes, state.nodes) == ("r", "r.state", ("r",), ("r",))
    assert (data.groups, data.rows, data.reduction, data.columns) == (directions, 9, 5, columns)
    assert (state.groups, state.rows, state.reduction, state.columns) == (directions, 9, 6, columns)
    assert (data.activation, data.data_reason) == ("x", "")
    assert (state.activation, state.data_reason) == ("", "its state stays in float")
    assert (data.kind, data.is_dense, data.weight_axis, data.weight_scales) == ("recurrent", True, 1, columns)
    assert {o.tensor: (o.fixed_bits, o.reason) for o in graph.operands} == {
        "w": (8, f"the weights of {op} 'r' have 8 bits"),
        "x": (8, f"the data of {op} 'r' have 8 bits"),
        "u": (8, f"the weights of {op} 'r' have 8 bits"),
    }
    assert [(o.name, o.reads, o.writes, o.layer) for o in graph.operations] == [("r", ("x",), ("y",), "r")]
    assert graph.last_layers == ("r", "r.state")
    assert {str(bits) for bits in plain(graph, 4, 4).layer_bits} == {"8/8"}


def test_a_recurrent_node_with_computed_weights_stays_in_float() -> None:
    graph = parsed(
        """(float[n,9,5] x, float[1,4,5] v) => (float[9,1,n,4] y) {
            t = Transpose <perm=[1,0,2]> (x) w = Neg (v) [r] y = RNN <hidden_size=4> (t, w, u)
        }""",
        {"u": draw(1, 4, 4)},
    )
    assert {layer.float_reason for layer in graph.layers} == {"its weights are computed while the model runs"}


def test_recurrent_weights_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ModelError, match=r"weights of LSTM 'r', of shapes \[1, 16, 3\] and \[1, 16, 4\], do not fit"):
        parsed("(float[9,2,5] x) => (float[9,1,2,4] y) { [r] y = LSTM <hidden_size=4> (x, w, u) }",
               {"w": draw(1, 16, 3), "u": draw(1, 16, 4)})  # fmt: skip


def fixed(graph: Graph) -> dict[str, int | None]:
    return {operand.tensor: operand.fixed_bits for operand in graph.operands if not operand.layers}


SCORES = {
    "mask": "m = Add (s, mask)",
    "mask after scale": "v = Div (s, two) m = Add (v, mask)",
    "mask, where, reshape": "u = Add (s, mask) v = Where (yes, u, far) m = Reshape (v, same)",
    "sum of two": "o = MatMul (mask, k) m = Add (s, o)",
}


@pytest.mark.parametrize("case", SCORES)
def test_scores_on_their_way_into_a_softmax_stay_in_float(case: str) -> None:
    graph = parsed(
        f"""(float[n,5,5] x, float[n,5,5] mask) => (float[n,5,5] y) {{
            q = MatMul (x, w) k = MatMul (x, v0) s = MatMul (q, k) {SCORES[case]} p = Softmax (m) y = MatMul (p, k)
        }}""",
        {"w": draw(5, 5), "v0": draw(5, 5, seed=1), "two": 2.0, "far": -1e9, "yes": np.ones((5, 5), np.bool_),
         "same": [0, 5, 5]},
    )  # fmt: skip
    assert fixed(graph) == {}


def test_attention_with_shared_keys_is_quantised_but_for_its_scores() -> None:
    graph = parse(bind(clean(ir.from_proto(GRAPHS["grouped_attention"]()))), "small")
    assert [layer.float_reason for layer in graph.layers] == [""] * 6
    searched = {operand.tensor for operand in graph.operands if operand.fixed_bits is None}
    assert searched == {"q.w", "k.w", "v.w", "ow", "x", "q", "k.x", "v.x", "p", "o"}
    assert fixed(graph) == {"z": 8}


def test_what_is_broadcast_or_follows_from_positions_is_no_join() -> None:
    graph = parsed(
        """(float[n,5,6] x, float[n,1,6] v, int64[n,5,6] i) => (float[n,5,6] y) {
            a = MatMul (x, w) b = Add (a, v) c = Cast <to=1> (i) d = Add (b, c) e = Add (d, a) y = MatMul (e, w)
        }""",
        {"w": draw(6, 6)},
    )
    assert fixed(graph) == {"d": 8, "a": 8}


def test_products_of_positions_stay_in_float() -> None:
    graph = parsed(
        """(float[n,5,6] x, int64[n,5,1] i) => (float[n,5,6] y) {
            p = Cast <to=1> (i) [angles] g = MatMul (p, f) s = Sin (g) t = Mul (x, s) [fc] y = MatMul (t, w)
        }""",
        {"f": draw(1, 6), "w": draw(6, 6)},
    )
    assert graph.layer["fc"].float_reason == ""
    both = parsed(
        """(float[n,5,6] x, int64[n,5,1] i, int64[n,1,6] j) => (float[n,5,6] y) {
            p = Cast <to=1> (i) q = Cast <to=1> (j) [angles] g = MatMul (p, q) t = Mul (x, g) [fc] y = MatMul (t, w)
        }""",
        {"w": draw(6, 6)},
    )
    assert both.layer["angles"].float_reason == "its left operand follows from positions or masks alone"


def test_dilations_are_kept() -> None:
    graph = parse(bind(clean(ir.from_proto(GRAPHS["volume"]()))), "small")
    assert [layer.dilation for layer in graph.layers] == [(1, 2, 1), (1, 1, 1), (1, 1, 1)]
    assert [layer.kind for layer in graph.layers] == ["depthwise", "transposed", "conv"]


MEANS = {
    "over the image": ("n,3,4,4", "c = Conv (x, w) y = ReduceMean (c, a23)", {"c": 8}),
    "over the length of a 1-D image": ("n,3,4", "c = Conv (x, w1) r = Relu (c) y = ReduceMean (r, a2)", {"r": 8}),
    "over one axis of an image": ("n,3,4,4", "c = Conv (x, w) y = ReduceMean (c, a2)", {}),
    "over the features of tokens": ("n,3,4", "c = MatMul (x, w4) y = ReduceMean (c, a2)", {}),
    "over channels": ("n,3,4,4", "c = Conv (x, w) y = ReduceMean (c, a1)", {}),
    "in a normalisation": ("n,3,4,4", "c = Conv (x, w) m = ReduceMean (c, a23) y = Sub (c, m)", {}),
    "of squares": ("n,3,4,4", "c = Conv (x, w) s = Mul (c, c) y = ReduceMean (s, a23)", {}),
}


@pytest.mark.parametrize("case", MEANS)
def test_a_mean_is_pooling_only_over_the_axes_of_an_image(case: str) -> None:
    shape, text, expected = MEANS[case]
    constants = {"w": draw(3, 3, 1, 1), "w1": draw(3, 3, 1), "w4": draw(4, 4), "a23": [2, 3], "a2": [2], "a1": [1]}
    assert fixed(parsed(f"(float[{shape}] x) => (float y) {{ {text} }}", constants)) == expected


def test_a_concat_and_what_layers_read_of_it_are_a_group() -> None:
    graph = parse(bind(clean(ir.from_proto(GRAPHS["concatenation_read_twice"]()))), "small")
    assert graph.groups == {"r1": ("r1", "j", "r2")}
    assert fixed(graph) == {"c3": 8, "c4": 8}


def test_two_tensors_that_layers_read_and_a_sum_adds_are_a_group() -> None:
    graph = parsed(
        """(float[n,4] x) => (float[n,4] y) {
            a = Relu (x) b = MatMul (a, w) c = MatMul (b, w) d = Add (a, b) e = Add (c, d) y = MatMul (e, w)
        }""",
        {"w": draw(4, 4)},
    )
    assert graph.groups == {"a": ("a", "b")}  # c and d are read by the sum alone, and have 8 bits


def test_the_shortcuts_of_residual_networks_make_no_groups() -> None:
    graph = parse(bind(clean(ir.from_proto(GRAPHS["residual"]()))), "small")
    assert graph.groups == {}
    assert not any(operand.group for operand in graph.operands)


def test_what_has_no_model_is_left_out_with_a_reason() -> None:
    proto = small_model(
        """(float[n,5,6] x) => (float[n,5,5] y) {
            [pair] a = Einsum <equation="bij,bkj->bik"> (x, x) y = MatMul (a, w)
        }""",
        {"w": draw(5, 5)},
    )
    graph = parse(bind(clean(ir.from_proto(proto))), "small")
    assert graph.left_out == (LeftOut("pair", "Einsum", "there is no cost model for Einsum"),)
    proto.opset_import.append(helper.make_opsetid("com.example", 1))
    proto.graph.node[0].domain = "com.example"
    graph = parse(_with_shapes(proto), "small")
    assert [(left.op, left.reason.split(";")[0]) for left in graph.left_out] == [
        ("com.example.Einsum", "operators of domain 'com.example' have no cost model")
    ]


def _with_shapes(proto: onnx.ModelProto) -> ir.Model:
    model = ir.from_proto(proto)
    for node in model.graph:
        for value in node.outputs:
            value.shape, value.type = ir.Shape([1, 5, 5]), ir.TensorType(ir.DataType.FLOAT)
    for value in model.graph.inputs:
        value.shape = ir.Shape([1, 5, 6])
    return model


def looped() -> onnx.ModelProto:
    """A Loop whose body multiplies by weights and reads what a layer outside wrote."""
    value, weights = helper.make_tensor_value_info, numpy_helper.from_array(draw(4, 4).astype(np.float32), "w")
    body = helper.make_graph(
        [helper.make_node("MatMul", ["state", "w"], ["product"], name="inner"),
         helper.make_node("Add", ["product", "a"], ["next"], name="sum"),
         helper.make_node("Identity", ["go"], ["on"])],
        "body",
        [value("i", TensorProto.INT64, []), value("go", TensorProto.BOOL, []), value("state", TensorProto.FLOAT, None)],
        [value("on", TensorProto.BOOL, []), value("next", TensorProto.FLOAT, None)],
    )  # fmt: skip
    nodes = [
        helper.make_node("MatMul", ["x", "v"], ["a"], name="before"),
        helper.make_node("Loop", ["times", "", "x"], ["b"], name="loop", body=body),
        helper.make_node("MatMul", ["b", "v"], ["y"], name="after"),
    ]
    constants = [weights, numpy_helper.from_array(draw(4, 4, seed=1).astype(np.float32), "v"),
                 numpy_helper.from_array(np.array(2), "times")]  # fmt: skip
    x, y, b = (value(name, TensorProto.FLOAT, ["n", 4]) for name in "xyb")
    graph = helper.make_graph(nodes, "g", [x], [y], constants, value_info=[b])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def test_the_body_of_a_loop_stays_in_float_and_reads_what_it_captures() -> None:
    graph = parse(bind(clean(ir.from_proto(looped()))), "small")
    assert [layer.name for layer in graph.layers] == ["before", "after"]
    assert [(left.node, left.op) for left in graph.left_out] == [("inner", "MatMul")]
    assert "inside the body of Loop 'loop'" in graph.left_out[0].reason
    (loop,) = (operation for operation in graph.operations if operation.op == "Loop")
    assert set(loop.reads) == {"x", "a"}
    assert graph.last_layers == ("after",)


ODD = {
    "vector times matrix": ("(float[5] x) => (float[4] y) { [p] y = MatMul (x, w) }", {"w": draw(5, 4)}, 20),
    "matrix times vector": ("(float[n,5] x, float[5] v) => (float[n] y) { [p] y = MatMul (x, v) }", {}, 5),
    "vector times vector": ("(float[5] x, float[5] v) => (float y) { [p] y = MatMul (x, v) }", {}, 5),
    "heads and no heads": (
        "(float[n,8,6,4] x, float[n,1,4,6] v) => (float[n,8,6,6] y) { [p] y = MatMul (x, v) }", {}, 8 * 6 * 4 * 6
    ),
    "no heads and heads": (
        "(float[n,1,6,4] x, float[n,8,4,6] v) => (float[n,8,6,6] y) { [p] y = MatMul (x, v) }", {}, 8 * 6 * 4 * 6
    ),
    "grouped queries": (
        """(float[n,8,6,4] x, float[n,2,6,4] v) => (float[n,8,6,6] y) {
            u = Unsqueeze (v, two) e = Expand (u, wide) r = Reshape (e, heads) t = Transpose <perm=[0,1,3,2]> (r)
            [p] y = MatMul (x, t)
        }""",
        {"two": [2], "wide": [1, 2, 4, 6, 4], "heads": [0, 8, 6, 4]},
        8 * 6 * 4 * 6,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ODD)
def test_products_of_odd_ranks_are_counted(case: str) -> None:
    text, constants, macs = ODD[case]
    layer = parsed(text, constants).layer["p"]
    assert layer.macs == macs
    assert bool(layer.float_reason) == case.endswith("vector")


def test_a_layer_without_values_is_left_out() -> None:
    graph = parsed("(float[n,0,5] x) => (float[n,0,4] y) { [p] y = MatMul (x, w) }", {"w": draw(5, 4)})
    assert (graph.layers, graph.left_out) == ((), (LeftOut("p", "MatMul", "one of its tensors holds nothing"),))


def test_shapes_that_no_layer_needs_may_be_unknown() -> None:
    graph = parsed(
        """(float[n,5] x) => (float[n,4] y, int64 z) {
            [p] y = MatMul (x, w) i = NonZero (y) [after] z = Neg (i)
        }""",
        {"w": draw(5, 4)},
    )
    assert {"i", "z"} >= graph.unknown_tensors and graph.unknown_tensors
    assert graph.unknown_tensors.isdisjoint(graph.tensor_values)
    listed = cost(graph, targets.load("t4"), baseline(graph)).to_json()["not_modelled"]["operators"]
    assert {row["op"] for row in listed} == {"NonZero", "Neg"}


def test_weights_are_found_behind_a_transpose_and_shared_through_it() -> None:
    proto = small_model(
        """(float[n,4] x) => (float[n,4] y) {
            t = Transpose <perm=[1,0]> (w) [one] a = MatMul (x, t) b = Relu (a) [two] y = Gemm <transB=1> (b, w)
        }""",
        {"w": draw(4, 4)},
    )
    graph = parse(bind(ir.from_proto(proto)), "small")  # clean-up folds what is as small as this
    assert [(layer.weight, layer.weight_axis, layer.weight_values) for layer in graph.layers] == [
        ("w", 0, 16), ("w", 0, 0)
    ]  # fmt: skip
    assert graph.operand["w"].layers == ("one", "two")


def test_unnamed_and_repeated_reads() -> None:
    graph = parsed("(float[n,4,4] x) => (float[n,4,4] y) { a = Add (x, x) y = MatMul (a, a) }", {})
    assert [(operation.op, operation.reads) for operation in graph.operations] == [("Add", ("x",)), ("MatMul", ("a",))]
    assert fixed(graph) == {"x": 8}


def chain_model(count: int) -> ir.Model:
    """A long residual chain: a third each of products, activations and sums, all of one weight."""
    value = helper.make_tensor_value_info
    nodes = []
    for i in range(count // 3):
        nodes += [
            helper.make_node("MatMul", [f"x{i}", "w"], [f"p{i}"], name=f"p{i}"),
            helper.make_node("Relu", [f"p{i}"], [f"r{i}"], name=f"r{i}"),
            helper.make_node("Add", [f"r{i}", f"x{i}"], [f"x{i + 1}"], name=f"s{i}"),
        ]
    last = f"x{count // 3}"
    x, y = (value(name, TensorProto.FLOAT, [1, 4]) for name in ("x0", last))
    infos = [value(name, TensorProto.FLOAT, [1, 4]) for node in nodes for name in node.output]
    weights = [numpy_helper.from_array(draw(4, 4).astype(np.float32), "w")]
    graph = helper.make_graph(nodes, "g", [x], [y], weights, value_info=infos)
    return ir.from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10))


def test_the_work_grows_with_the_number_of_nodes() -> None:
    def calls(count: int) -> int:
        model = chain_model(count)
        return calls_of(lambda: parse(model, "chain"))

    calls(30)
    assert calls(1_200) < 4.2 * calls(300)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [(["x", ""], r"node 'p' \(MatMul\) lacks its input 2"), (["x"], r"node 'p' \(MatMul\) lacks its input 2"),
     (["x", "w"], r"operands of layer 'p', of shapes \[1, 5\] and \[4, 4\], do not fit each other")],
)  # fmt: skip
def test_operands_that_are_missing_or_do_not_fit_are_refused(inputs: list[str], message: str) -> None:
    value = helper.make_tensor_value_info
    weights = [numpy_helper.from_array(draw(4, 4).astype(np.float32), "w")]
    nodes = [helper.make_node("MatMul", inputs, ["y"], name="p")]
    x, y = value("x", TensorProto.FLOAT, [1, 5]), value("y", TensorProto.FLOAT, [1, 4])
    proto = helper.make_model(helper.make_graph(nodes, "g", [x], [y], weights), ir_version=10)
    with pytest.raises(ModelError, match=message):
        parse(ir.from_proto(proto), "small")
