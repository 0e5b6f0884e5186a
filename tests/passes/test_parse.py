"""From a cleaned ONNX graph to layers, operands and a schedule, counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from haqc import onnxfile
from haqc.errors import ModelError
from haqc.graph import Graph, Operand
from haqc.passes.bind import bind
from haqc.passes.clean import clean
from haqc.passes.parse import parse
from haqc.policy import Bits, Space
from haqc.precision import Precision
from models.mobilenet import mobilenet_v2
from tests.small_model import draw, small_model


def parsed(text: str, constants: dict[str, object], opset: int = 21) -> Graph:
    return parse(bind(clean(ir.from_proto(small_model(text, constants, opset)))), "small")


def operands(graph: Graph) -> dict[str, tuple[str, tuple[str, ...], int]]:
    return {o.tensor: (o.kind, o.layers, o.values) for o in graph.operands}


def joined(graph: Graph) -> dict[str, Operand]:
    """Operands that no layer reads."""
    return {o.tensor: o for o in graph.operands if not o.layers}


SAME = 'auto_pad="SAME_UPPER"'
CONVOLUTIONS = {
    # data, weights, attributes, output: groups, rows, reduction, columns, kind
    "1-D, dilated": ("3,16", (5, 3, 3), "pads=[2,0], dilations=[2], strides=[3]", "5,5", 1, 5, 9, 5, "conv"),
    "2-D, asymmetric pads": ("3,7,7", (4, 3, 2, 3), "pads=[0,1,1,0], strides=[2,1]", "4,4,6", 1, 24, 18, 4, "conv"),
    "3-D, groups": ("4,5,6,7", (6, 2, 3, 2, 1), "group=2", "6,3,5,7", 2, 105, 12, 3, "grouped"),
    "depthwise": ("3,7,7", (3, 1, 3, 3), "group=3, pads=[1,1,1,1]", "3,7,7", 3, 49, 9, 1, "depthwise"),
    "channel multiplier": ("3,7,7", (6, 1, 3, 3), f"group=3, {SAME}, strides=[2,2]", "6,4,4", 3, 16, 9, 2, "depthwise"),
    "one channel is not depthwise": ("1,7,7", (6, 1, 3, 3), "group=1", "6,5,5", 1, 25, 9, 6, "conv"),
}  # fmt: skip


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_a_convolution_is_counted_as_a_matrix_product(case: str) -> None:
    data, weights, attributes, output, groups, rows, reduction, columns, kind = CONVOLUTIONS[case]
    graph = parsed(
        f"(float[n,{data}] x) => (float[n,{output}] y) {{ [c] y = Conv <{attributes}> (x, w, b) }}",
        {"w": draw(*weights), "b": draw(weights[0])},
    )
    (layer,) = graph.layers
    assert (layer.groups, layer.rows, layer.reduction, layer.columns) == (groups, rows, reduction, columns)
    assert layer.kind == kind
    extents = [int(extent) for extent in data.split(",")]
    assert (layer.in_channels, layer.out_channels) == (extents[0], weights[0])
    assert layer.feature_size == np.prod(extents[1:])
    assert layer.kernel == weights[2:]
    assert len(layer.stride) == len(layer.kernel)
    assert (layer.weight_values, layer.bias, layer.bias_values) == (np.prod(weights), "b", weights[0])
    # One product for every output value and every weight of its group.
    outputs = np.prod([int(extent) for extent in output.split(",")])
    assert layer.macs == graph.macs == outputs * np.prod(weights[1:])
    assert layer.weight_axis == 0
    assert operands(graph) == {
        "w": ("weight", ("c",), np.prod(weights)), "x": ("activation", ("c",), np.prod(extents))
    }  # fmt: skip


@pytest.mark.parametrize("group", [1, 2])
def test_a_transposed_convolution_works_once_for_every_input_value(group: int) -> None:
    graph = parsed(
        f"""(float[n,4,5,5] x) => (float[n,{3 * group},11,11] y) {{
            [t] y = ConvTranspose <strides=[2,2], pads=[1,0,0,1], output_padding=[1,1], group={group}> (x, w)
        }}""",
        {"w": draw(4, 3, 3, 3)},
    )
    (layer,) = graph.layers
    assert layer.macs == 4 * 25 * 3 * 9
    assert (layer.rows, layer.reduction, layer.columns, layer.groups) == (25, 4 // group, 27, group)
    assert (layer.in_channels, layer.out_channels, layer.kind) == (4, 3 * group, "transposed")
    assert (layer.weight_values, layer.weight_axis) == (108, 1)


@pytest.mark.parametrize("transposed", [0, 1])
def test_a_gemm_has_its_weights_either_way_round(transposed: int) -> None:
    graph = parsed(
        f"(float[n,6] x) => (float[n,5] y) {{ [fc] y = Gemm <transB={transposed}> (x, w, b) }}",
        {"w": draw(5, 6) if transposed else draw(6, 5), "b": draw(5)},
    )
    (layer,) = graph.layers
    assert (layer.rows, layer.reduction, layer.columns, layer.macs) == (1, 6, 5, 30)
    assert (layer.weight_axis, layer.bias, layer.kind) == (1 - transposed, "b", "dense")
    assert (layer.kernel, layer.stride, layer.feature_size) == ((), (), 6)


def test_a_scalar_bias_is_counted_but_not_rounded() -> None:
    graph = parsed("(float[n,6] x) => (float[n,5] y) { [fc] y = Gemm (x, w, b) }", {"w": draw(6, 5), "b": draw(1)})
    assert (graph.layers[0].bias, graph.layers[0].bias_values) == ("", 1)


@pytest.mark.parametrize("addition", ["Add (p, b)", "Add (b, p)"])
def test_a_matmul_over_tokens_fuses_its_bias_and_its_activation(addition: str) -> None:
    graph = parsed(
        f"""(float[n,7,6] x) => (float[n,7,3] y) {{
            [one] p = MatMul (x, w1)
            [bias] s = {addition}
            [relu] r = Relu (s)
            [two] y = MatMul (r, w2)
        }}""",
        {"w1": draw(6, 5), "b": draw(5), "w2": draw(5, 3)},
    )
    one, two = graph.layers
    assert (one.nodes, one.output) == (("one", "bias", "relu"), "r")
    assert (one.rows, one.reduction, one.columns, one.macs) == (7, 6, 5, 210)
    assert (one.weight_axis, one.is_dense, one.groups) == (1, True, 1)
    assert two.macs == 7 * 5 * 3
    assert [(o.name, o.reads, o.writes, o.layer) for o in graph.operations] == [
        ("one", ("x",), ("r",), "one"), ("two", ("r",), ("y",), "two"),
    ]  # fmt: skip
    assert graph.operand["r"].signed is False


ATTENTION = """(float[n,5,6] x) => (float[n,2,5,5] y) {
    [query] q = MatMul (x, wq)
    [key] k = MatMul (x, wk)
    q4 = Reshape (q, heads)
    qt = Transpose <perm=[0,2,1,3]> (q4)
    k4 = Reshape (k, heads)
    kt = Transpose <perm=[0,2,3,1]> (k4)
    [score] s = MatMul (qt, kt)
    [soft] y = Softmax (s)
}"""


def test_a_matmul_of_two_activations_has_an_activation_for_weights() -> None:
    graph = parsed(ATTENTION, {"wq": draw(6, 6), "wk": draw(6, 6, seed=1), "heads": [0, 0, 2, 3]})
    score = graph.layer["score"]
    assert (score.activation, score.weight) == ("q", "k")
    assert (score.groups, score.rows, score.reduction, score.columns) == (2, 5, 3, 5)
    assert (score.macs, score.weight_values, score.float_reason) == (150, 0, "")
    assert operands(graph) == {
        "wq": ("weight", ("query",), 36),
        "x": ("activation", ("query", "key"), 30),
        "wk": ("weight", ("key",), 36),
        "k": ("activation", ("score",), 30),
        "q": ("activation", ("score",), 30),
    }
    assert [operation.name for operation in graph.operations] == ["query", "key", "score", "soft"]


def test_a_matrix_times_itself_is_one_operand() -> None:
    graph = parsed(
        """(float[n,5,6] x) => (float[n,5,5] y) {
            a = Abs (x) t = Transpose <perm=[0,2,1]> (a) [gram] y = MatMul (a, t)
        }""",
        {},
    )
    assert [(o.tensor, o.kind, o.layers, o.signed) for o in graph.operands] == [("a", "activation", ("gram",), False)]
    assert graph.macs == 150


SHARED = """(float[n,3,4,4] x) => (float[n,5] y) {
    [one] a = Conv (x, w)
    [relu] r = Relu (a)
    [two] c = Conv (r, w)
    [sum] s = Add (r, c)
    [pool] p = GlobalAveragePool (s)
    [flat] f = Flatten (p)
    [fc] y = Gemm (f, w2, b2)
}"""
SHARED_CONSTANTS: dict[str, object] = {"w": draw(3, 3, 1, 1), "w2": draw(3, 5), "b2": draw(5)}


def test_weights_of_two_layers_are_one_operand_and_counted_once() -> None:
    graph = parsed(SHARED, SHARED_CONSTANTS)
    assert [layer.weight_values for layer in graph.layers] == [9, 0, 15]
    assert graph.weight_values == 24
    assert graph.operand["w"].layers == ("one", "two")


def test_a_tensor_that_a_layer_and_a_sum_read_is_one_operand() -> None:
    graph = parsed(SHARED, SHARED_CONSTANTS)
    shared = graph.operand["r"]
    assert (shared.layers, shared.fixed_bits, shared.signed) == (("two",), None, False)


def test_tensors_that_only_sums_and_pooling_read_have_8_bits_and_a_reason() -> None:
    graph = parsed(SHARED, SHARED_CONSTANTS)
    assert {name: (o.fixed_bits, o.reason) for name, o in joined(graph).items()} == {
        "c": (8, "read only by Add, which runs at 8 bits"),
        "s": (8, "read only by GlobalAveragePool, which runs at 8 bits"),
    }
    # The layer reads the pooled tensor through a reshape.
    assert graph.layer["fc"].activation == "p"


def test_the_schedule_names_what_is_read_and_what_is_stored() -> None:
    graph = parsed(SHARED, SHARED_CONSTANTS)
    assert [(o.op, o.reads, o.writes, o.layer) for o in graph.operations] == [
        ("Conv", ("x",), ("r",), "one"),
        ("Conv", ("r",), ("c",), "two"),
        ("Add", ("r", "c"), ("s",), None),
        ("GlobalAveragePool", ("s",), ("p",), None),
        ("Gemm", ("p",), ("y",), "fc"),
    ]
    assert graph.tensor_values == {"x": 48, "r": 48, "c": 48, "s": 48, "p": 3, "y": 5}
    assert (graph.inputs, graph.outputs, graph.last_layers) == (("x",), ("y",), ("fc",))


def test_concat_and_pooling_of_several_outputs() -> None:
    graph = parsed(
        """(float[n,3,4,4] x) => (float[n,6,3,3] y, float[n,3,3,3] z) {
            [one] a = Conv (x, w1)
            [relu] r = Relu (a)
            [two] c = Conv (r, w2)
            [join] j = Concat <axis=1> (c, r)
            [max] y = MaxPool <kernel_shape=[2,2]> (j)
            [mean] z = AveragePool <kernel_shape=[2,2]> (a)
        }""",
        {"w1": draw(3, 3, 1, 1), "w2": draw(3, 3, 1, 1, seed=1)},
    )
    assert graph.outputs == ("y", "z")
    assert graph.last_layers == ("one", "two")
    # Relu is not fused, because the mean reads what the layer writes as well.
    assert graph.layer["one"].nodes == ("one",)
    assert {name: o.fixed_bits for name, o in joined(graph).items()} == {"c": 8, "j": 8, "a": 8}


def test_adding_a_constant_is_no_join_and_adding_a_tensor_to_itself_is_one() -> None:
    text = """(float[n,3,4,4] x) => (float[n,3,4,4] y) {{
        [c] a = Conv (x, w) [sum] b = Add (a, {other}) [neg] y = Neg (b)
    }}"""
    constants: dict[str, object] = {"w": draw(3, 3, 1, 1), "k": draw(3, 1, 1)}
    assert joined(parsed(text.format(other="k"), constants)) == {}
    assert list(joined(parsed(text.format(other="a"), constants))) == ["a"]


def test_shapes_that_are_computed_carry_no_quantiser() -> None:
    graph = parsed(
        """(float[n,3,4,4] x) => (float[n,5] y) {
            [c] a = Conv (x, w)
            s = Shape (a) first = Gather (s, zero) both = Concat <axis=0> (first, minus)
            f = Reshape (a, both)
            [fc] y = Gemm (f, w2)
        }""",
        {"w": draw(3, 3, 1, 1), "zero": [0], "minus": [-1], "w2": draw(48, 5)},
    )
    assert joined(graph) == {}
    assert graph.layer["fc"].activation == "a"


SIGNS = {
    "Relu (x)": False,
    "Clip (x, low, high)": False,
    "Clip (x, minus, high)": True,
    'Clip (x, "", high)': True,
    "Sigmoid (x)": False,
    "HardSwish (x)": True,
    "LeakyRelu (x)": True,
    "Neg (x)": True,
}


@pytest.mark.parametrize("through", ["", "MaxPool <kernel_shape=[1,1]>", "GlobalAveragePool", "Identity", "both"])
@pytest.mark.parametrize("function", SIGNS)
def test_values_are_unsigned_behind_what_cannot_be_negative(function: str, through: str) -> None:
    middle = {"": "p = Neg (x) q = Neg (p)", "both": "p = Add (a, a) q = Concat <axis=1> (p, p)"}.get(
        through, f"q = {through} (a)"
    )
    reads = "a" if through == "" else "q"
    graph = parsed(
        f"(float[n,3,4,4] x) => (float[n,m,k,l] y) {{ a = {function} {middle} y = Conv ({reads}, w) }}",
        {"w": draw(2, 6 if through == "both" else 3, 1, 1), "low": 0.0, "minus": -1.0, "high": 6.0},
    )
    operand = graph.operand[graph.layers[0].activation]
    assert operand.signed is SIGNS[function]


def test_a_sum_with_a_signed_tensor_is_signed() -> None:
    graph = parsed(
        "(float[n,3] x) => (float[n,3] y) { r = Relu (x) s = Add (r, x) y = MatMul (s, w) }", {"w": draw(3, 3)}
    )
    assert graph.operand["s"].signed


FLOAT_LAYERS = {
    "another reader": (
        "(float[n,4] x) => (float[n,7] y, float[7,4] z) { [fc] y = Gemm <transB=1> (x, w) [add] z = Add (w, x) }",
        {"w": draw(7, 4)},
        "its weights are also read by Add 'add'",
    ),
    "another axis": (
        "(float[n,4] x) => (float[n,4] y) { [fc] a = Gemm (x, w) [two] y = Gemm <transB=1> (a, w) }",
        {"w": draw(4, 4)},
        "its weights are shared with a layer that reads them along another axis",
    ),
    "computed weights": (
        "(float[n,4] x, float[4,3] v) => (float[n,3] y) { k = Neg (v) [fc] y = Gemm (x, k) }",
        {},
        "its weights are computed while the model runs",
    ),
    "transposed data": (
        "(float[4,2] x) => (float[2,3] y) { [fc] y = Gemm <transA=1> (x, w) }",
        {"w": draw(4, 3)},
        "it reads its data transposed",
    ),
    "vector": (
        "(float[n,5,6] x) => (float[n,5] y) { [fc] y = MatMul (x, w) }",
        {"w": draw(6)},
        "its weights are a vector",
    ),
    "constant data": (
        "(float[n,5,3] x) => (float[n,6,3] y) { [fc] y = MatMul (w, x) }",
        {"w": draw(6, 5)},
        "its left operand is constant",
    ),
    "integers": (
        "(float[n,5] x) => (int32[n,3] y) { i = Cast <to=6> (x) [fc] y = MatMul (i, w) }",
        {"w": np.ones((5, 3), np.int32)},
        "its operands are no floating-point numbers",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FLOAT_LAYERS)
def test_a_layer_that_stays_in_float_says_why(case: str) -> None:
    text, constants, reason = FLOAT_LAYERS[case]
    graph = parsed(text, constants)
    assert graph.layer["fc"].float_reason == reason
    assert graph.layer["fc"].macs > 0
    assert all("fc" not in operand.layers for operand in graph.operands)
    assert graph.layer["fc"] not in graph.quantised_layers


def test_the_space_pins_the_first_and_the_last_layers_with_reasons() -> None:
    graph = parse(bind(clean(ir.from_proto(mobilenet_v2(resolution=32, classes=10, width=0.25)))), "small")
    space = Space.of(graph, Precision((2, 4, 8), (2, 4, 8)), pins={"block2.*": Bits(4, 8)})
    reasons = {choice.operand.tensor: choice.reason for choice in space.choices if not choice.is_free}
    first, last = graph.layer["conv1"], graph.layer["classifier"]
    assert reasons[first.weight] == reasons[first.activation] == "reads the network's input"
    assert reasons[last.weight] == reasons[last.activation] == "last layer before an output"
    assert reasons[graph.layer["block2.expand"].weight] == "pinned by 'block2.*'"
    narrow = space.uniform(2, 2)
    expected = {"conv1": "8/8", "block2.expand": "4/8", "block3.expand": "2/2", "classifier": "8/8"}
    assert {name: str(narrow.bits(graph.layer[name])) for name in expected} == expected


def test_mobilenet_v2_is_the_published_network() -> None:
    graph = parse(bind(clean(ir.from_proto(mobilenet_v2()))), "mobilenet_v2")
    blocks = [f"block{n}.{part}" for n in range(1, 18) for part in ("expand", "depthwise", "project")]
    assert [layer.name for layer in graph.layers] == [
        "conv1", *(name for name in blocks if name != "block1.expand"), "last", "classifier",
    ]  # fmt: skip
    assert len(graph.layers) == 53
    assert graph.macs == 300_774_272
    assert sum(layer.is_depthwise for layer in graph.layers) == 17
    assert all(layer.bias for layer in graph.layers)
    assert graph.layer["block2.depthwise"].macs == 96 * 56 * 56 * 9
    assert graph.layer["block1.depthwise"].nodes == ("block1.depthwise", "block1.depthwise.relu6")


@pytest.mark.parametrize(
    ("file", "layers", "macs"),
    [
        ("resnet8-cifar10/resnet8.onnx", 10, 12_501_632),
        ("fashion-mobilenet/fashion_mobilenet.onnx", 24, 5_370_488),
    ],
)
def test_the_shared_models_have_their_counts(shared: Path, file: str, layers: int, macs: int) -> None:
    graph = parse(bind(clean(onnxfile.read(shared / file))), "shared")
    assert (len(graph.layers), graph.macs) == (layers, macs)
    assert not any(layer.float_reason for layer in graph.layers)
    assert graph.last_layers == (graph.layers[-1].name,)


def test_counts_are_of_one_inference_whatever_the_batch() -> None:
    text = (
        "(float[{n},3,4,4] x) => (float[{n},5] y) {{ a = Conv (x, w) r = Relu (a) f = Flatten (r) y = Gemm (f, w2) }}"
    )
    constants: dict[str, object] = {"w": draw(3, 3, 1, 1), "w2": draw(48, 5)}
    one, four, free = (parsed(text.format(n=n), constants) for n in ("1", "4", "batch"))
    assert one.layers == four.layers == free.layers
    assert one.tensor_values == four.tensor_values == free.tensor_values
    assert one.operands == four.operands == free.operands


def test_a_batch_built_into_the_graph_is_divided_out() -> None:
    graph = parsed(
        """(float[2,3,4,4] x) => (float[2,6,4,4] y) {
            [c] a = Conv (x, w) [join] j = Concat <axis=1> (a, k) [d] y = Conv (j, w2)
        }""",
        {"w": draw(3, 3, 1, 1), "k": draw(2, 3, 4, 4), "w2": draw(6, 6, 1, 1)},
    )
    assert graph.batch == 2
    assert [layer.macs for layer in graph.layers] == [9 * 16, 36 * 16]
    assert graph.tensor_values == {"x": 48, "a": 48, "j": 96, "y": 96}


REFUSED = {
    "free sizes": (
        "(float[n,3,h,w] x) => (float[n,3,h,w] y) { y = Conv (x, k) }",
        "input 'x' .*--shape",
    ),
    "data-dependent": (
        "(float[n,3] x) => (float[d,3] y) { i = NonZero (x) f = Cast <to=1> (i) t = Transpose (f) y = MatMul (t, m) }",
        r"the shape of tensor '.*' cannot be inferred .*; give the inputs' shapes with --shape",
    ),
    "no rank": ("(float x) => (float y) { a = Neg (x) y = Conv (a, k) }", "do not fit each other"),
    "zero strides": (
        "(float[n,3,4,4] x) => (float[n,3,4,4] y) { [c] y = Conv <strides=[0,0]> (x, k) }",
        r"layer 'c' has strides \[0, 0\] .* none may be below 1",
    ),
    "kernel over the edge": (
        "(float[n,3,4,4] x) => (float[n,3,h,w] y) { [c] y = Conv <kernel_shape=[7,7]> (x, k) }",
        r"the shape of tensor 'y' cannot be inferred \(it is \[1,3,-2,-2\]\)",
    ),
    "other channels": (
        "(float[n,5,4,4] x) => (float[n,3,4,4] y) { [c] y = Conv (x, k) }",
        r"weights of layer 'c', of shape \[3, 3, 1, 1\] in 1 groups, do not fit 5 channels",
    ),
    "no groups": ("(float[n,3,4,4] x) => (float[n,3,4,4] y) { [c] y = Conv <group=0> (x, k) }", "in 0 groups"),
    "groups that do not divide": (
        "(float[n,3,4,4] x) => (float[n,4,4,4] y) { [c] y = Conv <group=3> (x, k4) }",
        r"of shape \[4, 1, 1, 1\] in 3 groups, do not fit 3 channels",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_counted_is_refused_with_the_next_step(
    case: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    text, message = REFUSED[case]
    with pytest.raises(ModelError, match=message) as caught:
        parsed(text, {"k": draw(3, 3, 1, 1), "k4": draw(4, 1, 1, 1), "m": draw(2, 3)})
    assert "\n" not in str(caught.value)
    assert caplog.text == ""
    assert capfd.readouterr().err == ""


def test_a_shortcut_around_later_layers_makes_no_layer_last() -> None:
    graph = parsed(
        """(float[n,4] x) => (float[n,4] y, float[n,4] middle) {
            [one] a = MatMul (x, w1)
            [two] b = MatMul (a, w2)
            [first] middle = Add (a, b)
            [three] c = MatMul (middle, w3)
            [four] d = MatMul (middle, w4)
            [second] s = Add (middle, c)
            [third] y = Add (s, d)
        }""",
        {f"w{i}": draw(4, 4, seed=i) for i in (1, 2, 3, 4)},
    )
    # Behind 'three' and 'four' no layer runs; 'two' is the latest that the middle output depends on.
    assert graph.last_layers == ("two", "three", "four")
