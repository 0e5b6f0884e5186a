"""Rotary position embedding (ONNX opset 23; Su et al., 2021)."""

from __future__ import annotations

import torch
import torch.fx

from haqc.mirror.node import Function, Node, operator
from haqc.mirror.operators.attention import Optional, split_heads


@operator("RotaryEmbedding")
def rotary_embedding(node: Node) -> Function:
    """Builds a rotation of pairs of entries by angles whose cosines and sines are given by position."""
    heads, size = node.attribute("num_heads", 0), node.attribute("rotary_embedding_dim", 0)
    interleaved = bool(node.attribute("interleaved", 0))

    def run(x: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor, positions: Optional = None) -> torch.Tensor:
        return rotate(x, cosine, sine, positions, heads, size, interleaved)

    return run


def rotate(
    x: torch.Tensor,
    cosine: torch.Tensor,
    sine: torch.Tensor,
    positions: Optional,
    heads: int,
    size: int,
    interleaved: bool,
) -> torch.Tensor:
    """Rotates the first ``size`` entries (0: all) of every head; pairs are neighbours or halves apart.

    Args:
        x: [batch, heads, positions, head size], or [batch, positions, heads x head size].
        cosine, sine: [batch, positions, size / 2], or [maximum, size / 2] with ``positions`` of [batch, positions].
    """
    is_flat = x.dim() == 3
    y = split_heads(x, heads) if is_flat else x
    if positions is not None:
        cosine, sine = cosine[positions], sine[positions]
    cosine, sine = cosine.unsqueeze(1), sine.unsqueeze(1)
    size = size or y.shape[3]
    part, rest = y[..., :size], y[..., size:]
    if interleaved:
        a, b = part[..., 0::2], part[..., 1::2]
    else:
        a, b = part[..., : size // 2], part[..., size // 2 :]
    real, imaginary = cosine * a - sine * b, sine * a + cosine * b
    turned = torch.stack([real, imaginary], -1).flatten(3) if interleaved else torch.cat([real, imaginary], -1)
    y = torch.cat([turned, rest], -1)
    return y.transpose(1, 2).flatten(2) if is_flat else y


torch.fx.wrap("rotate")
