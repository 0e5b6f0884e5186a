"""Activation functions, Clip and the softmax family."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

from haqc.mirror.node import Function, Node, operator
from haqc.mirror.operators.constant import number

PLAIN: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "Relu": torch.relu,
    "Sigmoid": torch.sigmoid,
    "Tanh": torch.tanh,
    "HardSwish": F.hardswish,
    "Softplus": F.softplus,
    "Softsign": F.softsign,
    "Mish": F.mish,
}
"""Activations without attributes."""


@operator(*PLAIN)
def plain(node: Node) -> Function:
    """Builds an activation without attributes."""
    return PLAIN[node.op]


@operator("LeakyRelu")
def leaky_relu(node: Node) -> Function:
    """Builds ``x`` above zero and ``alpha x`` below."""
    alpha = node.attribute("alpha", 0.01)
    return lambda x: F.leaky_relu(x, alpha)


@operator("PRelu")
def prelu(node: Node) -> Function:
    """Builds ``x`` above zero and ``slope x`` below; the slope broadcasts."""
    return lambda x, slope: torch.where(x < 0, slope * x, x)


@operator("Elu")
def elu(node: Node) -> Function:
    """Builds ``alpha (exp x - 1)`` below zero."""
    alpha = node.attribute("alpha", 1.0)
    return lambda x: F.elu(x, alpha)


@operator("Selu")
def selu(node: Node) -> Function:
    """Builds ``gamma`` times the Elu of ``alpha``."""
    alpha, gamma = node.attribute("alpha", 1.6732631921768188), node.attribute("gamma", 1.0507010221481323)
    return lambda x: gamma * F.elu(x, alpha)


@operator("Celu")
def celu(node: Node) -> Function:
    """Builds ``alpha (exp(x / alpha) - 1)`` below zero."""
    alpha = node.attribute("alpha", 1.0)
    return lambda x: F.celu(x, alpha)


@operator("HardSigmoid")
def hard_sigmoid(node: Node) -> Function:
    """Builds ``alpha x + beta``, kept within 0 and 1."""
    alpha, beta = node.attribute("alpha", 0.2), node.attribute("beta", 0.5)
    return lambda x: torch.clamp(alpha * x + beta, 0.0, 1.0)


@operator("Gelu")
def gelu(node: Node) -> Function:
    """Builds the Gaussian error unit, exact or by its tanh approximation."""
    approximate = node.attribute("approximate", "none")
    if approximate not in ("none", "tanh"):
        raise node.refuse(f"approximates by '{approximate}', not by 'none' or 'tanh'")
    return lambda x: F.gelu(x, approximate=approximate)


@operator("Swish")
def swish(node: Node) -> Function:
    """Builds ``x sigmoid(alpha x)``."""
    alpha = node.attribute("alpha", 1.0)
    return F.silu if alpha == 1 else lambda x: x * torch.sigmoid(alpha * x)


@operator("ThresholdedRelu")
def thresholded_relu(node: Node) -> Function:
    """Builds ``x`` above ``alpha`` and zero elsewhere."""
    alpha = node.attribute("alpha", 1.0)
    return lambda x: F.threshold(x, alpha, 0.0)


@operator("Shrink")
def shrink(node: Node) -> Function:
    """Builds ``x`` drawn towards zero by ``bias``, and zero within ``lambd`` of it."""
    bias, border = node.attribute("bias", 0.0), node.attribute("lambd", 0.5)
    return lambda x: torch.where(x < -border, x + bias, torch.where(x > border, x - bias, torch.zeros_like(x)))


@operator("Clip")
def clip(node: Node) -> Function:
    """Builds a clamp to bounds that are known, computed at run time, or absent on either side."""
    low, high = number(node, 1), number(node, 2)
    low_varies, high_varies = node.has(1) and low is None, node.has(2) and high is None

    def run(x: torch.Tensor, minimum: torch.Tensor | None = None, maximum: torch.Tensor | None = None) -> torch.Tensor:
        if low is not None or high is not None:
            x = torch.clamp(x, low, high)
        # The upper bound comes last: where the bounds cross, it wins.
        if low_varies and minimum is not None:
            x = torch.maximum(x, minimum)
            x = x if high is None else torch.clamp(x, max=high)
        if high_varies and maximum is not None:
            x = torch.minimum(x, maximum)
        return x

    return run


@operator("Softmax")
def softmax(node: Node) -> Function:
    """Builds the softmax along one axis."""
    axis = node.attribute("axis", -1)
    return lambda x: torch.softmax(x, axis)


@operator("LogSoftmax")
def log_softmax(node: Node) -> Function:
    """Builds the logarithm of the softmax along one axis."""
    axis = node.attribute("axis", -1)
    return lambda x: torch.log_softmax(x, axis)


@operator("Hardmax")
def hardmax(node: Node) -> Function:
    """Builds one at the first largest value along an axis and zero elsewhere."""
    axis = node.attribute("axis", -1)
    return lambda x: torch.zeros_like(x).scatter(axis, torch.argmax(x, axis, keepdim=True), 1.0)
