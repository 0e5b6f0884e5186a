"""What onnxruntime runs for each layer, and why one stays in float."""

from __future__ import annotations

import pytest

from haqc.content import Content
from haqc.errors import ModelError
from haqc.formats import FormatName
from haqc.passes.verify import kernels
from haqc.passes.verify.kernels import Kernel
from haqc.runtime import executed
from tests.passes.small_graphs import EVERY_GRAPH, GRAPHS, Prepared

NO_KERNEL = "onnxruntime has no integer {} for QDQ files"
OUTPUT = "it writes a graph output, which stays in float"


def found(name: str, format_name: FormatName = "qcdq", bits: int = 4) -> dict[str, Kernel]:
    prepared = Prepared.of(GRAPHS[name]())
    quantised = prepared.quantise(prepared.space.uniform(bits, bits))
    return kernels(quantised.emit_as(format_name).model, prepared.graph)


@pytest.mark.parametrize("bits", [1, 3, 5, 8])
@pytest.mark.parametrize("name", ["residual", "concatenation", "conv_relu6", "depthwise", "pooling", "grouped"])
def test_no_convolution_stays_in_float_but_the_last(name: str, bits: int) -> None:
    in_float = {layer: kernel for layer, kernel in found(name, bits=bits).items() if not kernel.is_integer}
    assert in_float == ({} if name == "residual" else {"y.node": Kernel("Conv", False, OUTPUT)})


@pytest.mark.parametrize("bits", [1, 3, 8])
@pytest.mark.parametrize(
    ("name", "integer", "in_float"),
    [
        ("residual", "QLinearAdd", "Add"),
        ("concatenation", "QLinearConcat", "Concat"),
        ("pooling", "QLinearAveragePool", "AveragePool"),
    ],
)
def test_joins_run_on_codes(name: str, integer: str, in_float: str, bits: int) -> None:
    prepared = Prepared.of(GRAPHS[name]())
    model = prepared.quantise(prepared.space.uniform(bits, bits)).emit()
    operators = [operator for _, operator in executed(Content.of(model))]
    assert integer in operators
    assert in_float not in operators


@pytest.mark.parametrize(
    ("name", "layer", "expected"),
    [
        ("residual", "y.node", Kernel("QGemm", True, "")),
        ("tokens", "m1.node", Kernel("MatMulIntegerToFloat", True, "")),
        ("attention", "qk.node", Kernel("MatMulIntegerToFloat", True, "")),
        ("other_activations", "c2.node", Kernel("Conv", False, "'h2.node' (HardSwish) reads its result in float")),
        ("other_activations", "c3.node", Kernel("FusedConv", False, "'s3.node' (Sigmoid) reads its result in float")),
        ("transposed", "t1.node", Kernel("ConvTranspose", False, NO_KERNEL.format("ConvTranspose"))),
        ("scaled_gemm", "g1.node", Kernel("Gemm", False, "its product or bias is scaled (alpha, beta)")),
        ("table", "rows.node", Kernel("Gather", False, "it looks rows up and multiplies nothing")),
        ("recurrent", "h1.node", Kernel("LSTM", False, NO_KERNEL.format("LSTM"))),
    ],
)  # fmt: skip
def test_kernels_and_reasons(name: str, layer: str, expected: Kernel) -> None:
    assert found(name)[layer] == expected


def test_a_layer_that_policies_keep_in_float_says_so() -> None:
    prepared = Prepared.of(GRAPHS["float_layers"]())
    reasons = {layer.name: layer.float_reason for layer in prepared.graph.layers if layer.float_reason}
    in_float = {name: kernel for name, kernel in found("float_layers").items() if not kernel.is_integer}
    assert in_float == {name: Kernel("Gemm", False, reason) for name, reason in reasons.items()}


def test_weights_below_a_byte_have_no_integer_kernel() -> None:
    reason = "onnxruntime has no integer kernel for weights stored as INT4"
    assert {kernel.reason for kernel in found("residual", "qdq-native").values()} == {reason}
    assert all(kernel.is_integer for kernel in found("residual", "qdq-native", bits=5).values())


@pytest.mark.parametrize("name", EVERY_GRAPH)
def test_every_layer_has_a_kernel_or_a_reason(name: str) -> None:
    for kernel in found(name).values():
        assert kernel.operator
        assert kernel.is_integer != bool(kernel.reason)
        assert kernel.reason != "onnxruntime does not say why"


def test_what_the_runtime_refuses_has_no_kernels() -> None:
    with pytest.raises(ModelError, match="refuses the model"):
        executed(b"no model")
