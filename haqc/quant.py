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


def rounded_weight(weight: Tensor, scale: Tensor, bits: int) -> Tensor:
    """Gives the weights as the runtime will see them, without a gradient."""
    if bits == 1:
        return weight_codes(weight, scale, bits) * scale
    return _rounded(weight, scale, *weight_range(bits))


def rounded_activation(x: Tensor, scale: Tensor, zero_point: int, bits: int) -> Tensor:
    """Gives the activations as the runtime will see them, without a gradient."""
    low, high = activation_range(bits)
    return _rounded(x, scale, low - zero_point, high - zero_point)


def rounded_between(x: Tensor, scale: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Gives what :func:`rounded_activation` does, from tensors: the codes' limits are counted from the zero point."""
    return torch.clamp(torch.round(x / scale), low, high) * scale


def rounded_bias(bias: Tensor, scale: Tensor) -> Tensor:
    """Gives the bias as the runtime will see it, without a gradient."""
    return bias_codes(bias, scale) * scale


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
        rounded = rounded_bias(bias, scale)
    return rounded + (bias - bias.detach())  # in this order the value is exact


class _FakeWeight(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, scale: Tensor, bits: int) -> Tensor:
        ctx.save_for_backward(weight, scale)
        ctx.bits = bits
        return rounded_weight(weight, scale, bits)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grad_outputs
        weight, scale = ctx.saved_tensors
        ratio, limits = weight / scale, weight_range(ctx.bits)
        passed = _inside(grad, ratio, *limits)
        if ctx.bits == 1:
            step = weight_codes(weight, scale, 1)
        else:
            step = torch.round(ratio).clamp_(*limits).sub_(_inside(ratio, ratio, *limits))
        return passed, step.mul_(grad).sum_to_size(scale.shape), None


class _FakeActivation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, zero_point: int, bits: int) -> Tensor:
        ctx.save_for_backward(x, scale)
        low, high = activation_range(bits)
        ctx.limits = low - zero_point, high - zero_point
        return _rounded(x, scale, *ctx.limits)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grad_outputs
        x, scale = ctx.saved_tensors
        ratio = x / scale
        grad_scale = None
        if ctx.needs_input_grad[1]:
            step = torch.round(ratio).clamp_(*ctx.limits).sub_(_inside(ratio, ratio, *ctx.limits))
            grad_scale = step.mul_(grad).sum_to_size(scale.shape)
        return _inside(grad, ratio, *ctx.limits), grad_scale, None, None


def _rounded(x: Tensor, scale: Tensor, low: int, high: int) -> Tensor:
    """Gives the nearest multiples of a scale within limits; one new tensor, the rest in place."""
    return (x / scale).round_().clamp_(low, high).mul_(scale)


def _inside(values: Tensor, ratio: Tensor, low: int, high: int) -> Tensor:
    """Gives ``values`` where ``ratio`` lies within the limits, else 0; far quicker than comparing and multiplying."""
    margin = torch.finfo(ratio.dtype).eps * max(1, -low, high)  # the kernel leaves the limits themselves out
    return torch.ops.aten.hardtanh_backward(values, ratio, low - margin, high + margin)  # type: ignore[no-any-return]
