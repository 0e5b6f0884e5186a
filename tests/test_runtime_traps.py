"""What onnxruntime does with legal quantised files at its defaults: how it changes numbers, and what it does not load.

Nothing here is haqc's doing. haqc's files are written around it, so each test that fails with another version of
onnxruntime says what that version changed: a trap that is gone is a form that may be written again.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

from tests.small_model import draw, small_model

MEASURED = "1.32.0"
"""The version of onnxruntime that these were measured with."""

DEFAULTS: Mapping[str, str] = {}
WITHOUT_FUSION = {"session.disable_quant_qdq": "1"}
WITHOUT_MERGING = {"session.disable_double_qdq_remover": "1"}


def _type(name: str) -> np.dtype:
    return np.dtype(ir.DataType[name.upper()].numpy())


def _session(
    model: onnx.ModelProto, setting: Mapping[str, str] | None, disabled: tuple[str, ...] = ()
) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    if setting is None:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    for key, value in (setting or {}).items():
        options.add_session_config_entry(key, value)
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"], disabled_optimizers=list(disabled)
    )


def _output(
    model: onnx.ModelProto, x: np.ndarray, setting: Mapping[str, str] | None, disabled: tuple[str, ...] = ()
) -> np.ndarray:
    return np.asarray(_session(model, setting, disabled).run(None, {"x": x})[0])


def _share_changed(model: onnx.ModelProto, x: np.ndarray, setting: Mapping[str, str], *disabled: str) -> float:
    """Gives the share of the outputs that a setting changes, against the unoptimised run."""
    return float((_output(model, x, setting, disabled) != _output(model, x, None)).mean())


def test_these_are_the_traps_of_the_version_that_is_installed() -> None:
    """A newer version passes, or the other tests of this file say what it changed; then write its number here."""
    assert onnxruntime.__version__ == MEASURED


# Numbers that change in silence.


def test_float_weights_between_quantisers_are_quantised() -> None:
    """WeightBiasQuantization: a Conv with weights in float between DQ and Q gets weights of 8 bits."""
    model = small_model(
        """(float[N, 8, 10, 10] x) => (float[N, 8, 8, 8] y) {
            q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) c = Conv(d, w)
            r = QuantizeLinear(c, t, z) y = DequantizeLinear(r, t, z) }""",
        {"w": draw(8, 8, 3, 3), "s": 0.02, "t": 0.2, "z": np.uint8(128)},
        ir_version=10,
    )
    x = draw(4, 8, 10, 10)
    assert _share_changed(model, x, DEFAULTS) > 0.01
    assert _share_changed(model, x, WITHOUT_FUSION) == 0
    assert _share_changed(model, x, DEFAULTS, "WeightBiasQuantization") == 0


def test_a_product_with_quantised_weights_alone_quantises_what_it_reads() -> None:
    """MatMulNBits at accuracy level 4, which nobody asked for."""
    codes = np.random.default_rng(0).integers(-8, 8, (64, 32)).astype(_type("int4"))
    model = small_model(
        "(float[N, 64] x) => (float[N, 32] y) { w = DequantizeLinear<axis = 1>(c, s) y = MatMul(x, w) }",
        {"c": codes, "s": (0.01 + draw(32) ** 2)},
        ir_version=10,
    )
    x = draw(6, 64)
    expected = _output(model, x, None)
    gaps = {
        level: np.abs(_output(model, x, setting) - expected).max() / np.abs(expected).max()
        for level, setting in (
            ("default", DEFAULTS),
            ("1", {"session.qdq_matmulnbits_accuracy_level": "1"}),
        )
    }
    assert gaps["default"] > 1e-3
    assert gaps["1"] < 1e-6


@pytest.mark.parametrize("is_clipped", [False, True])
def test_two_quantisers_that_follow_each_other_become_one(is_clipped: bool) -> None:
    """DoubleQDQPairsRemover, also without other fusions; a Clip of the codes in between keeps them apart."""
    between = "k = Clip(b, low, high)" if is_clipped else "k = Identity(b)"
    model = small_model(
        f"""(float[N] x) => (float[N] y) {{
            a = QuantizeLinear(x, s, z) d = DequantizeLinear(a, s, z)
            b = QuantizeLinear(d, t, z) {between} y = DequantizeLinear(k, t, z) }}""",
        {"s": 0.013, "t": 0.05, "z": np.uint8(128), "low": np.uint8(0), "high": np.uint8(254)},
        ir_version=10,
    )
    x = draw(4000)
    changed = _share_changed(model, x, DEFAULTS)
    assert changed == 0 if is_clipped else changed > 0.1
    assert (_share_changed(model, x, WITHOUT_FUSION) == 0) == is_clipped
    assert _share_changed(model, x, WITHOUT_MERGING) == 0


def test_a_relu_in_front_of_4_bits_goes_whatever_the_zero_point() -> None:
    """Between native 4-bit quantisers a Relu is removed though negative values have codes."""
    model = small_model(
        """(float[N] x) => (float[N] y) {
            q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) r = Relu(d)
            b = QuantizeLinear(r, s, z) y = DequantizeLinear(b, s, z) }""",
        {"s": 0.25, "z": np.array(8, _type("uint4"))},
        ir_version=10,
    )
    x = draw(1000)
    assert _output(model, x, None).min() == 0
    assert _output(model, x, DEFAULTS).min() < 0


@pytest.mark.parametrize("setting", [DEFAULTS, WITHOUT_FUSION])
def test_a_clip_between_a_convolution_and_4_bits_does_not_load(setting: Mapping[str, str]) -> None:
    """Where the Clip is folded into the Conv, its bounds are compared with a range that 4 bits have none of."""
    model = small_model(
        """(float[N, 4, 6, 6] x) => (float[N, 8, 4, 4] y) {
            o = Conv(x, w) c = Clip(o, low, high) q = QuantizeLinear(c, s, z) y = DequantizeLinear(q, s, z) }""",
        {"w": draw(8, 4, 3, 3), "s": 0.4, "z": np.array(0, _type("uint4")), "low": 0.0, "high": 6.0},
        ir_version=10,
    )
    _session(model, None)
    with pytest.raises(Exception, match="Unexpected data type for QuantizeLinear"):
        _session(model, setting)


# What does not load, or stays in float. Rows are what the emitters rely on.

SHAPES = {
    "Conv": ("float[N, 4, 6, 6]", "float[N, 8, 4, 4]", (8, 4, 3, 3), 0, "o = Conv(d, w)"),
    "Gemm": ("float[N, 16]", "float[N, 8]", (8, 16), 0, "o = Gemm<transB = 1>(d, w)"),
    "MatMul": ("float[N, 16]", "float[N, 8]", (16, 8), 1, "o = MatMul(d, w)"),
}
FUSED = {"Conv": "QLinearConv", "Gemm": "QGemm", "MatMul": "QLinearMatMul"}

REFUSED = "refused"
COMBINATIONS = [
    *(("int8", "uint8", op, FUSED[op]) for op in SHAPES),
    *(("uint8", "uint8", op, FUSED[op]) for op in SHAPES),
    *((weight, "uint8", op, op) for weight in ("int4", "uint4") for op in SHAPES),
    *((weight, "uint8", op, REFUSED) for weight in ("int2", "uint2") for op in SHAPES),
    ("int4", "uint4", "Conv", "Conv"),
    ("int8", "uint4", "Conv", REFUSED),
    ("int8", "int4", "Conv", REFUSED),
    ("int8", "uint4", "Gemm", "Gemm"),
    ("int8", "uint4", "MatMul", "MatMul"),
    *(("int8", "uint2", op, REFUSED) for op in SHAPES),
]  # fmt: skip


def _quantised(weight: str, activation: str, op: str) -> onnx.ModelProto:
    """One operator between quantisers, weights per channel."""
    x, y, shape, axis, node = SHAPES[op]
    form = _type(weight)
    info = ir.DataType[weight.upper()]
    codes = np.random.default_rng(1).integers(int(info.min), int(info.max) + 1, shape).astype(form)
    zero = np.zeros(shape[axis], form)
    return small_model(
        f"""({x} x) => ({y} y) {{
            q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z)
            w = DequantizeLinear<axis = {axis}>(c, t, u) {node}
            r = QuantizeLinear(o, v, z) y = DequantizeLinear(r, v, z) }}""",
        {
            "c": codes, "t": np.full(shape[axis], 0.1, np.float32), "u": zero,
            "s": 0.1, "v": 0.5, "z": np.array(0, _type(activation)),
        },
        opset=25 if "2" in weight or "2" in activation else 21,
        ir_version=13,
    )  # fmt: skip


@pytest.mark.parametrize(("weight", "activation", "op", "expected"), COMBINATIONS)
def test_what_becomes_of_a_combination(weight: str, activation: str, op: str, expected: str) -> None:
    model = _quantised(weight, activation, op)
    _session(model, None)  # legal, and unoptimised it runs
    if expected == REFUSED:
        with pytest.raises(Exception, match="INVALID_GRAPH"):
            _session(model, DEFAULTS)
        _session(model, WITHOUT_FUSION)
    else:
        assert expected in _operators(model)


def _operators(model: onnx.ModelProto) -> set[str]:
    from haqc.runtime import executed

    return {operator for _, operator in executed(model.SerializeToString())}


def _between(activation: str, constants: Mapping[str, object], codes: str = "r") -> onnx.ModelProto:
    """A Conv, something, and a quantiser of 4 bits in a byte."""
    return small_model(
        f"""(float[N, 4, 6, 6] x) => (float[N, 8, 4, 4] y) {{
            q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) w = DequantizeLinear<axis = 0>(c, t, u)
            b = DequantizeLinear<axis = 0>(e, f) o = Conv(d, w, b) {activation}
            y = DequantizeLinear({codes}, v, z) }}""",
        {
            "c": np.random.default_rng(1).integers(-8, 8, (8, 4, 3, 3)).astype(np.int8),
            "t": np.full(8, 0.1, np.float32), "u": np.zeros(8, np.int8), "s": 0.1, "v": 0.4, "z": np.uint8(0),
            "e": np.arange(8, dtype=np.int32), "f": np.full(8, np.float32(0.1) * np.float32(0.1)), **constants,
        },
        ir_version=10,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("activation", "constants", "is_integer"),
    [
        ("p = Relu(o) r = QuantizeLinear(p, v, z)", {}, True),
        ("p = QuantizeLinear(o, v, z) r = Clip(p, l, h)", {"l": np.uint8(0), "h": np.uint8(15)}, True),
        ("p = Clip(o, l, h) r = QuantizeLinear(p, v, z)", {"l": 0.0, "h": 6.0}, False),  # a Relu6, 255 * 0.4 > 6
        ("p = Sigmoid(o) r = QuantizeLinear(p, v, z)", {}, False),
        ("r = QuantizeLinear(o, v, z)", {"f": np.full(8, 0.02, np.float32)}, False),  # another scale of the bias
    ],
)
def test_what_keeps_a_convolution_in_integers(
    activation: str, constants: Mapping[str, object], is_integer: bool
) -> None:
    assert ("QLinearConv" in _operators(_between(activation, constants))) == is_integer
