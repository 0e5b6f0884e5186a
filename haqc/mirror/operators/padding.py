"""Pad, in its four modes, along any axes."""

from __future__ import annotations

import torch
import torch.fx
import torch.nn.functional as F

from haqc.mirror.node import Function, Node, operator
from haqc.mirror.operators.constant import Integers, integers, listed, number
from haqc.mirror.operators.window import interleaved

MODES = ("constant", "reflect", "edge", "wrap")


@operator("Pad")
def pad(node: Node) -> Function:
    """Builds padding; negative amounts crop.

    Raises:
        ModelError: the mode is none that ONNX defines.
    """
    mode = node.attribute("mode", "constant")
    if mode not in MODES:
        raise node.refuse(f"has mode '{mode}', not one of {', '.join(MODES)}")
    pads, axes, known = integers(node, 1), integers(node, 3), number(node, 2)
    value = 0 if not node.has(2) else known
    if mode == "constant" and pads is not None and not node.has(3) and value is not None:
        half = len(pads) // 2
        ordered = interleaved(pads[:half], pads[half:])
        return lambda x, *inputs: F.pad(x, ordered, value=value)

    def run(
        x: torch.Tensor,
        amounts: torch.Tensor,
        filler: torch.Tensor | None = None,
        where: torch.Tensor | None = None,
    ) -> torch.Tensor:
        return pad_at(
            x,
            amounts if pads is None else pads,
            filler if value is None else value,
            where if axes is None else axes,
            mode,
        )

    return run


def pad_at(
    x: torch.Tensor, pads: Integers, value: torch.Tensor | float | None, axes: Integers | None, mode: str
) -> torch.Tensor:
    """Pads the given axes, or all, by amounts that may be computed at run time."""
    amounts = listed(pads)
    where = list(range(x.dim())) if axes is None else [axis % x.dim() for axis in listed(axes)]
    if mode != "constant":
        for index, axis in enumerate(where):
            begin, end = amounts[index], amounts[index + len(where)]
            if begin or end:
                x = x.index_select(axis, _source(x.shape[axis], begin, end, mode).to(x.device))
        return x
    begins, ends = [0] * x.dim(), [0] * x.dim()
    for index, axis in enumerate(where):
        begins[axis], ends[axis] = amounts[index], amounts[index + len(where)]
    filler = value.item() if isinstance(value, torch.Tensor) else value
    return F.pad(x, interleaved(begins, ends), value=filler)


def _source(length: int, begin: int, end: int, mode: str) -> torch.Tensor:
    """Gives the input position that each output position of a padded axis copies."""
    positions = torch.arange(-begin, length + end)
    if mode == "edge":
        return positions.clamp(0, length - 1)
    if mode == "wrap":
        return positions.remainder(length)
    period = max(2 * (length - 1), 1)
    positions = positions.remainder(period)
    return torch.where(positions < length, positions, period - positions)


torch.fx.wrap("pad_at")
