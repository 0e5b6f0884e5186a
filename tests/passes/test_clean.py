"""Clean-up changes the form of a graph and never its numbers: before and expected, and both run in onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import pytest

from haqc import onnxfile
from haqc.errors import ModelError
from haqc.passes.clean import MIN_OPSET, clean
from models.mobilenet import mobilenet_v2
from tests.small_model import draw, run, small_model

TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}
"""Float32 sums of at most a few hundred terms of size one, in another order."""


def cleaned(model: onnx.ModelProto) -> ir.Model:
    return clean(ir.from_proto(model))


def proto(model: ir.Model) -> onnx.ModelProto:
    made = ir.to_proto(model)
    onnx.checker.check_model(made, full_check=True)
    return made


def nodes(model: ir.Model) -> list[tuple[str, str]]:
    return [(node.op_type, str(node.name)) for node in model.graph]


def constant(model: ir.Model, name: str) -> np.ndarray:
    value = model.graph.initializers[name].const_value
    assert value is not None
    return value.numpy()


def normalisation(channels: int) -> dict[str, Any]:
    """Scale, shift, mean and variance of a batch normalisation."""
    return {
        "scale": draw(channels, seed=1), "shift": draw(channels, seed=2), "mean": draw(channels, seed=3),
        "variance": np.abs(draw(channels, seed=4)) + 0.5,
    }  # fmt: skip


def assert_same(before: onnx.ModelProto, after: ir.Model, **inputs: np.ndarray) -> None:
    expected, found = run(before, **inputs), run(proto(after), **inputs)
    for old, new in zip(expected, found, strict=True):
        assert old.shape == new.shape
        np.testing.assert_allclose(new, old, **TOLERANCE)


def every_form(opset: int) -> onnx.ModelProto:
    """A network of the operators whose form changed over the opsets, in the form of one opset."""
    bn = "<spatial=1>" if opset < 9 else ""
    clip = "Clip <min=0.0, max=6.0> (b)" if opset < 11 else "Clip (b, low, high)"
    pad = "Pad <pads=[0,0,1,1,0,0,1,1]> (r)" if opset < 11 else "Pad (r, pads)"
    if opset < 9:
        up = 'Upsample <mode="nearest", scales=[1.0,1.0,2.0,2.0]> (p)'
    elif opset == 9:
        up = 'Upsample <mode="nearest"> (p, scales)'
    elif opset == 10:
        up = 'Resize <mode="nearest"> (p, scales)'
    else:
        roi = "roi" if opset < 13 else '""'
        where = 'coordinate_transformation_mode="asymmetric", nearest_mode="floor"'
        up = f'Resize <mode="nearest", {where}> (p, {roi}, scales)'
    drop = "Dropout <ratio=0.5> (u)" if opset < 12 else "Dropout (u, ratio)"
    mean = "ReduceMean <axes=[2], keepdims=1> (t)" if opset < 18 else "ReduceMean <keepdims=1> (t, axis)"
    squeeze = "Squeeze <axes=[2]> (m)" if opset < 13 else "Squeeze (m, axis)"
    total = "ReduceSum <axes=[2], keepdims=0> (s)" if opset < 13 else "ReduceSum <keepdims=0> (s, axis)"
    text = f"""(float[batch,3,8,8] x) => (float[batch,5] y, float[batch,5] z) {{
        [conv1] c = Conv <pads=[1,1,1,1]> (x, w1, b1)
        [bn1] b = BatchNormalization {bn} (c, scale, shift, mean, variance)
        [relu6] r = {clip}
        [pad1] p = {pad}
        [up1] u = {up}
        [drop1] d = {drop}
        [soft4] t = Softmax <axis=1> (d)
        [mean1] m = {mean}
        [squeeze1] s = {squeeze}
        [sum1] f = {total}
        [fc] y = Gemm (f, w2, b2)
        [soft] z = Softmax <axis=1> (y)
    }}"""
    constants = {"w1": draw(4, 3, 3, 3), "b1": draw(4), "w2": draw(4, 5), "b2": draw(5), **normalisation(4)}
    if opset >= 9:
        constants["scales"] = np.array([1, 1, 2, 2], np.float32)
    if opset >= 11:
        constants |= {"low": 0.0, "high": 6.0, "pads": [0, 0, 1, 1, 0, 0, 1, 1]}
    if opset in (11, 12):
        constants["roi"] = np.zeros(0, np.float32)
    if opset >= 12:
        constants["ratio"] = 0.5
    if opset >= 13:
        constants["axis"] = [2]
    return small_model(text, constants, opset)


@pytest.mark.parametrize("opset", [7, 8, 9, 10, 11, 12, 13, 15, 17, 18, 20, 21, 22, 23, 24, 26])
def test_every_opset_gives_the_same_numbers_in_one_form(opset: int) -> None:
    before = every_form(opset)
    after = cleaned(before)
    assert after.opset_imports[""] == max(opset, MIN_OPSET)
    operators = [op for op, _ in nodes(after)]
    # Before opset 13 Softmax works on a matrix; as an operator of one axis it needs reshapes around it.
    shown = [op for op in operators if op not in ("Shape", "Flatten", "Reshape")]
    assert shown == [
        "Conv", "Clip", "Pad", "Resize", "Softmax", "ReduceMean", "Squeeze", "ReduceSum", "Gemm", "Softmax",
    ]  # fmt: skip
    names = {name for _, name in nodes(after)}
    assert {"conv1", "relu6", "pad1", "mean1", "squeeze1", "sum1", "fc", "soft"} <= names
    assert_same(before, after, x=draw(2, 3, 8, 8))


@pytest.mark.parametrize("bias", ["", ", b", ', ""'], ids=["without-bias", "with-bias", "with-an-absent-bias"])
def test_batch_norm_is_folded_into_a_convolution(bias: str) -> None:
    numbers = normalisation(4)
    before = small_model(
        f"""(float[n,3,6,6] x) => (float[n,4,4,4] y) {{
            [conv] c = Conv (x, w{bias})
            [bn] y = BatchNormalization <epsilon=0.001> (c, scale, shift, mean, variance)
        }}""",
        {"w": draw(4, 3, 3, 3), "b": draw(4), **numbers},
    )
    after = cleaned(before)
    assert nodes(after) == [("Conv", "conv")]
    factor = numbers["scale"] / np.sqrt(numbers["variance"] + 0.001)
    np.testing.assert_allclose(constant(after, "w"), draw(4, 3, 3, 3) * factor[:, None, None, None], rtol=1e-6)
    old_bias = draw(4) if bias == ", b" else np.zeros(4)
    folded = after.graph[0].inputs[2]
    assert folded is not None
    expected = (old_bias - numbers["mean"]) * factor + numbers["shift"]
    np.testing.assert_allclose(constant(after, str(folded.name)), expected, rtol=1e-5, atol=1e-6)
    assert_same(before, after, x=draw(2, 3, 6, 6))


@pytest.mark.parametrize("group", [1, 3])
def test_batch_norm_is_folded_into_a_transposed_convolution(group: int) -> None:
    channels = 2 * group
    before = small_model(
        f"""(float[n,3,5,5] x) => (float[n,{channels},11,11] y) {{
            [up] c = ConvTranspose <strides=[2,2], group={group}> (x, w)
            [bn] y = BatchNormalization (c, scale, shift, mean, variance)
        }}""",
        {"w": draw(3, 2, 3, 3), **normalisation(channels)},
    )
    after = cleaned(before)
    assert nodes(after) == [("ConvTranspose", "up")]
    assert_same(before, after, x=draw(2, 3, 5, 5))


@pytest.mark.parametrize("transposed", [0, 1])
def test_batch_norm_is_folded_into_a_gemm(transposed: int) -> None:
    before = small_model(
        f"""(float[n,3] x) => (float[n,4] y) {{
            [fc] c = Gemm <transB={transposed}, alpha=0.5, beta=2.0> (x, w, b)
            [bn] y = BatchNormalization (c, scale, shift, mean, variance)
        }}""",
        {"w": draw(4, 3) if transposed else draw(3, 4), "b": draw(4), **normalisation(4)},
    )
    after = cleaned(before)
    assert nodes(after) == [("Gemm", "fc")]
    assert_same(before, after, x=draw(5, 3))


def test_batch_norm_stays_where_something_else_reads_the_convolution() -> None:
    before = small_model(
        """(float[n,3,4,4] x) => (float[n,4,4,4] y, float[n,4,4,4] c) {
            [conv] c = Conv (x, w)
            [bn] y = BatchNormalization (c, scale, shift, mean, variance)
        }""",
        {"w": draw(4, 3, 1, 1), **normalisation(4)},
    )
    after = cleaned(before)
    assert nodes(after) == [("Conv", "conv"), ("BatchNormalization", "bn")]
    assert_same(before, after, x=draw(2, 3, 4, 4))


@pytest.mark.parametrize("addition", ["Add (p, b)", "Add (b, p)"])
def test_matmul_and_a_constant_vector_become_a_gemm(addition: str) -> None:
    before = small_model(
        f"(float[n,3] x) => (float[n,4] y) {{ [fc] p = MatMul (x, w) [bias] y = {addition} }}",
        {"w": draw(3, 4), "b": draw(4)},
    )
    after = cleaned(before)
    assert nodes(after) == [("Gemm", "fc")]
    assert_same(before, after, x=draw(5, 3))


@pytest.mark.parametrize(
    ("data", "addend", "output"),
    [
        ("n,5,3", (4,), "n,5,4"),  # Gemm takes matrices only
        ("n,3", (2, 1, 4), "2,n,4"),  # the sum has more axes than the product
        ("1,3", (6, 4), "6,4"),  # the sum has more rows than the product
    ],
)
def test_other_sums_stay_sums(data: str, addend: tuple[int, ...], output: str) -> None:
    before = small_model(
        f"(float[{data}] x) => (float[{output}] y) {{ [fc] p = MatMul (x, w) [bias] y = Add (p, b) }}",
        {"w": draw(3, 4), "b": draw(*addend)},
    )
    after = cleaned(before)
    assert nodes(after) == [("MatMul", "fc"), ("Add", "bias")]
    assert_same(before, after, x=draw(*[2 if extent == "n" else int(extent) for extent in data.split(",")]))


def test_a_residual_sum_is_no_bias() -> None:
    before = small_model(
        "(float[n,4] x) => (float[n,4] y) { [fc] p = MatMul (x, w) [sum] y = Add (p, x) }", {"w": draw(4, 4)}
    )
    assert nodes(cleaned(before)) == [("MatMul", "fc"), ("Add", "sum")]


def test_transposed_weights_are_folded() -> None:
    before = small_model(
        "(float[n,2,3] x) => (float[n,2,5] y) { [tr] t = Transpose <perm=[1,0]> (w) [fc] y = MatMul (x, t) }",
        {"w": draw(5, 3)},
    )
    after = cleaned(before)
    assert nodes(after) == [("MatMul", "fc")]
    weight = after.graph[0].inputs[1]
    assert weight is not None
    np.testing.assert_array_equal(constant(after, str(weight.name)), draw(5, 3).T)
    assert_same(before, after, x=draw(3, 2, 3))


def test_constants_in_nodes_become_initialisers() -> None:
    before = small_model(
        """(float[n,2] x) => (float[n,2] y) {
            [half] k = Constant <value = float[2,2] {0.5, 0.0, 0.0, 0.25}> ()
            [fc] y = MatMul (x, k)
        }""",
        {},
    )
    after = cleaned(before)
    assert nodes(after) == [("MatMul", "fc")]
    np.testing.assert_array_equal(constant(after, "k"), [[0.5, 0], [0, 0.25]])


@pytest.mark.parametrize("operator", ["Expand (one, size)", "Tile (one, size)", "Pad (one, width)"])
def test_a_constant_that_would_fill_the_memory_is_not_computed(operator: str) -> None:
    huge = 1 << 50  # values: numpy would raise MemoryError at once, and less would take the machine's memory
    before = small_model(
        f"""(float[n,2] x) => (float[n,2] y) {{
            [grow] big = {operator}
            [top] top = ReduceMax <keepdims=0> (big)
            [fc] p = MatMul (x, w)
            [sum] y = Mul (p, top)
        }}""",
        {"w": draw(2, 2), "one": np.ones(1, np.float32), "size": [huge], "width": [0, huge]},
    )
    assert nodes(cleaned(before))[0] == (operator.partition(" ")[0], "grow")


@pytest.mark.parametrize(
    ("batch", "flatten"),
    [
        (2, "f = Reshape (c, spelt)"),
        (1, "f = Reshape (c, rest)"),
        (1, "f = Flatten (c)"),
        (4, "f = Flatten <axis=1> (c)"),
        (3, "s = Shape (c) first = Gather (s, zero) both = Concat <axis=0> (first, minus) f = Reshape (c, both)"),
    ],
    ids=["spelt-out", "one-and-rest", "flatten", "flatten-axis", "computed"],
)
def test_a_static_batch_is_freed(batch: int, flatten: str) -> None:
    before = small_model(
        f"""(float[{batch},3,6,6] x) => (float[{batch},5] y) {{
            [conv] c = Conv (x, w)
            {flatten}
            [fc] y = Gemm (f, w2)
        }}""",
        {
            "w": draw(4, 3, 3, 3),
            "w2": draw(64, 5),
            "spelt": [2, 64],
            "rest": [1, -1],
            "zero": [0],
            "minus": [-1],
        },
    )
    after = cleaned(before)
    assert [str(v.shape) for v in (*after.graph.inputs, *after.graph.outputs)] == ["[batch,3,6,6]", "[batch,5]"]
    data = draw(3 * batch, 3, 6, 6)
    (found,) = run(proto(after), x=data)
    expected = np.concatenate([run(before, x=part)[0] for part in np.split(data, 3)])
    np.testing.assert_allclose(found, expected, **TOLERANCE)
    assert_same(before, after, x=data[:batch])


@pytest.mark.parametrize(
    ("batch", "nodes_text"),
    [
        (2, "[join] y = Concat <axis=1> (c, k)"),
        (1, "[grow] e = Expand (one, size) [join] y = Concat <axis=1> (c, e)"),
    ],
)
def test_a_batch_that_is_built_into_the_graph_stays(batch: int, nodes_text: str) -> None:
    before = small_model(
        f"(float[{batch},3,4,4] x) => (float[{batch},5,4,4] y) {{ [conv] c = Conv (x, w) {nodes_text} }}",
        {"w": draw(4, 3, 1, 1), "k": draw(batch, 1, 4, 4), "one": draw(1, 1, 1, 1), "size": [1, 1, 4, 4]},
    )
    after = cleaned(before)
    assert [value.shape[0] for value in (*after.graph.inputs, *after.graph.outputs) if value.shape] == [batch, batch]
    assert_same(before, after, x=draw(batch, 3, 4, 4))


def test_inputs_of_different_batches_stay_static() -> None:
    before = small_model(
        "(float[4,3] x, float[1,3] z) => (float[4,3] y) { [fc] p = MatMul (x, w) [sum] y = Add (p, z) }",
        {"w": draw(3, 3)},
    )
    after = cleaned(before)
    assert [str(value.shape) for value in after.graph.inputs] == ["[4,3]", "[1,3]"]
    assert_same(before, after, x=draw(4, 3), z=draw(1, 3))


@pytest.mark.parametrize("second", [draw(4, seed=9), draw(4)], ids=["another", "an-equal-one"])
def test_every_layer_has_a_bias_of_its_own(second: np.ndarray) -> None:
    weights = {f"w{seed}": draw(4, 4, 1, 1, seed=seed) for seed in (1, 2, 3)}
    before = small_model(
        """(float[n,4,4,4] x) => (float[n,4,4,4] y) {
            [one] a = Conv (x, w1, b)
            [two] c = Conv (a, w2, second)
            [three] y = Conv (c, w3, b)
        }""",
        {**weights, "b": draw(4), "second": second},
    )
    after = cleaned(before)
    biases = [node.inputs[2] for node in after.graph]
    assert len({str(bias.name) for bias in biases if bias is not None}) == 3
    assert all(bias is not None and len(bias.uses()) == 1 for bias in biases)
    assert_same(before, after, x=draw(2, 4, 4, 4))


def test_layers_with_equal_weights_keep_their_names() -> None:
    before = small_model(
        """(float[n,3,4,4] x) => (float[n,3,4,4] y) {
            [first] a = Conv (x, w1)
            [relu] r = Relu (a)
            [second] c = Conv (r, w2)
            [third] y = Conv (c, w3)
        }""",
        {name: np.zeros((3, 3, 1, 1), np.float32) for name in ("w1", "w2", "w3")},
    )
    assert [name for _, name in nodes(cleaned(before))] == ["first", "relu", "second", "third"]


def test_nodes_that_read_one_constant_keep_their_names() -> None:
    before = small_model(
        """(float[n,2,3,4] x) => (float[n,2] y) {
            [mean] m = ReduceMean <keepdims=1> (x, axis1)
            [squeeze] s = Squeeze (m, axis2)
            [sum] t = ReduceSum <keepdims=0> (s, axis3)
            [fc] y = MatMul (t, w)
        }""",
        {"axis1": [2], "axis2": [2], "axis3": [2], "w": draw(2, 2)},
    )
    assert [name for _, name in nodes(cleaned(before))] == ["mean", "squeeze", "sum", "fc"]


def test_unnamed_nodes_are_called_after_what_they_write() -> None:
    before = small_model(
        "(float[n,3] x) => (float[n,3] y) { a = MatMul (x, w) b = Relu (a) y = MatMul (b, w) }", {"w": draw(3, 3)}
    )
    assert nodes(cleaned(before)) == [("MatMul", "a"), ("Relu", "b"), ("MatMul", "y")]


def test_names_that_are_given_twice_become_unique() -> None:
    before = small_model(
        "(float[n,3] x) => (float[n,3] y) { [a] a = MatMul (x, w) [a] b = Relu (a) [a_1] y = MatMul (b, w) }",
        {"w": draw(3, 3)},
    )
    names = [name for _, name in nodes(cleaned(before))]
    assert names[0] == "a"
    assert len(set(names)) == 3


def test_layer_names_survive_in_mobilenet_v2() -> None:
    before = mobilenet_v2(resolution=32, classes=10, width=0.25)
    after = cleaned(before)
    layers = [node.name for node in before.graph.node if node.op_type in ("Conv", "Gemm")]
    assert [name for op, name in nodes(after) if op in ("Conv", "Gemm")] == layers
    assert layers[0] == "conv1"
    assert not any(op == "BatchNormalization" for op, _ in nodes(after))
    assert_same(before, after, image=draw(2, 3, 32, 32))


def test_initialisers_are_no_inputs_as_in_ir_3() -> None:
    before = small_model(
        """(float[n,3,4,4] x, float[4,3,1,1] w) => (float[n,4,4,4] y) {
            [conv] c = Conv (x, w)
            [bn] y = BatchNormalization (c, scale, shift, mean, variance)
        }""",
        {"w": draw(4, 3, 1, 1), **normalisation(4)},
        opset=8,
    )
    for tensor in before.graph.initializer[1:]:
        before.graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    before.ir_version = 3
    onnx.checker.check_model(before)
    after = cleaned(before)
    assert [value.name for value in after.graph.inputs] == ["x"]
    assert after.ir_version >= 4
    assert nodes(after) == [("Conv", "conv")]
    assert_same(before, after, x=draw(2, 3, 4, 4))


def test_functions_are_inlined() -> None:
    before = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["": 18, "own": 1]> small (float[n,2] x) => (float[n,2] y) {
            k = Constant <value = float[2,2] {1.0, 2.0, 3.0, 4.0}> ()
            y = own.dense (x, k)
        }
        <domain: "own", opset_import: ["": 18]> dense (a, b) => (c) { p = MatMul (a, b) c = Relu (p) }"""
    )
    after = cleaned(before)
    assert [op for op, _ in nodes(after)] == ["MatMul", "Relu"]
    assert_same(before, after, x=draw(3, 2))


def test_the_same_model_gives_the_same_bytes_and_a_cleaned_one_stays_as_it_is() -> None:
    first, second = (cleaned(every_form(17)) for _ in range(2))
    assert onnxfile.serialise(first) == onnxfile.serialise(second)
    again = clean(ir.from_proto(ir.to_proto(first)))
    assert nodes(again) == nodes(first)


def test_what_cannot_be_cleaned_is_refused_in_one_sentence() -> None:
    model = small_model("(float[n,3] x) => (float[n,3] y) { y = MatMul (x, w) }", {"w": draw(3, 3)}, opset=17)
    model.graph.initializer[0].ClearField("raw_data")
    model.graph.initializer[0].float_data.extend([1.0] * 20)
    with pytest.raises(ModelError, match=r"cannot be cleaned up \(.*20.*\); check it") as caught:
        cleaned(model)
    assert "\n" not in str(caught.value)


def test_a_scan_over_a_batch_is_refused() -> None:
    text = """<ir_version: 3, opset_import: ["": 8]>
        agraph (float[1, 2] start, float[1, 3, 2] x) => (float[1, 2] y, float[1, 3, 2] z) {
            y, z = Scan <num_scan_inputs = 1, body = step (float[2] a, float[2] b) => (float[2] c, float[2] d) {
                c = Add (a, b)
                d = Identity (c)
            }> ("", start, x)
        }"""
    with pytest.raises(
        ModelError, match=r"^node 'y' \(Scan\) of opset 8 has no equal in opset 21 \(it runs over a batch\)"
    ):
        clean(ir.from_proto(onnx.parser.parse_model(text)))


def test_a_node_of_very_many_inputs_is_refused() -> None:
    before = small_model(
        f"(float[n,2] x) => (float[m,2] y) {{ [all] y = Concat <axis=0> ({', '.join(['x'] * 2049)}) }}", {}
    )
    with pytest.raises(ModelError, match=r"^node 'all' \(Concat\) reads 2049 values, and haqc takes 2048; join them"):
        cleaned(before)


@pytest.mark.parametrize(
    ("text", "operators"),
    [
        ("a = Relu (x) y = Identity (a) z = Identity (a)", ["Relu", "Identity"]),
        ("y = Relu (x) z = Relu (x)", ["Relu", "Identity"]),
        ("y = Relu (x) z = Identity (x)", ["Relu", "Identity"]),
        ("y = Identity (x) z = Identity (x)", ["Identity", "Identity"]),
        ("y = Identity (w) z = Identity (y)", []),
        ("z = Relu (x) y = Identity (z)", ["Relu", "Identity"]),
    ],
)
def test_outputs_keep_their_names(text: str, operators: list[str]) -> None:
    before = small_model(f"(float[n,4] x) => (float[n,4] y, float[n,4] z) {{ {text} }}", {"w": draw(3, 4)})
    after = cleaned(before)
    assert [value.name for value in after.graph.outputs] == ["y", "z"]
    assert [op for op, _ in nodes(after)] == operators
    assert_same(before, after, x=draw(3, 4))


def test_what_is_drawn_by_lot_is_drawn_for_each() -> None:
    before = small_model(
        "(float[4] x) => (float[4] y) { a = Bernoulli (p) b = Bernoulli (p) c = Sub (a, b) y = Add (x, c) }",
        {"p": np.full(4, 0.5, np.float32)},
    )
    assert [op for op, _ in nodes(cleaned(before))] == ["Bernoulli", "Bernoulli", "Sub", "Add"]
