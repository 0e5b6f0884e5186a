"""Operators that change or report shapes and move no values between elements."""

from __future__ import annotations

import math

import torch
import torch.fx

from haqc.mirror.node import Function, Node, operator
from haqc.mirror.operators.constant import Integers, integers, listed


@operator("Reshape")
def reshape(node: Node) -> Function:
    """Builds a reshape; 0 copies the input's extent unless ``allowzero``, -1 is what remains."""
    shape, literal = integers(node, 1), bool(node.attribute("allowzero", 0))
    if shape is None:
        return lambda x, wanted: reshape_to(x, wanted, literal)
    if literal or 0 not in shape:
        return lambda x, wanted: x.reshape(shape)
    return lambda x, wanted: x.reshape([length or x.shape[axis] for axis, length in enumerate(shape)])


def reshape_to(x: torch.Tensor, shape: torch.Tensor, literal: bool) -> torch.Tensor:
    """Reshapes to a shape that is computed at run time."""
    wanted = listed(shape)
    return x.reshape(wanted if literal else [length or x.shape[axis] for axis, length in enumerate(wanted)])


@operator("Flatten")
def flatten(node: Node) -> Function:
    """Builds a matrix: the axes before ``axis`` are its rows, the others its columns."""
    axis = node.attribute("axis", 1)
    return lambda x: flatten_at(x, axis)


def flatten_at(x: torch.Tensor, axis: int) -> torch.Tensor:
    """Flattens the axes on both sides of a border."""
    border = axis + x.dim() if axis < 0 else axis
    return x.reshape(math.prod(x.shape[:border]), math.prod(x.shape[border:]))


@operator("Transpose")
def transpose(node: Node) -> Function:
    """Builds a permutation of axes; all of them are reversed by default."""
    order = node.attribute("perm")
    if order is None:
        return lambda x: x.permute(reversed_axes(x))
    return lambda x: x.permute(tuple(order))


def reversed_axes(x: torch.Tensor) -> tuple[int, ...]:
    """Gives all axes of a tensor, last first."""
    return tuple(reversed(range(x.dim())))


@operator("Squeeze")
def squeeze(node: Node) -> Function:
    """Builds the removal of the given axes of extent one, or of all such axes."""
    axes = integers(node, 1)
    if not node.has(1):
        return lambda x, *others: x.squeeze()
    return lambda x, wanted: squeeze_at(x, wanted) if axes is None else x.squeeze(axes)


def squeeze_at(x: torch.Tensor, axes: torch.Tensor) -> torch.Tensor:
    """Removes axes that are computed at run time."""
    return x.squeeze(listed(axes))


@operator("Unsqueeze")
def unsqueeze(node: Node) -> Function:
    """Builds the insertion of axes of extent one; they are counted in the output."""
    axes = integers(node, 1)
    if axes is None or (min(axes, default=0) < 0 <= max(axes, default=0)):
        return lambda x, wanted: unsqueeze_at(x, wanted if axes is None else axes)
    # From the start in ascending order, or from the end inwards: no insertion then moves an earlier one.
    ordered = sorted(axes, reverse=bool(axes) and axes[0] < 0)

    def run(x: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        for axis in ordered:
            x = x.unsqueeze(axis)
        return x

    return run


def unsqueeze_at(x: torch.Tensor, axes: Integers) -> torch.Tensor:
    """Inserts axes that are counted from both ends, or computed at run time."""
    wanted = listed(axes)
    rank = x.dim() + len(wanted)
    for axis in sorted(axis % rank for axis in wanted):
        x = x.unsqueeze(axis)
    return x


@operator("Expand")
def expand(node: Node) -> Function:
    """Builds a broadcast; input and wanted shape broadcast with each other."""
    shape = integers(node, 1)
    return lambda x, wanted: expand_to(x, wanted if shape is None else shape)


def expand_to(x: torch.Tensor, shape: Integers) -> torch.Tensor:
    """Broadcasts a tensor with a shape."""
    wanted, own = listed(shape), list(x.shape)
    rank = max(len(wanted), len(own))
    wanted, own = [1] * (rank - len(wanted)) + wanted, [1] * (rank - len(own)) + own
    return x.expand([length if extent == 1 else extent for length, extent in zip(wanted, own, strict=True)])


@operator("Shape")
def shape(node: Node) -> Function:
    """Builds the shape, or a range of it, as int64."""
    start, end = node.attribute("start", 0), node.attribute("end")
    return lambda x: shape_of(x, start, end)


def shape_of(x: torch.Tensor, start: int, end: int | None) -> torch.Tensor:
    """Gives a range of a shape as a tensor; bounds beyond the rank are drawn in."""
    return torch.tensor(list(x.shape)[start:end], dtype=torch.int64, device=x.device)


@operator("Size")
def size(node: Node) -> Function:
    """Builds the number of elements as int64."""

    def run(x: torch.Tensor) -> torch.Tensor:
        return size_of(x)

    return run


def size_of(x: torch.Tensor) -> torch.Tensor:
    """Gives the number of elements as a tensor."""
    return torch.tensor(x.numel(), dtype=torch.int64, device=x.device)


@operator("DepthToSpace")
def depth_to_space(node: Node) -> Function:
    """Builds a move of channel blocks into space, depth first (DCR) or columns first (CRD)."""
    block, mode = node.attribute("blocksize"), node.attribute("mode", "DCR")
    if mode == "CRD":
        return lambda x: torch.pixel_shuffle(x, block)
    if mode != "DCR":
        raise node.refuse(f"has mode '{mode}', not 'DCR' or 'CRD'")

    def run(x: torch.Tensor) -> torch.Tensor:
        batch, channels, rows, columns = x.shape[0], x.shape[1] // block**2, x.shape[2], x.shape[3]
        blocks = x.reshape(batch, block, block, channels, rows, columns).permute(0, 3, 4, 1, 5, 2)
        return blocks.reshape(batch, channels, rows * block, columns * block)

    return run


@operator("SpaceToDepth")
def space_to_depth(node: Node) -> Function:
    """Builds a move of spatial blocks into channels, block position first (DCR) or channel first (CRD)."""
    block, mode = node.attribute("blocksize"), node.attribute("mode", "DCR")
    if mode == "CRD":
        return lambda x: torch.pixel_unshuffle(x, block)
    if mode != "DCR":
        raise node.refuse(f"has mode '{mode}', not 'DCR' or 'CRD'")

    def run(x: torch.Tensor) -> torch.Tensor:
        batch, channels, rows, columns = x.shape[0], x.shape[1], x.shape[2] // block, x.shape[3] // block
        blocks = x.reshape(batch, channels, rows, block, columns, block).permute(0, 3, 5, 1, 2, 4)
        return blocks.reshape(batch, channels * block**2, rows, columns)

    return run


torch.fx.wrap("reshape_to")
torch.fx.wrap("flatten_at")
torch.fx.wrap("reversed_axes")
torch.fx.wrap("squeeze_at")
torch.fx.wrap("unsqueeze_at")
torch.fx.wrap("expand_to")
torch.fx.wrap("shape_of")
torch.fx.wrap("size_of")
