"""Operators that pick values by index, write them by index, or find indices."""

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
    return lambda x, indices: torch.gather(x, axis, _from_start(indices, x, axis))


def _from_start(indices: torch.Tensor, x: torch.Tensor, axis: int) -> torch.Tensor:
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


def _adds(node: Node) -> bool:
    """Whether a scatter adds to what is there; refuses the other reductions."""
    reduction = node.attribute("reduction", "none")
    if reduction not in ("none", "add"):
        raise node.refuse(f"has reduction '{reduction}', where 'none' and 'add' are supported")
    return bool(reduction == "add")


@operator("ScatterElements")
def scatter_elements(node: Node) -> Function:
    """Builds a copy with one element written, or added to, per index along an axis."""
    axis = node.attribute("axis", 0)
    if _adds(node):
        return lambda x, indices, updates: x.scatter_add(axis, _from_start(indices, x, axis), updates)
    return lambda x, indices, updates: x.scatter(axis, _from_start(indices, x, axis), updates)


@operator("ScatterND")
def scatter_nd(node: Node) -> Function:
    """Builds a copy with slices written, or added to, by index tuples."""
    adds = _adds(node)
    return lambda x, indices, updates: scatter_tuples(x, indices, updates, adds)


def scatter_tuples(x: torch.Tensor, indices: torch.Tensor, updates: torch.Tensor, adds: bool) -> torch.Tensor:
    """Writes slices by the index tuples along the last axis of ``indices``."""
    return x.index_put(indices.to(torch.int64).unbind(-1), updates, accumulate=adds)


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


@operator("TopK")
def top_k(node: Node) -> Function:
    """Builds the k largest or smallest values with their indices; of equal values the first comes first."""
    axis, largest, known = node.attribute("axis", -1), bool(node.attribute("largest", 1)), integers(node, 1)

    def run(x: torch.Tensor, k: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        found = first_of_order(x, k if known is None else known, axis, largest)
        return (found[0], found[1]) if node.output_count > 1 else found[0]

    return run


def first_of_order(
    x: torch.Tensor, k: torch.Tensor | tuple[int, ...], axis: int, largest: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sorts stably, so that the result does not depend on torch's selection, and keeps the first k."""
    (count,) = listed(k)
    values, indices = torch.sort(x, dim=axis, descending=largest, stable=True)
    return values.narrow(axis, 0, count), indices.narrow(axis, 0, count)


@operator("ArgMax", "ArgMin")
def argument(node: Node) -> Function:
    """Builds the index of the largest or smallest value along an axis, the first or the last of equals."""
    find = torch.argmax if node.op == "ArgMax" else torch.argmin
    axis, keep = node.attribute("axis", 0), bool(node.attribute("keepdims", 1))
    if node.attribute("select_last_index", 0):
        return lambda x: x.shape[axis] - 1 - find(x.flip(axis), axis, keepdim=keep)
    return lambda x: find(x, axis, keepdim=keep)


@operator("NonZero")
def non_zero(node: Node) -> Function:
    """Builds the indices of the elements that are not zero, one column each."""
    return lambda x: torch.nonzero(x).t()


torch.fx.wrap("gather_tuples")
torch.fx.wrap("scatter_tuples")
torch.fx.wrap("mark")
torch.fx.wrap("first_of_order")
