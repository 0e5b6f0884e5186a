"""Operators of the domain com.microsoft that onnxruntime's optimiser writes into files."""

from __future__ import annotations

import torch
import torch.fx
import torch.nn.functional as F

from haqc.mirror.node import Function, Node, operator
from haqc.mirror.operators.normalisation import layer_norm, rms_norm

DOMAIN = "com.microsoft"
Optional = torch.Tensor | None


@operator("Gelu", "BiasGelu", domain=DOMAIN)
def gelu(node: Node) -> Function:
    """Builds the exact Gaussian error unit, of an input or of its sum with a bias."""
    return lambda x, bias=None: F.gelu(x if bias is None else x + bias)


@operator("FastGelu", domain=DOMAIN)
def fast_gelu(node: Node) -> Function:
    """Builds the tanh approximation of the Gaussian error unit, of an input or of its sum with a bias."""
    return lambda x, bias=None: F.gelu(x if bias is None else x + bias, approximate="tanh")


@operator("QuickGelu", domain=DOMAIN)
def quick_gelu(node: Node) -> Function:
    """Builds ``x sigmoid(alpha x)``."""
    alpha = node.attribute("alpha", 1.702)
    return lambda x: x * torch.sigmoid(alpha * x)


@operator("FusedMatMul", domain=DOMAIN)
def fused_matmul(node: Node) -> Function:
    """Builds ``alpha`` times a matrix product of operands that may be transposed.

    Raises:
        ModelError: a batch axis is transposed too.
    """
    if node.attribute("transBatchA", 0) or node.attribute("transBatchB", 0):
        raise node.refuse("transposes a batch axis")
    alpha = node.attribute("alpha", 1.0)
    turn_a, turn_b = bool(node.attribute("transA", 0)), bool(node.attribute("transB", 0))

    def run(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        product = torch.matmul(a.transpose(-1, -2) if turn_a else a, b.transpose(-1, -2) if turn_b else b)
        return product if alpha == 1 else product * alpha

    return run


@operator("SkipLayerNormalization", "SkipSimplifiedLayerNormalization", domain=DOMAIN)
def skip_layer_norm(node: Node) -> Function:
    """Builds the normalisation over the last axis of a sum of two inputs and a bias, and this sum.

    Raises:
        ModelError: the statistics are asked for.
    """
    epsilon, count = node.attribute("epsilon", 1e-12), node.output_count
    if count in (2, 3):
        raise node.refuse("gives its statistics")
    simplified = node.op == "SkipSimplifiedLayerNormalization"

    def run(
        x: torch.Tensor, skip: torch.Tensor, scale: torch.Tensor, shift: Optional = None, bias: Optional = None
    ) -> torch.Tensor | tuple[torch.Tensor, ...]:
        offset = shift if simplified else bias
        total = x + skip if offset is None else x + skip + offset
        y = rms_norm(total, -1, epsilon) * scale if simplified else layer_norm(total, scale, shift, -1, epsilon)
        return (y, y, y, total) if count == 4 else y

    return run


torch.fx.wrap("layer_norm")
torch.fx.wrap("rms_norm")
