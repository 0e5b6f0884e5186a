"""Operators that pick values by index."""

from __future__ import annotations

import torch
import torch.fx

from haqc.mirror.node import Function, Node, operator
from haqc.mirror.operators.axis import at_axis
from haqc.mirror.operators.constant import integers, listed


@operator("Gather")
def gather(node: Node) -> Function:
    """Builds a selection along one axis; the indices' axes take its place."""
    axis, known = node.attribute("axis", 0), node.constant(1)
    if known is not None and known.ndim == 0:
        position = int(known)
        return lambda x, indices: x.select(axis, position)
    return lambda x, indices: x[at_axis(axis, indices)]


@operator("GatherElements")
def gather_elements(node: Node) -> Function:
    """Builds a selection of one element per index along an axis."""
    axis = node.attribute("axis", 0)
    return lambda x, indices: torch.gather(x, axis, from_start(indices, x, axis))


def from_start(indices: torch.Tensor, x: torch.Tensor, axis: int) -> torch.Tensor:
    """Counts negative indices from the start."""
    indices = indices.to(torch.int64)
    return torch.where(indices < 0, indices + x.shape[axis], indices)


@operator("GatherND")
def gather_nd(node: Node) -> Function:
    """Builds a selection of slices by index tuples, per entry of the leading batch axes."""
    batch_axes = node.attribute("batch_dims", 0)
    return lambda x, indices: gather_tuples(x, indices, batch_axes)


def gather_tuples(x: torch.Tensor, indices: torch.Tensor, batch_axes: int) -> torch.Tensor:
    """Picks slices by the index tuples along the last axis of ``indices``."""
    tuples = indices.to(torch.int64).unbind(-1)
    shape = indices.shape[:-1]
    batch = []
    for axis in range(batch_axes):
        along = [-1 if other == axis else 1 for other in range(len(shape))]
        batch.append(torch.arange(shape[axis], device=indices.device).reshape(along))
    return x[(*batch, *tuples)]


@operator("OneHot")
def one_hot(node: Node) -> Function:
    """Builds a new axis that is on at the index and off elsewhere."""
    axis, depth = node.attribute("axis", -1), integers(node, 1)
    return lambda indices, count, values: mark(indices, count if depth is None else depth, values, axis)


def mark(indices: torch.Tensor, depth: torch.Tensor | tuple[int, ...], values: torch.Tensor, axis: int) -> torch.Tensor:
    """Marks indices along a new axis of ``depth`` classes; ``values`` holds off and on."""
    (count,) = listed(depth)
    rank = indices.dim() + 1
    position = axis % rank
    classes = torch.arange(count, device=indices.device).reshape(count, *[1] * (rank - position - 1))
    positions = indices.to(torch.int64)
    positions = torch.where(positions < 0, positions + count, positions)
    return torch.where(positions.unsqueeze(position) == classes, values[1], values[0])


@operator("Compress")
def compress(node: Node) -> Function:
    """Builds a selection of the positions along an axis, or of the elements, where a condition holds."""
    axis = node.attribute("axis")
    return lambda x, condition: selected(x, condition, axis)


def selected(x: torch.Tensor, condition: torch.Tensor, axis: int | None) -> torch.Tensor:
    """Keeps the positions where the condition, which may be shorter than the axis, holds."""
    positions = torch.nonzero(condition).reshape(-1)
    return x.reshape(-1)[positions] if axis is None else x.index_select(axis, positions)


@operator("ReverseSequence")
def reverse_sequence(node: Node) -> Function:
    """Builds the first entries of every sample, as many as its length says, in reverse order."""
    batch_axis, time_axis = node.attribute("batch_axis", 1), node.attribute("time_axis", 0)
    return lambda x, lengths: turned_round(x, lengths, batch_axis, time_axis)


def turned_round(x: torch.Tensor, lengths: torch.Tensor, batch_axis: int, time_axis: int) -> torch.Tensor:
    """Reverses the first ``lengths[sample]`` entries along the time axis and keeps the others."""
    times = torch.arange(x.shape[time_axis], device=x.device)
    ends = lengths.reshape(-1, 1)
    positions = torch.where(times < ends, ends - 1 - times, times)
    positions = positions if batch_axis < time_axis else positions.t()
    shape = [length if axis in (batch_axis, time_axis) else 1 for axis, length in enumerate(x.shape)]
    return torch.gather(x, time_axis, positions.reshape(shape).expand(x.shape))


torch.fx.wrap("gather_tuples")
torch.fx.wrap("mark")
torch.fx.wrap("selected")
torch.fx.wrap("turned_round")
