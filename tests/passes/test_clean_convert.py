"""Models of old opsets give the same numbers in the form of today, or are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from haqc import onnxfile
from haqc.errors import ModelError
from haqc.passes.clean import MIN_OPSET, clean
from tests.small_model import draw, run, small_model

IMAGE = "float[2,3,8,8] x"
ANY = "float[a,b,c,d] y"
SCALES = {"s": np.array([1, 1, 2, 2.6], np.float32)}
SHRINK = {"s": np.array([1, 1, 0.5, 0.6], np.float32)}
RESIZE = f'({IMAGE}) => ({ANY}) {{ y = Resize <mode="MODE"> (x, s) }}'

CASES: dict[str, tuple[int, str, dict[str, object]]] = {
    "Slice": (9, f"({IMAGE}) => ({ANY}) {{ y = Slice <axes=[2,3], starts=[1,0], ends=[7,-1]> (x) }}", {}),
    "TopK 1": (9, f"({IMAGE}) => ({ANY}, int64[a,b,c,d] i) {{ y, i = TopK <k=2> (x) }}", {}),
    "TopK 10": (10, f"({IMAGE}) => ({ANY}, int64[a,b,c,d] i) {{ y, i = TopK (x, k) }}", {"k": [2]}),
    "Upsample 7 linear": (
        7, f'({IMAGE}) => ({ANY}) {{ y = Upsample <mode="linear", scales=[1.0,1.0,2.0,2.0]> (x) }}', {},
    ),
    "Upsample 7 nearest": (
        7, f'({IMAGE}) => ({ANY}) {{ y = Upsample <mode="nearest", scales=[1.0,1.0,1.5,2.6]> (x) }}', {},
    ),
    "Upsample 9 linear": (9, RESIZE.replace("Resize", "Upsample").replace("MODE", "linear"), SCALES),
    "Upsample 9 nearest": (9, RESIZE.replace("Resize", "Upsample").replace("MODE", "nearest"), SCALES),
    "Resize 10 linear": (10, RESIZE.replace("MODE", "linear"), SCALES),
    "Resize 10 nearest": (10, RESIZE.replace("MODE", "nearest"), SCALES),
    "Resize 10 shrinks": (10, RESIZE.replace("MODE", "nearest"), SHRINK),
    "Resize 10 shrinks, linear": (10, RESIZE.replace("MODE", "linear"), SHRINK),
    "Split": (11, "(float[2,6] x) => (float[2,2] a, float[2,4] b) { a, b = Split <axis=1, split=[2,4]> (x) }", {}),
    "Split evenly": (13, "(float[2,6] x) => (float[2,3] a, float[2,3] b) { a, b = Split <axis=1> (x) }", {}),
    "Pad reflect": (10, f'({IMAGE}) => ({ANY}) {{ y = Pad <mode="reflect", pads=[0,0,1,2,0,0,1,0]> (x) }}', {}),
    "Pad value": (10, f"({IMAGE}) => ({ANY}) {{ y = Pad <value=1.5, pads=[0,0,1,2,0,0,1,0]> (x) }}", {}),
    "Clip": (10, "(float[2,3] x) => (float[2,3] y) { y = Clip <min=0.1> (x) }", {}),
    "Scatter": (
        9, "(float[3,3] x) => (float[3,3] y) { y = Scatter <axis=0> (x, i, u) }",
        {"i": np.array([[1, 0, 2]]), "u": draw(1, 3)},
    ),
    "Unsqueeze": (11, "(float[2,3] x) => (float[a,b,c] y) { u = Unsqueeze <axes=[1]> (x) y = Relu (u) }", {}),
    "Squeeze": (7, "(float[2,1,4] x) => (float[a,b] y) { y = Squeeze (x) }", {}),
    "AveragePool": (
        10, f"({IMAGE}) => ({ANY}) {{ y = AveragePool <kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1], "
        "count_include_pad=1, ceil_mode=1> (x) }", {},
    ),
    "DFT": (17, "(float[2,4,5,1] x) => (float[a,b,c,d] y) { y = DFT <onesided=1> (x) }", {}),
    "DFT 19": (19, "(float[2,4,5,1] x) => (float[a,b,c,d] y) { y = DFT <axis=2> (x) }", {}),
    "LSTM": (
        7, "(float[5,2,3] x) => (float[a,b,c,d] y) { y = LSTM <hidden_size=4> (x, w, r, b) }",
        {"w": draw(1, 16, 3), "r": draw(1, 16, 4), "b": draw(1, 32)},
    ),
    "Dropout": (7, "(float[2,3] x) => (float[2,3] y) { d = Dropout <ratio=0.3> (x) y = Relu (d) }", {}),
    "PRelu": (7, "(float[2,3,4] x) => (float[2,3,4] y) { y = PRelu (x, s) }", {"s": draw(3, 1)}),
    "If": (
        11, """(float[2,3,4] x) => (float[2,3,4] y) {
            m = ReduceMax <keepdims=0> (x) c = Greater (m, big)
            y = If (c) <
                then_branch = t () => (float[2,3,4] a) { a = Relu (x) },
                else_branch = e () => (float[2,3,4] d) {
                    s = Softmax <axis=1> (x) q = ReduceSum <axes=[1], keepdims=1> (x) d = Add (s, q)
                }
            >
        }""", {"big": 100.0},
    ),
    "Loop": (
        11, """(float[2,3] x) => (float[2,3] y) {
            m = Shape (x) n = Gather (m, first)
            y = Loop (n, yes, x) <body = b (int64 i, bool c, float[2,3] s) => (bool o, float[2,3] r) {
                o = Identity (c) u = Unsqueeze <axes=[0]> (s) q = Squeeze <axes=[0]> (u) r = Add (q, s)
            }>
        }""", {"first": np.array(0), "yes": np.array(True)},
    ),
    "Scan": (
        9, """(float[4,2,3] x) => (float[2,3] f, float[4,2,3] y) {
            f, y = Scan <num_scan_inputs=1, body = b (float[2,3] s, float[2,3] z) => (float[2,3] o, float[2,3] w) {
                m = ReduceMean <axes=[1], keepdims=1> (z) o = Add (s, m) w = Identity (o)
            }> (i, x)
        }""", {"i": draw(2, 3)},
    ),
}  # fmt: skip
for _mode in ("bilinear", "nearest", "bicubic"):
    CASES[f"GridSample {_mode}"] = (
        16, f'({IMAGE}) => ({ANY}) {{ y = GridSample <mode="{_mode}"> (x, g) }}', {"g": draw(2, 4, 4, 2)},
    )  # fmt: skip
for _op in ("Softmax", "LogSoftmax"):
    for _axis in ("", "<axis=0>", "<axis=1>", "<axis=2>", "<axis=-1>"):
        CASES[f"{_op} {_axis}"] = (
            11, f"(float[2,3,4] x) => (float[2,3,4] y) {{ y = {_op} {_axis} (x) }}", {},
        )  # fmt: skip
for _reduction in ("Sum", "Mean", "L2", "LogSumExp"):
    for _opset in (7, 12):
        CASES[f"Reduce{_reduction} {_opset}"] = (
            _opset, f"(float[2,3,4] x) => (float[a,b] y) {{ y = Reduce{_reduction} <axes=[1], keepdims=0> (x) }}", {},
        )  # fmt: skip
CASES["Hardmax of the last axis"] = (11, "(float[2,3,4] x) => (float[2,3,4] y) { y = Hardmax <axis=2> (x) }", {})
CASES["Hardmax of a matrix"] = (11, "(float[2,3] x) => (float[2,3] y) { y = Hardmax (x) }", {})


@pytest.mark.parametrize("form", CASES)
def test_an_old_form_gives_the_same_numbers(form: str) -> None:
    opset, text, constants = CASES[form]
    before = small_model(text, constants, opset)
    shape = [extent.dim_value for extent in before.graph.input[0].type.tensor_type.shape.dim]
    after = clean(ir.from_proto(before))
    assert after.opset_imports[""] == MIN_OPSET
    made = ir.to_proto(after)
    onnx.checker.check_model(made, full_check=True)
    x = draw(*shape)
    for old, new in zip(run(before, x=x), run(made, x=x), strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-5, atol=1e-6)


REFUSED = {
    "Scan": (
        8, """(float[1,4,2] x) => (float[1,2] f, float[1,4,2] y) {
            f, y = Scan <num_scan_inputs=1, body = b (float[2] s, float[2] z) => (float[2] o, float[2] w) {
                o = Add (s, z) w = Identity (o)
            }> ("", i, x)
        }""", {"i": draw(1, 2)}, r"node 'f' \(Scan\) of opset 8 has no equal in opset 21 \(it runs over a batch\)",
    ),
    "Hardmax": (
        12, "(float[2,3,4] x) => (float[2,3,4] y) { [most] y = Hardmax (x) }", {},
        r"node 'most' \(Hardmax\) of opset 12 has no equal in opset 21 \(it works on all axes from 1 on\)",
    ),
    "Resize": (
        10, RESIZE.replace("MODE", "nearest"), {"s": np.array([1, 1, 0.5, 2], np.float32)},
        r"node 'y' \(Resize\) .* \(it enlarges one axis and shrinks another\)",
    ),
    "BatchNormalization": (
        7, "(float[n,2,3] x) => (float[n,2,3] y) { y = BatchNormalization <spatial=0> (x, s, s, s, s) }",
        {"s": np.ones((2, 3), np.float32)},
        r"the model's opset 7 cannot be converted to 21 \(Attribute spatial must have value 1\); export it with",
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", REFUSED)
def test_a_conversion_that_would_change_numbers_is_refused(form: str) -> None:
    opset, text, constants, message = REFUSED[form]
    with pytest.raises(ModelError, match=message):
        clean(ir.from_proto(small_model(text, constants, opset)))


@pytest.mark.parametrize("opset", [9, 10])
def test_resizing_keeps_its_name(opset: int) -> None:
    op = "Upsample" if opset == 9 else "Resize"
    before = small_model(RESIZE.replace("y = Resize", f"[grow] y = {op}").replace("MODE", "nearest"), SCALES, opset)
    assert [node.name for node in clean(ir.from_proto(before)).graph] == ["grow"]


def test_operators_of_other_domains_are_left_alone() -> None:
    before = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["": 11, "com.microsoft": 1]> small (float[2,3] x) => (float[2,3] y) {
            [gelu] g = com.microsoft.Gelu (x) y = Clip (g, "", top)
        }"""
    )
    before.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(0.5), "top"))
    after = clean(ir.from_proto(before))
    assert [(node.domain, node.op_type) for node in after.graph] == [("com.microsoft", "Gelu"), ("", "Clip")]
    x = draw(2, 3)
    np.testing.assert_array_equal(run(ir.to_proto(after), x=x)[0], run(before, x=x)[0])


@pytest.mark.parametrize("opset", [9, 13, 17, 18, 21])
@pytest.mark.parametrize("columns", [4, 600])
def test_external_data_survive_wherever_they_stand(opset: int, columns: int, tmp_path: Path) -> None:
    before = small_model(
        """(float[n,3] x) => (float[n,COLUMNS] y) {
            k = Constant <value = float {0.0}> () p = MatMul (x, w) s = Add (p, k) y = LeakyRelu (s)
        }""".replace("COLUMNS", str(columns)),
        {"w": draw(3, columns)},
        opset,
    )
    constant = before.graph.node[0].attribute[0].t
    constant.CopyFrom(onnx.numpy_helper.from_array(draw(columns, seed=1)))
    x = draw(2, 3)
    expected = run(before, x=x)
    data = bytearray()
    for tensor in (constant, before.graph.initializer[0]):
        onnx.external_data_helper.set_external_data(tensor, "w.bin", len(data), len(tensor.raw_data))
        data += tensor.raw_data
        tensor.ClearField("raw_data")
    (tmp_path / "w.bin").write_bytes(data)
    (tmp_path / "m.onnx").write_bytes(before.SerializeToString())
    after = clean(onnxfile.read(tmp_path / "m.onnx"))
    np.testing.assert_allclose(run(onnx.load_from_string(onnxfile.serialise(after)), x=x)[0], expected[0], rtol=1e-6)


def nested(depth: int, calls: int) -> onnx.ModelProto:
    """Functions of which each calls the next one several times."""
    functions = [
        f'<domain: "own", opset_import: ["": 21, "own": 1]> f{level} (a) => (z) {{ '
        + " ".join(
            f"{'z' if call == calls - 1 else f'v{call}'} = own.f{level + 1} ({'a' if not call else f'v{call - 1}'})"
            for call in range(calls)
        )
        + " }"
        for level in range(depth)
    ]
    functions.append(f'<domain: "own", opset_import: ["": 21]> f{depth} (a) => (z) {{ z = Neg (a) }}')
    header = (
        '<ir_version: 10, opset_import: ["": 21, "own": 1]> small (float[n,2] x) => (float[n,2] y) { y = own.f0 (x) }'
    )
    return onnx.parser.parse_model("\n".join([header, *functions]))


def test_functions_in_functions_are_inlined() -> None:
    after = clean(ir.from_proto(nested(2, 3)))
    assert [node.op_type for node in after.graph] == ["Neg"] * 9
    assert not after.functions
    x = draw(3, 2)
    np.testing.assert_array_equal(run(ir.to_proto(after), x=x)[0], -x)


def test_functions_that_unfold_without_end_are_refused() -> None:
    with pytest.raises(ModelError, match="functions unfold to 1099511627776 nodes; haqc takes 1000000"):
        clean(ir.from_proto(nested(40, 2)))
