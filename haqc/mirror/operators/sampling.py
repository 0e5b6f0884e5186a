"""Operators that sample images at positions that are computed: GridSample, AffineGrid, DeformConv."""

from __future__ import annotations

import torch
import torch.fx
import torch.nn.functional as F

from haqc.mirror.node import Function, Node, operator
from haqc.mirror.operators.constant import Integers, integers, listed
from haqc.mirror.operators.window import Window, padding, repeated, window_of

MODES = {"linear": "bilinear", "bilinear": "bilinear", "nearest": "nearest", "cubic": "bicubic", "bicubic": "bicubic"}
"""Torch's names of the interpolations, by ONNX's names of opsets 20 and 16."""

OUTSIDE = ("zeros", "border", "reflection")


@operator("GridSample")
def grid_sample(node: Node) -> Function:
    """Builds an image sampled at the positions of a grid, whose corners are -1 and 1.

    Raises:
        ModelError: the interpolation, or what lies outside, is none that ONNX defines.
    """
    mode, outside = node.attribute("mode", "linear"), node.attribute("padding_mode", "zeros")
    corners = bool(node.attribute("align_corners", 0))
    if mode not in MODES or outside not in OUTSIDE:
        raise node.refuse(f"samples by '{mode}' with '{outside}' outside, which ONNX does not define")
    return lambda x, grid: F.grid_sample(x, grid.to(x.dtype), MODES[mode], outside, corners)


@operator("AffineGrid")
def affine_grid(node: Node) -> Function:
    """Builds the grid that affine maps, [batch, rank, rank + 1], make of the positions of an image."""
    corners, known = bool(node.attribute("align_corners", 0)), integers(node, 1)
    return lambda theta, size: mapped_grid(theta, size if known is None else known, corners)


def mapped_grid(theta: torch.Tensor, size: Integers, corners: bool) -> torch.Tensor:
    """Maps the positions of an image of a size, [batch, channels, ...]."""
    return F.affine_grid(theta, listed(size), corners)


@operator("DeformConv")
def deform_conv(node: Node) -> Function:
    """Builds a convolution in two dimensions whose kernels read at positions moved by offsets (Dai et al., 2017)."""
    window, groups = window_of(node), node.attribute("group", 1)
    offset_groups = node.attribute("offset_group", 1)

    def run(
        x: torch.Tensor,
        weight: torch.Tensor,
        offset: torch.Tensor,
        bias: torch.Tensor | None = None,
        mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        return convolve_moved(x, weight, offset, bias, mask, window, groups, offset_groups)

    return run


def convolve_moved(
    x: torch.Tensor,
    weight: torch.Tensor,
    offset: torch.Tensor,
    bias: torch.Tensor | None,
    mask: torch.Tensor | None,
    window: Window,
    groups: int,
    offset_groups: int,
) -> torch.Tensor:
    """Samples what every kernel position reads and multiplies it with the weights.

    Args:
        x: [batch, channels, rows, columns]; outside it are zeros.
        weight: [outputs, channels / groups, kernel rows, kernel columns].
        offset: [batch, offset groups x kernel x 2, output rows, output columns], row before column.
        bias: [outputs].
        mask: factor of every read value, [batch, offset groups x kernel, output rows, output columns].
    """
    batch, channels, rows, columns = x.shape
    kernel, out = tuple(weight.shape[2:]), tuple(offset.shape[2:])
    taps = kernel[0] * kernel[1]
    moves = offset.reshape(batch * offset_groups, taps, 2, *out)
    row, column = (_reads(axis, kernel, out, window, x).to(x) + moves[:, :, axis] for axis in (0, 1))
    grid = torch.stack([(2 * column + 1) / columns - 1, (2 * row + 1) / rows - 1], -1).flatten(1, 2)
    planes = x.reshape(batch * offset_groups, channels // offset_groups, rows, columns)
    read = F.grid_sample(planes, grid, "bilinear", "zeros", False).reshape(*planes.shape[:2], taps, *out)
    if mask is not None:
        read = read * mask.reshape(batch * offset_groups, 1, taps, *out)
    blocks = read.reshape(batch, groups, -1, out[0] * out[1])
    y: torch.Tensor = torch.matmul(weight.reshape(groups, weight.shape[0] // groups, -1), blocks)
    y = y.reshape(batch, -1, *out)
    return y if bias is None else y + bias.reshape(-1, 1, 1)


def _reads(axis: int, kernel: tuple[int, ...], out: tuple[int, ...], window: Window, x: torch.Tensor) -> torch.Tensor:
    """Gives where unmoved kernels read along one axis, broadcasting with [taps, output rows, output columns]."""
    stride, dilation = repeated(window.stride, 2)[axis], repeated(window.dilation, 2)[axis]
    tap = torch.arange(kernel[axis], device=x.device) * dilation - padding(window, x.shape[2:])[0][axis]
    first = torch.arange(out[axis], device=x.device) * stride
    tap = tap.repeat_interleave(kernel[1]) if axis == 0 else tap.repeat(kernel[0])
    return tap.reshape(-1, 1, 1) + first.reshape((-1, 1) if axis == 0 else (1, -1))


torch.fx.wrap("mapped_grid")
torch.fx.wrap("convolve_moved")
