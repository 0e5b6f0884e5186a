"""Quantisers that the clean-up leaves in a graph, because no pair of them stands for a float tensor."""

from __future__ import annotations

import numpy as np
import torch
import torch.fx

from haqc.mirror.node import Function, Node, operator
from haqc.mirror.operators.constant import element_type
from haqc.quant import along_axis

CODES = tuple(np.dtype(kind) for kind in ("i1", "u1", "i2", "u2"))
"""Types of codes."""

Optional = torch.Tensor | None


@operator("QuantizeLinear")
def quantise(node: Node) -> Function:
    """Builds ``saturate(round(x / scale) + zero point)``; halves go to even.

    Raises:
        ModelError: the codes are floats, or have less than 8 bits.
    """
    axis, block = node.attribute("axis", 1), node.attribute("block_size", 0)
    code = node.attribute("output_dtype", 0)
    kind = element_type(node, code) if code else None
    known = node.constant(2)
    if known is not None and known.dtype not in CODES:
        raise node.refuse(f"gives codes of type {known.dtype}, which torch lacks")

    def run(x: torch.Tensor, scale: torch.Tensor, zero: Optional = None) -> torch.Tensor:
        return codes(x, spread(scale, x, axis, block), None if zero is None else spread(zero, x, axis, block), kind)

    return run


@operator("DequantizeLinear")
def dequantise(node: Node) -> Function:
    """Builds ``(x - zero point) scale``."""
    axis, block = node.attribute("axis", 1), node.attribute("block_size", 0)
    code = node.attribute("output_dtype", 0)
    kind = element_type(node, code) if code else None

    def run(x: torch.Tensor, scale: torch.Tensor, zero: Optional = None) -> torch.Tensor:
        shifted = centred(x, None if zero is None else spread(zero, x, axis, block))
        y = shifted.to(scale.dtype) * spread(scale, x, axis, block)
        return y if kind is None else y.to(kind)

    return run


def spread(values: torch.Tensor, x: torch.Tensor, axis: int, block: int) -> torch.Tensor:
    """Makes scales or zero points broadcast: one for all, one per channel, or one per block along an axis."""
    if values.numel() == 1:
        return values.reshape(())
    if block:
        return values.repeat_interleave(block, axis).narrow(axis, 0, x.shape[axis])
    return along_axis(values, axis, x.dim())


def codes(x: torch.Tensor, scale: torch.Tensor, zero: Optional, kind: torch.dtype | None) -> torch.Tensor:
    """Quantises to the zero point's type, or to the type given, or to bytes."""
    kind = kind or (torch.uint8 if zero is None else zero.dtype)
    limits = torch.iinfo(kind)
    rounded = torch.round(x / scale)
    return torch.clamp(rounded if zero is None else rounded + zero, limits.min, limits.max).to(kind)


def centred(x: torch.Tensor, zero: Optional) -> torch.Tensor:
    """Gives codes less their zero point, as int32."""
    return x.int() if zero is None else x.int() - zero.int()


for _leaf in ("spread", "codes"):
    torch.fx.wrap(_leaf)
