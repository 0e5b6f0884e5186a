"""Quantised files are brought back to their float graph, or refused with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

from haqc import onnxfile
from haqc.errors import ModelError
from haqc.passes.clean import clean, remarks
from tests.passes.small_graphs import GRAPHS, Prepared
from tests.small_model import draw, run, small_model

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def cleaned(model: onnx.ModelProto) -> ir.Model:
    return clean(ir.from_proto(model))


def operators(model: ir.Model) -> list[str]:
    return [node.op_type for node in model.graph]


def checked(model: ir.Model) -> onnx.ModelProto:
    made = ir.to_proto(model)
    onnx.checker.check_model(made, full_check=True)
    return made


def assert_runs_as(after: ir.Model, expected: list[np.ndarray], **inputs: np.ndarray) -> None:
    for old, new in zip(expected, run(checked(after), **inputs), strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-5, atol=1e-5 * np.abs(old).max(initial=0))


def model_of(text: str, constants: Mapping[str, np.ndarray], opset: int = 21) -> onnx.ModelProto:
    return small_model(text, dict(constants), opset)


def codes(*shape: int, dtype: Any = np.int8, low: int = -8, high: int = 8) -> np.ndarray:
    return np.random.default_rng([7, *shape]).integers(low, high, shape).astype(dtype)


GRIDS: Mapping[str, tuple[dict[str, np.ndarray], str, Any]] = {
    # The weights' codes, scales and zero points; the attributes; what [8, 4] floats they stand for.
    "per tensor": (
        {"q": codes(8, 4), "s": np.float32(0.1), "z": np.int8(3)},
        "", lambda c: (c["q"].astype(np.float32) - 3) * c["s"],
    ),
    "without a zero point": (
        {"q": codes(8, 4), "s": np.float32(0.1)}, "", lambda c: c["q"].astype(np.float32) * c["s"],
    ),
    "per column": (
        {"q": codes(8, 4), "s": np.abs(draw(4)), "z": codes(4)},
        "<axis=1>", lambda c: (c["q"].astype(np.float32) - c["z"]) * c["s"],
    ),
    "per row": (
        {"q": codes(8, 4), "s": np.abs(draw(8)), "z": codes(8)},
        "<axis=0>", lambda c: (c["q"].astype(np.float32) - c["z"][:, None]) * c["s"][:, None],
    ),
    "per block": (
        {"q": codes(8, 4), "s": np.abs(draw(3, 4)), "z": codes(3, 4)},
        "<axis=0, block_size=3>",
        lambda c: (c["q"].astype(np.float32) - np.repeat(c["z"], 3, 0)[:8]) * np.repeat(c["s"], 3, 0)[:8],
    ),
    "int4": (
        {"q": codes(8, 4, dtype=ml_dtypes.int4), "s": np.abs(draw(4)), "z": codes(4, dtype=ml_dtypes.int4)},
        "<axis=1>", lambda c: (c["q"].astype(np.float32) - c["z"].astype(np.float32)) * c["s"],
    ),
    "uint4": (
        {"q": codes(8, 4, dtype=ml_dtypes.uint4, low=0, high=16), "s": np.float32(0.1),
         "z": np.array(8, ml_dtypes.uint4)},
        "", lambda c: (c["q"].astype(np.float32) - 8) * c["s"],
    ),
    "float8": (
        {"q": draw(8, 4).astype(ml_dtypes.float8_e4m3fn), "s": np.float32(0.5)},
        "", lambda c: c["q"].astype(np.float32) * c["s"],
    ),
    "int16": (
        {"q": codes(8, 4, dtype=np.int16, low=-30000, high=30000), "s": np.float32(1e-4), "z": np.int16(-7)},
        "", lambda c: (c["q"].astype(np.float32) + 7) * c["s"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", GRIDS)
def test_stored_codes_become_the_weights_they_stand_for(form: str) -> None:
    constants, attributes, floats = GRIDS[form]
    zero = ", z" if "z" in constants else ""
    before = model_of(
        f"""(float[n,8] x) => (float[n,4] y) {{
            w = DequantizeLinear {attributes} (q, s{zero}) [fc] y = MatMul (x, w)
        }}""",
        constants,
    )
    after = cleaned(before)
    assert operators(after) == ["MatMul"]
    weight = after.graph[0].inputs[1]
    assert weight is not None and weight.const_value is not None
    np.testing.assert_allclose(weight.const_value.numpy(), floats(constants), rtol=1e-6)
    assert remarks(after) == (
        "the file was quantised already; its float graph was restored "
        "(0 quantisers removed, 1 tensors of codes made floats again)",
    )
    x = draw(3, 8)
    assert_runs_as(after, run(before, x=x), x=x)


def test_int2_codes_become_weights() -> None:
    packed = codes(8, 4, dtype=ml_dtypes.int2, low=-2, high=2)
    before = model_of(
        "(float[n,8] x) => (float[n,4] y) { w = DequantizeLinear (q, s) y = MatMul (x, w) }",
        {"s": np.array(0.5, np.float32), "q": packed}, opset=25,
    )  # fmt: skip
    after = cleaned(before)
    x = draw(3, 8)
    assert_runs_as(after, [x @ (packed.astype(np.float32) * np.float32(0.5))], x=x)


def test_codes_that_are_transposed_before_they_are_floats() -> None:
    before = model_of(
        """(float[n,8] x) => (float[n,4] y) {
            t = Transpose <perm=[1,0]> (q) w = DequantizeLinear <axis=1> (t, s) y = MatMul (x, w)
        }""",
        {"q": codes(4, 8), "s": np.abs(draw(4))},
    )
    after = cleaned(before)
    assert operators(after) == ["MatMul"]
    x = draw(3, 8)
    assert_runs_as(after, run(before, x=x), x=x)


QUANTISED = """(float[n,3,6,6] x) => (float[n,4] y) {
    xq = QuantizeLinear (x, sx, zx) xd = DequantizeLinear (xq, sx, zx)
    wd = DequantizeLinear <axis=0> (wq, sw)
    bd = DequantizeLinear <axis=0> (bq, sb)
    [conv] c = Conv <pads=[1,1,1,1]> (xd, wd, bd)
    RELU
    rq = QuantizeLinear (r, sr, zr) rd = DequantizeLinear (rq, sr, zr)
    [pool] p = GlobalAveragePool (rd)
    pq = QuantizeLinear (p, sr, zr) fq = Flatten (pq) fd = DequantizeLinear (fq, sr, zr)
    vq = QuantizeLinear (v, sv, zv) vd = DequantizeLinear (vq, sv, zv)
    [fc] g = MatMul (fd, vd)
    yq = QuantizeLinear (g, sy, zx) y = DequantizeLinear (yq, sy, zx)
}"""


def quantised(relu: str, opset: int = 21) -> onnx.ModelProto:
    """A network as onnxruntime's static quantisation writes it; ``relu`` gives r of c."""
    return model_of(
        QUANTISED.replace("RELU", relu),
        {
            "sx": np.array(0.02, np.float32), "zx": np.array(128, np.uint8),
            "sy": np.array(0.05, np.float32),
            "wq": codes(4, 3, 3, 3, low=-127, high=127), "sw": np.array([0.01, 0.02, 0.01, 0.005], np.float32),
            "bq": codes(4, dtype=np.int32, low=-1000, high=1000), "sb": np.full(4, 2e-4, np.float32),
            "sr": np.array(0.05, np.float32), "zr": np.array(0, np.uint8),
            "v": draw(4, 4), "sv": np.array(0.02, np.float32), "zv": np.array(0, np.int8),
        },
        opset,
    )  # fmt: skip


def float_twin(relu: str) -> onnx.ModelProto:
    before = quantised(relu)
    stored = {t.name: numpy_helper.to_array(t) for t in before.graph.initializer}
    return model_of(
        f"""(float[n,3,6,6] x) => (float[n,4] y) {{
            c = Conv <pads=[1,1,1,1]> (x, w, b) {relu} p = GlobalAveragePool (r) f = Flatten (p) y = MatMul (f, v)
        }}""",
        {
            "w": stored["wq"].astype(np.float32) * stored["sw"][:, None, None, None],
            "b": stored["bq"].astype(np.float32) * stored["sb"], "v": stored["v"],
        },
    )  # fmt: skip


@pytest.mark.parametrize("opset", [13, 19, 21, 23])
def test_quantisers_of_activations_go(opset: int) -> None:
    before = quantised("[relu] r = Relu (c)", opset)
    after = cleaned(before)
    assert [op for op in operators(after) if op not in ("Flatten", "Reshape")] == [
        "Conv", "Relu", "GlobalAveragePool", "MatMul",
    ]  # fmt: skip
    assert {"conv", "relu", "pool", "fc"} <= {node.name for node in after.graph}
    assert "5 quantisers removed, 2 tensors of codes" in remarks(after)[0]
    x = draw(2, 3, 6, 6)
    assert_runs_as(after, run(float_twin("r = Relu (c)"), x=x), x=x)
    np.testing.assert_allclose(run(checked(after), x=x)[0], run(before, x=x)[0], atol=0.2)  # four steps of the last


def test_a_rectifier_that_was_fused_into_a_quantiser_comes_back() -> None:
    before = quantised("[same] r = Identity (c)")
    after = cleaned(before)
    assert [op for op in operators(after) if op != "Reshape"] == ["Conv", "Clip", "GlobalAveragePool", "MatMul"]
    x = draw(2, 3, 6, 6)
    top = float(255 * np.float32(0.05))
    bounds = f"low = Constant <value_float = 0.0> () high = Constant <value_float = {top!r}> ()"
    twin = float_twin(f"{bounds} r = Clip (c, low, high)")
    assert_runs_as(after, run(twin, x=x), x=x)


def test_codes_that_are_clipped_and_moved_between_a_pair() -> None:
    before = model_of(
        """(float[n,4] x) => (float[m,4] y) {
            p = MatMul (x, w)
            q = QuantizeLinear (p, s, z) c = Clip (q, low, high) i = Gather (c, first) d = DequantizeLinear (i, s, z)
            y = MatMul (d, w)
        }""",
        {
            "w": draw(4, 4), "s": np.array(0.1, np.float32), "z": np.array(7, np.uint8),
            "low": np.array(0, np.uint8), "high": np.array(15, np.uint8), "first": np.array([0]),
        },
    )  # fmt: skip
    after = cleaned(before)
    assert operators(after) == ["MatMul", "Gather", "MatMul"]
    x, w = draw(3, 4), draw(4, 4)
    assert_runs_as(after, [(x @ w)[:1] @ w], x=x)


@pytest.mark.parametrize(
    "name",
    ["residual", "transposed", "attention", "concatenation", "squeeze_excite", "depthwise", "conv_relu6"],
)
def test_haqcs_own_file_gives_the_float_graph_of_its_weights(name: str) -> None:
    prepared = Prepared.of(GRAPHS[name]())
    emitted = prepared.quantise(prepared.random_policy(3)).emit()
    weights = {}
    for node in emitted.graph:
        stored = [None if value is None else value.const_value for value in node.inputs]
        if node.op_type == "DequantizeLinear" and stored[0] is not None:
            assert node.inputs[0] is not None
            weights[node.inputs[0].name] = (stored[0], stored[1], node.attributes.get_int("axis", 1))
    twin = ir.from_proto(ir.to_proto(prepared.model))
    for value in list(twin.graph.initializers.values()):
        if f"{value.name}_codes" in weights:
            array, scale, axis = weights[f"{value.name}_codes"]
            assert array is not None and scale is not None
            factor = scale.numpy()
            if factor.ndim:
                factor = factor.reshape([-1 if index == axis else 1 for index in range(array.numpy().ndim)])
            value.const_value = ir.tensor(array.numpy().astype(np.float32) * factor, name=value.name)
    again = cleaned(ir.to_proto(emitted))
    left = set(operators(again))
    assert not left & {"QuantizeLinear", "DequantizeLinear"}
    assert left == set(operators(prepared.model))
    inputs = dict(zip([str(v.name) for v in again.graph.inputs], prepared_inputs(prepared), strict=True))
    assert_runs_as(again, run(ir.to_proto(twin), **inputs), **inputs)


def prepared_inputs(prepared: Prepared) -> tuple[np.ndarray, ...]:
    """Inputs small enough that no quantiser's range cuts anything off."""
    random = np.random.default_rng(5)
    shapes = [[4, *list(value.shape or [])[1:]] for value in prepared.model.graph.inputs]
    return tuple(random.standard_normal([int(str(e)) for e in shape]).astype(np.float32) * 0.5 for shape in shapes)


def test_quantisers_at_the_border_stay() -> None:
    before = model_of(
        """(uint8[n,4] x) => (uint8[n,4] y) {
            d = DequantizeLinear (x, s, z) p = MatMul (d, w) y = QuantizeLinear (p, s, z)
        }""",
        {"w": draw(4, 4), "s": np.array(0.1, np.float32), "z": np.array(7, np.uint8)},
    )
    after = cleaned(before)
    assert operators(after) == ["DequantizeLinear", "MatMul", "QuantizeLinear"]
    x = codes(3, 4, dtype=np.uint8, low=0, high=255)
    np.testing.assert_array_equal(run(checked(after), x=x)[0], run(before, x=x)[0])


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (
            "d = DequantizeLinear (q, s2, z) y = MatMul (d, w)",
            "quantiser 'quant' and what undoes it, 'd', have different",
        ),
        (
            "d = DequantizeLinear (q, s, z2) y = MatMul (d, w)",
            "quantiser 'quant' and what undoes it, 'd', have different",
        ),
        (
            "t = Concat <axis=0> (q, q) d = DequantizeLinear (t, s, z) y = MatMul (d, w)",
            r"node 't' \(Concat\) computes with the codes of quantiser 'quant'",
        ),
        ("i = MatMulInteger (q, q, z, z) y = Cast <to=1> (i)", r"node 'i' \(MatMulInteger\) computes with quantised"),
    ],
)
def test_what_cannot_be_undone_is_refused(nodes: str, message: str) -> None:
    before = model_of(
        f"(float[4,4] x) => (float[m,4] y) {{ [quant] q = QuantizeLinear (x, s, z) {nodes} }}",
        {
            "w": draw(4, 4), "s": np.array(0.1, np.float32), "s2": np.array(0.2, np.float32),
            "z": np.array(7, np.uint8), "z2": np.array(8, np.uint8),
        },
    )  # fmt: skip
    with pytest.raises(ModelError, match=message) as caught:
        cleaned(before)
    assert "give haqc the float model" in str(caught.value)


@pytest.mark.parametrize(("op_type", "domain"), [
    ("QLinearConv", ""), ("DynamicQuantizeLinear", ""), ("QGemm", "com.microsoft"), ("MatMulNBits", "com.microsoft"),
    ("QLinearAdd", "com.microsoft"), ("QOrderedMatMul", "com.microsoft"),
])  # fmt: skip
def test_integer_operators_are_refused(op_type: str, domain: str) -> None:
    node = ir.node(op_type, [], domain=domain, name="node")
    graph = ir.Graph([], [node.outputs[0]], nodes=[node], opset_imports={"": 21, "com.microsoft": 1})
    node.outputs[0].name = "y"
    with pytest.raises(
        ModelError, match=rf"^node 'node' \({op_type}\) computes with quantised numbers, so the model was"
    ):
        clean(ir.Model(graph, ir_version=10))


def qonnx_model(quant: str, *more: tuple[str, np.ndarray]) -> ir.Model:
    """A layer whose weights and whose data go through a QONNX operator."""
    domain = "qonnx.custom_op.general"
    wide = [("scale", np.array(0.1, np.float32)), ("zero", np.array(0, np.float32)), ("bits", np.array(4, np.float32))]
    rest = ["scale"] if quant == "BipolarQuant" else ["scale", "zero", "bits"]
    attributes = {} if quant == "BipolarQuant" else {"signed": 1, "narrow": 1, "rounding_mode": "ROUND"}
    nodes = [
        helper.make_node(quant, ["w", *rest], ["wq"], "weights", domain=domain, **attributes),
        helper.make_node("MatMul", ["x", "wq"], ["p"], "fc"),
        helper.make_node("Quant", ["p", "scale", "zero", "bits"], ["y"], "acts", domain=domain,
                         **{"signed": 0, "narrow": 0, "rounding_mode": "ROUND"}),
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes, "qonnx", [helper.make_tensor_value_info("x", 1, ["n", 4])],
        [helper.make_tensor_value_info("y", 1, ["n", 4])],
        [numpy_helper.from_array(a, n) for n, a in [("w", draw(4, 4)), *wide, *more]],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid(domain, 1)]
    return ir.from_proto(helper.make_model(graph, opset_imports=opsets, ir_version=10))


@pytest.mark.parametrize("quant", ["Quant", "IntQuant", "BipolarQuant"])
def test_qonnx_quantisers_go(quant: str) -> None:
    after = clean(qonnx_model(quant))
    assert operators(after) == ["MatMul", "Clip"]
    assert list(after.opset_imports) == [""]
    x, w = draw(3, 4), draw(4, 4)
    weights = np.where(w >= 0, 1, -1) * np.float32(0.1) if quant == "BipolarQuant" else w
    assert_runs_as(after, [np.clip(x @ weights.astype(np.float32), 0, np.float32(1.5))], x=x)


def test_an_activation_of_one_bit_is_refused() -> None:
    model = qonnx_model("BipolarQuant")
    node = model.graph[0]
    node.replace_input_with(0, model.graph.inputs[0])
    with pytest.raises(ModelError, match=r"node 'weights' \(BipolarQuant\) gives an activation one bit"):
        clean(model)


class Digits(CalibrationDataReader):  # type: ignore[misc]
    """The example model's own images, for onnxruntime's quantiser."""

    def __init__(self) -> None:
        self.batches = iter([{"image": images(8 * part, 8 * part + 8)} for part in range(4)])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.batches, None)


def images(start: int, stop: int) -> np.ndarray:
    with np.load(ROOT / "models" / "digits.npz") as stored:
        return np.asarray(stored[stored.files[0]][start:stop], np.float32)


@pytest.mark.parametrize("per_channel", [False, True])
def test_a_file_that_onnxruntime_quantised_comes_back(per_channel: bool, tmp_path: Path) -> None:
    source, target = ROOT / "models" / "digits.onnx", tmp_path / "quantised.onnx"
    quantize_static(
        source, target, Digits(), quant_format=QuantFormat.QDQ, per_channel=per_channel,
        weight_type=QuantType.QInt8, activation_type=QuantType.QUInt8,
    )  # fmt: skip
    after = clean(onnxfile.read(target))
    plain = clean(onnxfile.read(source))
    assert not {"QuantizeLinear", "DequantizeLinear"} & set(operators(after))
    assert [op for op in operators(after) if op in LAYERS] == [op for op in operators(plain) if op in LAYERS]
    data = {str(after.graph.inputs[0].name): images(100, 164)}
    found, expected = run(checked(after), **data)[0], run(checked(plain), **data)[0]
    assert (found.argmax(1) == expected.argmax(1)).mean() >= 0.95
    np.testing.assert_allclose(found, expected, atol=0.1 * np.abs(expected).max())


@pytest.mark.parametrize("form", ["operators", "dynamic"])
def test_a_file_of_integer_operators_from_onnxruntime_is_refused(form: str, tmp_path: Path) -> None:
    source, target = ROOT / "models" / "digits.onnx", tmp_path / "quantised.onnx"
    if form == "dynamic":
        quantize_dynamic(source, target)
    else:
        quantize_static(source, target, Digits(), quant_format=QuantFormat.QOperator)
    with pytest.raises(ModelError, match=r"\((QLinear\w+|DynamicQuantizeLinear)\) computes with quantised numbers"):
        clean(onnxfile.read(target))
