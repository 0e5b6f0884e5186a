"""The only place that rounds: codes, fake quantisation with straight-through gradients, and scales.

Weights are symmetric with one scale per output channel; codes of ``b`` bits lie in [-2^(b-1), 2^(b-1) - 1], and a
1-bit weight is sign x scale. Activations are unsigned codes in [0, 2^b - 1] with an integer zero point, one scale per
tensor, by the rule of ONNX QuantizeLinear: saturate(round_half_even(x / scale) + zero_point). Biases are int32 codes
of scale(activation) x scale(weight).

Gradients are those of LSQ (Esser et al., ICLR 2020, equation 3): straight through inside the range, zero outside; the
step size receives round(x/s) - x/s inside and the bound outside.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

BIAS_LIMIT = float(2**30)
"""Bias codes stay this small, so that an int32 accumulator has room for the products."""


def weight_range(bits: int) -> tuple[int, int]:
    """Gives the lowest and the highest weight code.

    >>> weight_range(4)
    (-8, 7)
    """
    return (-1, 1) if bits == 1 else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def activation_range(bits: int) -> tuple[int, int]:
    """Gives the lowest and the highest activation code.

    >>> activation_range(4)
    (0, 15)
    """
    return 0, 2**bits - 1


def along_axis(scale: Tensor, axis: int, rank: int) -> Tensor:
    """Reshapes a vector of scales so that it broadcasts along one axis of a tensor of the given rank."""
    shape = [1] * rank
    shape[axis] = -1
    return scale.reshape(shape)


def weight_codes(weight: Tensor, scale: Tensor, bits: int) -> Tensor:
    """Gives weight codes as floats; ``scale`` broadcasts against ``weight``."""
    if bits == 1:
        return torch.where(weight < 0, -1.0, 1.0).to(weight.dtype)
    low, high = weight_range(bits)
    return torch.clamp(torch.round(weight / scale), low, high)


def activation_codes(x: Tensor, scale: Tensor, zero_point: int, bits: int) -> Tensor:
    """Gives activation codes as floats."""
    low, high = activation_range(bits)
    return torch.clamp(torch.round(x / scale) + zero_point, low, high)


def bias_codes(bias: Tensor, scale: Tensor) -> Tensor:
    """Gives bias codes as floats that int32 holds exactly."""
    return torch.clamp(torch.round(bias / scale), -BIAS_LIMIT, BIAS_LIMIT)


def fake_weight(weight: Tensor, scale: Tensor, bits: int) -> Tensor:
    """Gives the weights as the runtime will see them; differentiable in both arguments."""
    result: Tensor = _FakeWeight.apply(weight, scale, bits)  # type: ignore[no-untyped-call]
    return result


def fake_activation(x: Tensor, scale: Tensor, zero_point: int, bits: int) -> Tensor:
    """Gives the activations as the runtime will see them; differentiable in ``x`` and ``scale``."""
    result: Tensor = _FakeActivation.apply(x, scale, zero_point, bits)  # type: ignore[no-untyped-call]
    return result


def fake_bias(bias: Tensor, scale: Tensor) -> Tensor:
    """Gives the bias as the runtime will see it; the gradient passes straight through to the bias alone."""
    with torch.no_grad():
        rounded = bias_codes(bias, scale) * scale
    return rounded + (bias - bias.detach())  # in this order the value is exact


class _FakeWeight(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, scale: Tensor, bits: int) -> Tensor:
        ctx.save_for_backward(weight, scale)
        ctx.bits = bits
        return weight_codes(weight, scale, bits) * scale

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grad_outputs
        weight, scale = ctx.saved_tensors
        ratio = weight / scale
        codes = weight_codes(weight, scale, ctx.bits)
        low, high = weight_range(ctx.bits)
        inside = (ratio >= low) & (ratio <= high)
        step = codes if ctx.bits == 1 else torch.where(inside, codes - ratio, codes)
        return grad * inside, (grad * step).sum_to_size(scale.shape), None


class _FakeActivation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, zero_point: int, bits: int) -> Tensor:
        ctx.save_for_backward(x, scale)
        ctx.zero_point, ctx.bits = zero_point, bits
        return (activation_codes(x, scale, zero_point, bits) - zero_point) * scale

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grad_outputs
        x, scale = ctx.saved_tensors
        low, high = activation_range(ctx.bits)
        ratio = x / scale
        codes = torch.clamp(torch.round(ratio), low - ctx.zero_point, high - ctx.zero_point)
        inside = (ratio >= low - ctx.zero_point) & (ratio <= high - ctx.zero_point)
        grad_scale = None
        if ctx.needs_input_grad[1]:
            grad_scale = (grad * (codes - ratio * inside)).sum_to_size(scale.shape)
        return grad * inside, grad_scale, None, None
