"""Constants are folded: small ones at once, large ones when they are read, and none that would fill the memory."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper, numpy_helper

from haqc.passes.clean import clean, fold, remarks
from tests.calls import calls_of
from tests.small_model import draw, run, small_model


def cleaned(model: onnx.ModelProto) -> ir.Model:
    return clean(ir.from_proto(model))


def operators(model: ir.Model) -> list[str]:
    return [node.op_type for node in model.graph]


def assert_same(before: onnx.ModelProto, after: ir.Model, **inputs: np.ndarray) -> None:
    made = ir.to_proto(after)
    onnx.checker.check_model(made, full_check=True)
    for old, new in zip(run(before, **inputs), run(made, **inputs), strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-5, atol=1e-5 * np.abs(old).max(initial=0))


LARGE_CHAINS = {
    "transpose": "t = Transpose <perm=[1,0]> (w)",
    "reshape": "s = Transpose <perm=[1,0]> (w) t = Reshape (s, shape)",
    "cast": "h = Cast <to=11> (w) s = Cast <to=1> (h) t = Transpose <perm=[1,0]> (s)",
    "split": "s = Transpose <perm=[1,0]> (w) t, other = Split <axis=0, num_outputs=2> (s)",
    "arithmetic": "s = Mul (w, half) u = Add (s, half) t = Transpose <perm=[1,0]> (u)",
}


@pytest.mark.parametrize("form", LARGE_CHAINS)
def test_large_constants_are_folded_when_they_are_read(form: str) -> None:
    columns = 2048 if form == "split" else 1024
    before = small_model(
        f"(float[n,1024] x) => (float[n,1024] y) {{ {LARGE_CHAINS[form]} [fc] y = MatMul (x, t) }}",
        {"w": draw(1024 + 1, columns)[:1024], "shape": [1024, 1024], "half": 0.5},
    )
    after = cleaned(before)
    assert operators(after) == ["MatMul"]
    weight = after.graph[0].inputs[1]
    assert weight is not None
    assert isinstance(weight.const_value, ir.LazyTensor)
    assert weight.const_value._tensor is None, "cleaning read the weights"
    assert_same(before, after, x=draw(3, 1024))


def test_a_large_constant_that_is_an_output_stays_computed() -> None:
    before = small_model(
        """(float[n,1025] x) => (float[n,1024] y, float[1025,1024] t) {
            t = Transpose <perm=[1,0]> (w) [fc] y = MatMul (x, t)
        }""",
        {"w": draw(1024, 1025)},
    )
    assert_same(before, cleaned(before), x=draw(3, 1025))


@pytest.mark.parametrize(
    "grow",
    [
        "big = ConstantOfShape (size)",
        "big = Expand (one, size)",
        "big = Tile (one, size)",
        "big = Range (nought, count, step) ",
        "s = Concat <axis=0> (one, one) big = Pad (s, width)",
        "i = Cast <to=7> (one) big = OneHot (i, count, ends)",
    ],
)
def test_a_constant_of_a_petabyte_is_neither_computed_nor_a_crash(grow: str) -> None:
    huge = 1 << 50
    constants: dict[str, object] = {
        "w": draw(2, 2), "one": np.ones(1, np.float32), "size": [huge], "width": [0, huge],
        "nought": np.array(0, np.int64), "count": np.array(huge, np.int64), "step": np.array(1, np.int64),
        "ends": np.zeros(2, np.float32),
    }  # fmt: skip
    before = small_model(
        f"""(float[n,2] x) => (float[n,2] y) {{
            {grow}
            f = Cast <to=1> (big)
            top = ReduceMax <keepdims=0> (f)
            p = MatMul (x, w)
            y = Mul (p, top)
        }}""",
        constants,
    )
    assert operators(cleaned(before))[0] == grow.rpartition(" = ")[2].partition(" ")[0]


def test_constants_that_double_forty_times_are_not_computed() -> None:
    nodes = [helper.make_node("Concat", [f"c{i}", f"c{i}"], [f"c{i + 1}"], axis=0) for i in range(40)]
    nodes += [helper.make_node("ReduceMax", ["c40"], ["top"], keepdims=0), helper.make_node("Mul", ["x", "top"], ["y"])]
    graph = helper.make_graph(
        nodes, "doubling", [helper.make_tensor_value_info("x", 1, ["n"])],
        [helper.make_tensor_value_info("y", 1, ["n"])], [numpy_helper.from_array(np.ones(8, np.float32), "c0")],
    )  # fmt: skip
    after = cleaned(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10))
    sizes = [value.const_value.size for value in after.graph.initializers.values() if value.const_value is not None]
    assert max(sizes) <= fold.SMALL
    assert operators(after)[-2:] == ["ReduceMax", "Mul"]


def test_a_small_epsilon_is_not_taken_for_nothing() -> None:
    before = small_model(
        """(float[n,4] x) => (float[n,4] y) {
            v = Sub (x, x) e = Add (v, eps) s = Sqrt (e) one = Div (s, s) nought = Add (one, zero) y = Mul (nought, x)
        }""",
        {"eps": 1e-12, "zero": 0.0},
    )
    after = cleaned(before)
    assert operators(after) == ["Sub", "Add", "Sqrt", "Div", "Mul"]
    assert_same(before, after, x=draw(3, 4))


def test_a_neutral_constant_that_broadcasts_stays() -> None:
    before = small_model(
        "(float[n] x) => (float[1,n] z) { y = Mul (x, one) z = Relu (y) }", {"one": np.ones((1, 1), np.float32)}
    )
    after = cleaned(before)
    assert operators(after) == ["Mul", "Relu"]
    assert_same(before, after, x=draw(3))


@pytest.mark.parametrize("form", ["Min (t, high)", "Max (t, low)"])
def test_a_minimum_of_a_maximum_is_a_clip(form: str) -> None:
    inner = "t = Max (x, low)" if form.startswith("Min") else "t = Min (high, x)"
    before = small_model(f"(float[n,4] x) => (float[n,4] y) {{ {inner} y = {form} }}", {"low": 0.0, "high": 1.0})
    after = cleaned(before)
    assert operators(after) == ["Clip"]
    assert_same(before, after, x=draw(3, 4))


@pytest.mark.parametrize(
    ("extent", "step", "is_folded"), [("6", 2, True), ("6", 0, False), ("n", 2, False), (str(1 << 40), 1, False)]
)
def test_a_split_into_a_sequence_is_folded_where_its_parts_are_few(extent: str, step: int, is_folded: bool) -> None:
    before = small_model(
        f"""(float[{extent},2] x) => (float[m,2] y) {{
            s = SplitToSequence <axis=0> (x, step) a = SequenceAt (s, first) y = Relu (a)
        }}""",
        {"step": np.array(step), "first": np.array(0)},
    )
    after = cleaned(before)
    assert ("SplitToSequence" in operators(after)) != is_folded
    if extent == "6" and step:
        assert_same(before, after, x=draw(6, 2))


def test_a_split_by_a_computed_length_stays() -> None:
    before = small_model(
        "(float[6,2] x, int64 k) => (float[m,2] y) { s = SplitToSequence (x, k) y = SequenceAt (s, first) }",
        {"first": np.array(0)},
    )
    after = cleaned(before)
    assert operators(after) == ["SplitToSequence", "SequenceAt"]
    assert_same(before, after, x=draw(6, 2), k=np.array(4))


BRANCHES = """y = If (c) <
    then_branch = t () => (float[n,4] a) { k = Constant <value = float {2.0}> () u = Mul (x, k) a = Relu (u) },
    else_branch = e () => (float[n,4] d) { u = MatMul (x, w) d = Add (u, b) }
>"""


@pytest.mark.parametrize("truth", [True, False])
@pytest.mark.parametrize(
    "condition",
    [
        "c = Identity (given)",
        "c = Not (other)",
        "s = Shape (x) r = Size (s) c = Equal (r, rank)",
        "g = Gather (both, nought) f = Cast <to=1> (g) c = Greater (f, half)",
    ],
)
def test_an_if_whose_condition_comes_out_constant_becomes_its_branch(condition: str, truth: bool) -> None:
    before = small_model(
        f"(float[n,4] x) => (float[n,4] z, float[n,4] y) {{ {condition} {BRANCHES} z = Tanh (y) }}",
        {
            "given": np.array(truth), "other": np.array(not truth), "rank": np.array(2 if truth else 3),
            "both": np.array([truth, not truth]), "nought": np.array(0), "half": 0.5, "w": draw(4, 4), "b": draw(4),
        },
    )  # fmt: skip
    after = cleaned(before)
    assert operators(after) == (["Mul", "Relu", "Tanh"] if truth else ["Gemm", "Tanh"])
    assert [value.name for value in after.graph.outputs] == ["z", "y"]
    assert_same(before, after, x=draw(3, 4))


def test_ifs_in_ifs_and_branches_that_give_constants() -> None:
    before = small_model(
        """(float[n,4] x, bool q) => (float[n,4] y, float[4] k) {
            k = If (yes) <
                then_branch = t () => (float[4] a) { a = Constant <value = float[4] {1.0, 2.0, 3.0, 4.0}> () },
                else_branch = e () => (float[4] d) { d = Identity (b) }
            >
            y = If (q) <
                then_branch = t2 () => (float[n,4] a2) {
                    i = If (yes) <
                        then_branch = t3 () => (float[n,4] a3) { a3 = Add (x, k) },
                        else_branch = e3 () => (float[n,4] d3) { d3 = Sub (x, k) }
                    >
                    a2 = Relu (i)
                },
                else_branch = e2 () => (float[n,4] d2) { d2 = Mul (x, k) }
            >
        }""",
        {"yes": np.array(True), "b": draw(4)},
    )
    after = cleaned(before)
    assert [node.op_type for node in after.graph if node.op_type == "If"] == ["If"]
    inner = [node.op_type for graph in after.graphs() if graph is not after.graph for node in graph]
    assert sorted(inner) == ["Add", "Mul", "Relu"]
    for choice in (True, False):
        assert_same(before, after, x=draw(3, 4), q=np.array(choice))


def test_ifs_whose_branches_use_the_same_names() -> None:
    block = """ROUT = If (yes) <
        then_branch = t () => (float[n,4] a) { h = Relu (RIN) g = Exp (h) a = Add (g, h) },
        else_branch = e () => (float[n,4] a) { a = Identity (RIN) }
    >"""
    text = " ".join(block.replace("RIN", i).replace("ROUT", o) for i, o in (("x", "p"), ("p", "q"), ("q", "y")))
    before = small_model(f"(float[n,4] x) => (float[n,4] y) {{ {text} }}", {"yes": np.array(True)})
    after = cleaned(before)
    assert operators(after) == ["Relu", "Exp", "Add"] * 3
    assert_same(before, after, x=draw(2, 4) - 2)


def test_constants_inside_loops_are_folded_and_the_loop_stays() -> None:
    before = small_model(
        """(float[n,4] x, int64 count) => (float[n,4] y) {
            y = Loop (count, yes, x) <body = b (int64 i, bool c, float[n,4] s) => (bool o, float[n,4] r) {
                o = Identity (c) k = Constant <value = float {2.0}> () h = Mul (k, k) r = Add (s, h)
            }>
        }""",
        {"yes": np.array(True)},
    )
    after = cleaned(before)
    assert operators(after) == ["Loop"]
    body = [node.op_type for graph in after.graphs() if graph is not after.graph for node in graph]
    assert body == ["Identity", "Add"]
    assert_same(before, after, x=draw(2, 4), count=np.array(3))


def test_duplicates_are_merged_and_dead_nodes_removed() -> None:
    before = small_model(
        """(float[n,4] x) => (float[n,4] y) {
            a = MatMul (x, w1) b = Relu (a) c = MatMul (b, w2) dead = Exp (c) i = Identity (c)
            d, mask = Dropout (i) e = Cast <to=1> (d) y = MatMul (e, w3)
        }""",
        {"w1": draw(4, 4), "w2": draw(4, 4), "w3": draw(4, 4, seed=1)},
    )
    after = cleaned(before)
    assert operators(after) == ["MatMul", "Relu", "MatMul", "MatMul"]
    assert len(after.graph.initializers) == 2
    assert remarks(after) == ()
    assert_same(before, after, x=draw(3, 4))


def deep(count: int) -> onnx.ModelProto:
    """Blocks of a layer, its bias, an activation, a reshape by shape arithmetic and a sum."""
    nodes: list[onnx.NodeProto] = []
    stored = [numpy_helper.from_array(np.array([0], np.int64), "zero"), numpy_helper.from_array(np.array([4]), "four")]
    value = "x"
    for i in range(count // 8):
        stored.append(numpy_helper.from_array(draw(4, 4, seed=i), f"w{i}"))
        stored.append(numpy_helper.from_array(draw(4, seed=i), f"b{i}"))
        nodes += [
            helper.make_node("MatMul", [value, f"w{i}"], [f"p{i}"], f"layer{i}"),
            helper.make_node("Add", [f"p{i}", f"b{i}"], [f"s{i}"]),
            helper.make_node("Tanh", [f"s{i}"], [f"t{i}"]),
            helper.make_node("Shape", [f"t{i}"], [f"e{i}"]),
            helper.make_node("Gather", [f"e{i}", "zero"], [f"g{i}"]),
            helper.make_node("Concat", [f"g{i}", "four"], [f"k{i}"], axis=0),
            helper.make_node("Reshape", [f"t{i}", f"k{i}"], [f"r{i}"]),
            helper.make_node("Add", [f"r{i}", value], [f"y{i}"]),
        ]
        value = f"y{i}"
    graph = helper.make_graph(
        nodes, "deep", [helper.make_tensor_value_info("x", 1, ["n", 4])],
        [helper.make_tensor_value_info(value, 1, ["n", 4])], stored,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def test_the_work_grows_with_the_nodes() -> None:
    def calls(count: int) -> int:
        model = ir.from_proto(deep(count))
        return calls_of(lambda: clean(model))

    calls(8)
    assert calls(800) < 4.2 * calls(200)
