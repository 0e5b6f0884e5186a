"""Batch-normalisations are folded into any layer beside them where that is exact, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from haqc.errors import ModelError
from haqc.passes.clean import clean
from tests.small_model import draw, run, small_model

BN = "BatchNormalization <epsilon=0.01> (%s, scale, shift, mean, variance)"


def normalisation(channels: int, shifts: bool = True) -> dict[str, Any]:
    """Scale, shift, mean and variance; without a shift zero stays zero."""
    mean = draw(channels, seed=3) if shifts else np.zeros(channels, np.float32)
    return {
        "scale": draw(channels, seed=1), "shift": draw(channels, seed=2) * shifts, "mean": mean,
        "variance": np.abs(draw(channels, seed=4)) + 0.5,
    }  # fmt: skip


def cleaned(model: onnx.ModelProto) -> ir.Model:
    return clean(ir.from_proto(model))


def operators(model: ir.Model) -> list[str]:
    return [node.op_type for node in model.graph]


def assert_same(before: onnx.ModelProto, after: ir.Model, **inputs: np.ndarray) -> None:
    made = ir.to_proto(after)
    onnx.checker.check_model(made, full_check=True)
    for old, new in zip(run(before, **inputs), run(made, **inputs), strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-5, atol=1e-5 * np.abs(old).max(initial=0))


LAYERS: Mapping[str, tuple[str, str, dict[str, np.ndarray], int, int, str]] = {
    # The layer's operator and attributes, its weights, channels of its input and output, the input's other extents.
    "conv": ("Conv", "", {"w": draw(4, 6, 3, 3)}, 6, 4, ",5,5"),
    "conv with a bias": ("Conv", "", {"w": draw(4, 6, 3, 3), "b": draw(4)}, 6, 4, ",5,5"),
    "grouped conv": ("Conv", "<group=2>", {"w": draw(4, 3, 3, 3), "b": draw(4)}, 6, 4, ",5,5"),
    "depthwise conv": ("Conv", "<group=6>", {"w": draw(12, 1, 3, 3), "b": draw(12)}, 6, 12, ",5,5"),
    "conv 1-d": ("Conv", "<strides=[2]>", {"w": draw(4, 6, 3), "b": draw(4)}, 6, 4, ",9"),
    "conv 3-d": ("Conv", "<dilations=[2,1,1]>", {"w": draw(4, 6, 2, 2, 2)}, 6, 4, ",5,4,4"),
    "gemm": ("Gemm", "", {"w": draw(6, 4), "b": draw(4)}, 6, 4, ""),
    "gemm of all forms": ("Gemm", "<transB=1, alpha=0.5, beta=2.0>", {"w": draw(4, 6), "b": draw(1, 4)}, 6, 4, ""),
    "gemm with a scalar": ("Gemm", "<beta=2.0>", {"w": draw(6, 4), "b": np.array(0.3, np.float32)}, 6, 4, ""),
    "gemm without a bias": ("Gemm", "<alpha=0.5>", {"w": draw(6, 4)}, 6, 4, ""),
    "matmul": ("MatMul", "", {"w": draw(6, 4)}, 6, 4, ""),
}
TRANSPOSED: Mapping[str, tuple[str, str, dict[str, np.ndarray], int, int, str]] = {
    "conv transposed": ("ConvTranspose", "<strides=[2,2]>", {"w": draw(6, 4, 3, 3), "b": draw(4)}, 6, 4, ",5,5"),
    "grouped and transposed": ("ConvTranspose", "<group=2>", {"w": draw(6, 2, 3, 3)}, 6, 4, ",5,5"),
}


def network(form: tuple[str, str, dict[str, np.ndarray], int, int, str], behind: bool, shifts: bool) -> onnx.ModelProto:
    """A layer with a batch-normalisation behind it, or before it."""
    op, attributes, constants, inputs, outputs, rest = form
    operands = ", w, b" if "b" in constants else ", w"
    extents = "".join(f",e{index}" for index, _ in enumerate(rest.split(",")[1:]))
    if behind:
        nodes = f"[layer] c = {op} {attributes} (x{operands}) [bn] y = {BN % 'c'}"
    else:
        nodes = f"[bn] c = {BN % 'x'} [layer] y = {op} {attributes} (c{operands})"
    return small_model(
        f"(float[n,{inputs}{rest}] x) => (float[n,{outputs}{extents}] y) {{ {nodes} }}",
        {**constants, **normalisation(outputs if behind else inputs, shifts)},
    )


def sample(form: tuple[str, str, dict[str, np.ndarray], int, int, str]) -> np.ndarray:
    return draw(3, form[3], *[int(extent) for extent in form[5].split(",")[1:]], seed=8)


@pytest.mark.parametrize("form", [*LAYERS, *TRANSPOSED])
def test_a_normalisation_behind_a_layer_is_folded(form: str) -> None:
    parts = {**LAYERS, **TRANSPOSED}[form]
    before = network(parts, behind=True, shifts=True)
    after = cleaned(before)
    assert operators(after) == ["Gemm" if parts[0] == "MatMul" else parts[0]]
    assert after.graph[0].name == "layer"
    assert_same(before, after, x=sample(parts))


@pytest.mark.parametrize("shifts", [True, False])
@pytest.mark.parametrize("form", LAYERS)
def test_a_normalisation_before_a_layer_is_folded(form: str, shifts: bool) -> None:
    parts = LAYERS[form]
    before = network(parts, behind=False, shifts=shifts)
    after = cleaned(before)
    assert operators(after) == ["Gemm" if parts[0] == "MatMul" and shifts else parts[0]]
    assert after.graph[0].name == "layer"
    assert_same(before, after, x=sample(parts))


@pytest.mark.parametrize("form", TRANSPOSED)
def test_only_a_scale_is_folded_into_a_transposed_layer_behind(form: str) -> None:
    parts = TRANSPOSED[form]
    scales, shifts = (network(parts, behind=False, shifts=shifts) for shifts in (False, True))
    assert operators(cleaned(scales)) == ["ConvTranspose"]
    assert_same(scales, cleaned(scales), x=sample(parts))
    assert operators(cleaned(shifts)) == ["BatchNormalization", "ConvTranspose"]
    assert_same(shifts, cleaned(shifts), x=sample(parts))


@pytest.mark.parametrize("padding", ["pads=[1,1,1,1]", 'auto_pad="SAME_UPPER"', "pads=[0,0,0,1]"])
def test_only_a_scale_is_folded_into_a_layer_that_pads(padding: str) -> None:
    parts = ("Conv", f"<{padding}>", {"w": draw(4, 6, 3, 3)}, 6, 4, ",5,5")
    scales, shifts = (network(parts, behind=False, shifts=shifts) for shifts in (False, True))
    assert operators(cleaned(scales)) == ["Conv"]
    assert_same(scales, cleaned(scales), x=sample(parts))
    assert operators(cleaned(shifts)) == ["BatchNormalization", "Conv"]
    assert_same(shifts, cleaned(shifts), x=sample(parts))


def test_normalisations_on_both_sides_are_folded() -> None:
    before = small_model(
        f"(float[n,4,5,5] x) => (float[n,4,3,3] y) {{ a = {BN % 'x'} [layer] c = Conv (a, w, b) y = {BN % 'c'} }}",
        {"w": draw(4, 4, 3, 3), "b": draw(4), **normalisation(4)},
    )
    after = cleaned(before)
    assert operators(after) == ["Conv"]
    assert_same(before, after, x=draw(2, 4, 5, 5))


def test_a_product_and_its_bias_take_a_normalisation() -> None:
    before = small_model(
        f"(float[n,6] x) => (float[n,4] y) {{ p = MatMul (x, w) a = Add (p, b) y = {BN % 'a'} }}",
        {"w": draw(6, 4), "b": draw(4), **normalisation(4)},
    )
    after = cleaned(before)
    assert operators(after) == ["Gemm"]
    assert_same(before, after, x=draw(3, 6))


STAYS = {
    "read twice": (
        f"(float[n,4,5,5] x) => (float[n,4,3,3] y, float[n,4,5,5] z) {{ a = {BN % 'x'} y = Conv (a, w) z = Relu (a) }}",
        {"w": draw(4, 4, 3, 3)}, (2, 4, 5, 5), ["BatchNormalization", "Conv", "Relu"],
    ),
    "an output": (
        f"(float[n,4,5,5] x) => (float[n,4,3,3] y, float[n,4,5,5] a) {{ a = {BN % 'x'} y = Conv (a, w) }}",
        {"w": draw(4, 4, 3, 3)}, (2, 4, 5, 5), ["BatchNormalization", "Conv"],
    ),
    "an activation between": (
        f"(float[n,4,5,5] x) => (float[n,4,3,3] y) {{ a = {BN % 'x'} r = Relu (a) y = Conv (r, w) }}",
        {"w": draw(4, 4, 3, 3)}, (2, 4, 5, 5), ["BatchNormalization", "Relu", "Conv"],
    ),
    "another axis": (
        f"(float[n,4,6] x) => (float[n,4,5] y) {{ p = MatMul (x, w) y = {BN % 'p'} }}",
        {"w": draw(6, 5)}, (2, 4, 6), ["MatMul", "BatchNormalization"],
    ),
    "a transposed left operand": (
        f"(float[4,4] x) => (float[4,5] y) {{ a = {BN % 'x'} y = Gemm <transA=1> (a, w) }}",
        {"w": draw(4, 5)}, (4, 4), ["BatchNormalization", "Gemm"],
    ),
    "computed weights": (
        f"(float[n,4,5,5] x) => (float[n,4,1,1] y) {{ v = Mul (x, x) s = Shape (v) one = ReduceMean <keepdims=0> (v) "
        f"k = Mul (w, one) c = Conv (x, k) y = {BN % 'c'} }}",
        {"w": draw(4, 4, 5, 5)}, (2, 4, 5, 5), ["Mul", "ReduceMean", "Mul", "Conv", "BatchNormalization"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", STAYS)
def test_a_normalisation_that_cannot_be_folded_stays(form: str) -> None:
    text, constants, shape, expected = STAYS[form]
    before = small_model(text, {**constants, **normalisation(4)})
    after = cleaned(before)
    assert operators(after) == expected
    assert_same(before, after, x=draw(*shape))


@pytest.mark.parametrize("shape", [(4, 1), (4, 1, 1), ()], ids=str)
def test_parameters_that_are_no_vectors_are_refused(shape: tuple[int, ...]) -> None:
    text = f"(float[n,4,5,5] x) => (float[n,4,3,3] y) {{ c = Conv (x, w) y = {BN % 'c'} }}"
    parameters = normalisation(4) | {"scale": draw(*shape, seed=1)}
    with pytest.raises(
        ModelError, match=r"^BatchNormalization '.*' has parameters of shapes .*; export the model again$"
    ):
        cleaned(small_model(text, {"w": draw(4, 4, 3, 3), **parameters}))


@pytest.mark.parametrize("equal", [True, False])
def test_weights_that_two_layers_share(equal: bool) -> None:
    second = "scale" if equal else "shift"
    before = small_model(
        f"""(float[n,4,5,5] x, float[n,4,5,5] z) => (float[n,4,3,3] y) {{
            a = Conv (x, w) c = {BN % "a"}
            d = Conv (z, w) e = BatchNormalization <epsilon=0.01> (d, {second}, shift, mean, variance)
            y = Add (c, e)
        }}""",
        {"w": draw(4, 4, 3, 3), **normalisation(4)},
    )
    after = cleaned(before)
    assert operators(after) == ["Conv", "Conv", "Add"]
    weights = {node.inputs[1] for node in after.graph if node.op_type == "Conv"}
    assert len(weights) == (1 if equal else 2)
    assert_same(before, after, x=draw(2, 4, 5, 5), z=draw(2, 4, 5, 5, seed=1))


def test_folded_weights_are_computed_when_they_are_read() -> None:
    after = cleaned(network(LAYERS["conv"], behind=True, shifts=True))
    weight = after.graph.initializers["w"].const_value
    assert isinstance(weight, ir.LazyTensor)
    assert weight._tensor is None, "cleaning computed the weights"


@pytest.mark.parametrize("opset", [9, 13, 15, 21])
def test_training_mode_is_refused(opset: int) -> None:
    mode = "<training_mode=1>" if opset > 13 else ""
    more = "" if opset > 13 else ", m, v, savedm, savedv"
    before = small_model(
        f"""(float[n,4] x) => (float[n,4] y) {{
            [norm] y{more} = BatchNormalization {mode} (x, scale, shift, mean, variance)
        }}""",
        normalisation(4),
        opset,
    )
    with pytest.raises(
        ModelError, match=r"node 'norm' \(BatchNormalization\) is in training mode, so .*evaluation mode$"
    ):
        cleaned(before)
