"""Codes equal those of ONNX exactly, ties included; gradients are those of LSQ, to 1e-6 in double precision."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
from torch import Tensor

from haqc.quant import (
    BIAS_LIMIT,
    activation_codes,
    activation_range,
    along_axis,
    bias_codes,
    fake_activation,
    fake_bias,
    fake_weight,
    weight_codes,
    weight_range,
)

WIDTHS = range(1, 9)


def _onnx_quantise(x: np.ndarray, scale: float, zero_point: np.ndarray, low: int, high: int) -> np.ndarray:
    """Runs QuantizeLinear and an integer Clip in ONNX's reference implementation."""
    dtype = helper.np_dtype_to_tensor_dtype(zero_point.dtype)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("Clip", ["q", "low", "high"], ["y"]),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)]
    constants = {
        "s": np.float32(scale),
        "z": zero_point,
        "low": zero_point.dtype.type(low),
        "high": zero_point.dtype.type(high),
    }
    initialisers = [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "q", inputs, [helper.make_tensor_value_info("y", dtype, None)], initialisers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return np.asarray(ReferenceEvaluator(model).run(None, {"x": x})[0])


def _values(scale: float) -> np.ndarray:
    """Random values, and every exact tie between codes -140 and 270."""
    random = np.random.default_rng(0).standard_normal(4000) * 60 * scale
    ties = (np.arange(-140, 270) + 0.5) * scale
    return np.concatenate([random, ties, [0.0, -0.0]]).astype(np.float32)


@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.parametrize("scale", [0.25, 1.0, 0.0371])
def test_activation_codes_are_those_of_onnx(bits: int, scale: float) -> None:
    x, scale = _values(scale), float(np.float32(scale))
    for zero_point in {0, 1, 2 ** (bits - 1), 2**bits - 1}:
        expected = _onnx_quantise(x, scale, np.array(zero_point, np.uint8), *activation_range(bits))
        given = activation_codes(torch.from_numpy(x), torch.tensor(scale), zero_point, bits).numpy()
        np.testing.assert_array_equal(given, expected)


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("scale", [0.25, 1.0, 0.0371])
def test_weight_codes_are_those_of_onnx(bits: int, scale: float) -> None:
    x, scale = _values(scale), float(np.float32(scale))
    expected = _onnx_quantise(x, scale, np.array(0, np.int8), *weight_range(bits))
    np.testing.assert_array_equal(weight_codes(torch.from_numpy(x), torch.tensor(scale), bits).numpy(), expected)


def test_ties_go_to_the_even_code() -> None:
    ties = torch.tensor([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])
    even = [-2.0, -2.0, -0.0, 0.0, 2.0, 2.0]
    assert weight_codes(ties, torch.tensor(1.0), 8).tolist() == even
    assert activation_codes(ties, torch.tensor(1.0), 10, 8).tolist() == [value + 10 for value in even]
    assert bias_codes(ties, torch.tensor(1.0)).tolist() == even


def test_one_bit_weights_have_a_sign_and_no_zero() -> None:
    weight = torch.tensor([-3.0, -1e-9, 0.0, 1e-9, 3.0])
    assert weight_codes(weight, torch.tensor(0.5), 1).tolist() == [-1, -1, 1, 1, 1]
    assert fake_weight(weight, torch.tensor(0.5), 1).tolist() == [-0.5, -0.5, 0.5, 0.5, 0.5]


@pytest.mark.parametrize("bits", WIDTHS)
def test_ranges(bits: int) -> None:
    assert activation_range(bits) == (0, 2**bits - 1)
    low, high = weight_range(bits)
    assert high - low == (2 if bits == 1 else 2**bits - 1)
    assert -128 <= low < 0 < high <= 127


@pytest.mark.parametrize("bits", WIDTHS)
def test_fake_values_are_codes_times_scale(bits: int) -> None:
    x = torch.from_numpy(_values(0.1))
    scale = torch.tensor(0.1)
    assert torch.equal(fake_weight(x, scale, bits), weight_codes(x, scale, bits) * scale)
    zero_point = 2 ** (bits - 1)
    codes = activation_codes(x, scale, zero_point, bits)
    assert torch.equal(fake_activation(x, scale, zero_point, bits), (codes - zero_point) * scale)


def test_scales_lie_along_their_axis() -> None:
    scale = torch.tensor([1.0, 2.0, 4.0])
    assert along_axis(scale, 1, 4).shape == (1, 3, 1, 1)
    codes = weight_codes(torch.full((2, 3), 4.0), along_axis(scale, 1, 2), 8)
    assert codes.tolist() == [[4, 2, 1], [4, 2, 1]]


def _surrogate(x: Tensor, scale: Tensor, low: int, high: int, at: tuple[Tensor, Tensor]) -> Tensor:
    """What LSQ differentiates: the rounding residual at a point is held constant, the clipping is not."""
    ratio = at[0] / at[1]
    inside = (ratio >= low) & (ratio <= high)
    residual = torch.where(inside, torch.round(ratio) - ratio, 0.0)
    return torch.where(inside, x / scale + residual, torch.clamp(x / scale, low, high)) * scale


def _differences(x: Tensor, scale: Tensor, low: int, high: int) -> tuple[Tensor, Tensor]:
    """Central differences of the surrogate in every ``x``, and in ``scale`` for every ``x``."""
    step, at = 1e-6, (x, scale)
    by_x = _surrogate(x + step, scale, low, high, at) - _surrogate(x - step, scale, low, high, at)
    by_scale = _surrogate(x, scale + step, low, high, at) - _surrogate(x, scale - step, low, high, at)
    return by_x / (2 * step), by_scale / (2 * step)


@pytest.mark.parametrize("bits", range(2, 9))
def test_weight_gradients_are_finite_differences_of_lsq(bits: int) -> None:
    generator = torch.Generator().manual_seed(bits)
    weight = torch.randn(6, 20, generator=generator, dtype=torch.float64).requires_grad_()
    scale = (torch.rand(6, 1, generator=generator, dtype=torch.float64) * 0.1 + 2.0 / 2**bits).requires_grad_()
    weighting = torch.randn(6, 20, generator=generator, dtype=torch.float64)
    (fake_weight(weight, scale, bits) * weighting).sum().backward()
    by_weight, by_scale = _differences(weight.detach(), scale.detach(), *weight_range(bits))
    assert weight.grad is not None and scale.grad is not None
    torch.testing.assert_close(weight.grad, by_weight * weighting, rtol=0, atol=1e-7)
    torch.testing.assert_close(scale.grad, (by_scale * weighting).sum(1, keepdim=True), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("bits", "zero_point"), [(1, 0), (1, 1), (2, 1), (4, 0), (4, 8), (8, 128)])
def test_activation_gradients_are_finite_differences_of_lsq(bits: int, zero_point: int) -> None:
    generator = torch.Generator().manual_seed(bits)
    x = torch.randn(300, generator=generator, dtype=torch.float64).requires_grad_()
    scale = torch.tensor(2.0 / 2**bits, dtype=torch.float64, requires_grad=True)
    weighting = torch.randn(300, generator=generator, dtype=torch.float64)
    (fake_activation(x, scale, zero_point, bits) * weighting).sum().backward()
    low, high = activation_range(bits)
    by_x, by_scale = _differences(x.detach(), scale.detach(), low - zero_point, high - zero_point)
    assert x.grad is not None and scale.grad is not None
    torch.testing.assert_close(x.grad, by_x * weighting, rtol=0, atol=1e-7)
    torch.testing.assert_close(scale.grad, (by_scale * weighting).sum(), rtol=0, atol=1e-6)


def test_gradients_by_hand() -> None:
    """LSQ, equation 3: inside round(v) - v, outside the bound; 2 bits hold -2 to 1."""
    weight = torch.tensor([0.3, -0.6, -5.0, 5.0], dtype=torch.float64, requires_grad=True)
    scale = torch.ones(4, dtype=torch.float64, requires_grad=True)
    fake_weight(weight, scale, 2).sum().backward()
    assert weight.grad is not None and scale.grad is not None
    assert weight.grad.tolist() == [1, 1, 0, 0]
    assert scale.grad.tolist() == pytest.approx([-0.3, -0.4, -2, 1], abs=1e-12)


def test_one_bit_gradients_by_hand() -> None:
    """The sign's scale receives the sign; the weight's gradient passes while it is no larger than the scale."""
    weight = torch.tensor([0.5, -0.5, -3.0, 3.0], requires_grad=True)
    scale = torch.ones(4, requires_grad=True)
    fake_weight(weight, scale, 1).sum().backward()
    assert weight.grad is not None and scale.grad is not None
    assert weight.grad.tolist() == [1, 1, 0, 0]
    assert scale.grad.tolist() == [1, -1, -1, 1]


def test_a_fixed_activation_scale_gets_no_gradient() -> None:
    x, scale = torch.tensor([0.2], requires_grad=True), torch.tensor(1.0)
    fake_activation(x, scale, 0, 4).sum().backward()
    assert x.grad is not None and scale.grad is None


def test_biases_round_and_pass_their_gradient_straight_through() -> None:
    bias = torch.tensor([0.26, -0.26, 1e12, -1e12], requires_grad=True)
    scale = torch.full((4,), 0.1, requires_grad=True)
    fake_bias(bias, scale).sum().backward()
    assert bias.grad is not None
    assert bias.grad.tolist() == [1, 1, 1, 1]
    assert scale.grad is None
    codes = bias_codes(bias.detach(), scale.detach())
    assert codes.tolist() == [3, -3, BIAS_LIMIT, -BIAS_LIMIT]
    assert codes.numpy().astype(np.int32).tolist() == codes.tolist()
    assert torch.equal(fake_bias(bias, scale), codes * scale)
