"""Operators that order values, and find where they are."""

from __future__ import annotations

import torch
import torch.fx

from haqc.mirror.node import Function, Node, operator
from haqc.mirror.operators.constant import integers, listed


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


@operator("Unique")
def unique(node: Node) -> Function:
    """Builds the distinct values, or slices along an axis, with first positions, inverse and counts.

    They stand in ascending order, or in that of their first appearance where ``sorted`` is zero.
    """
    axis, ascending, count = node.attribute("axis"), bool(node.attribute("sorted", 1)), node.output_count

    def run(x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        found = distinct(x, axis, ascending)
        return tuple(found[index] for index in range(count)) if count > 1 else found[0]

    return run


def distinct(x: torch.Tensor, axis: int | None, ascending: bool) -> tuple[torch.Tensor, ...]:
    """Gives distinct values, the position where each comes first, the value of each position, and counts."""
    whole = x.reshape(-1) if axis is None else x
    along = 0 if axis is None else axis % x.dim()
    # The gradient goes through a selection by first positions; torch's own unique has none.
    _, inverse, counts = torch.unique(whole.detach(), return_inverse=True, return_counts=True, dim=along)
    size = inverse.numel()
    first = torch.full_like(counts, size)
    first = first.scatter_reduce(0, inverse, torch.arange(size, device=x.device), "amin")
    if not ascending:
        order = torch.argsort(first)
        first, counts = first[order], counts[order]
        inverse = torch.argsort(order)[inverse]
    return whole.index_select(along, first), first, inverse, counts


torch.fx.wrap("first_of_order")
torch.fx.wrap("distinct")
