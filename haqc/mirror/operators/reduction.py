"""Reductions over axes, and the running sum."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.fx

from haqc.mirror.node import Function, Node, operator
from haqc.mirror.operators.axis import at_axis
from haqc.mirror.operators.constant import integers, listed

Axes = tuple[int, ...]


def sum_over(x: torch.Tensor, axes: Axes, keep: bool) -> torch.Tensor:
    """Sums in the input's own type; torch alone would widen integers."""
    return torch.sum(x, axes, keepdim=keep, dtype=x.dtype)


def product_over(x: torch.Tensor, axes: Axes, keep: bool) -> torch.Tensor:
    """Multiplies over several axes, which torch does one at a time."""
    for axis in axes:
        x = torch.prod(x, axis, keepdim=True, dtype=x.dtype)
    return x if keep else x.squeeze(axes)


def norm_over(x: torch.Tensor, axes: Axes, keep: bool) -> torch.Tensor:
    """Takes the Euclidean norm; its gradient at zero is zero, not infinite."""
    norm: torch.Tensor = torch.linalg.vector_norm(x, 2, axes, keepdim=keep)
    return norm


REDUCTIONS: dict[str, Callable[[torch.Tensor, Axes, bool], torch.Tensor]] = {
    "ReduceMean": lambda x, axes, keep: torch.mean(x, axes, keepdim=keep),
    "ReduceSum": sum_over,
    "ReduceMax": lambda x, axes, keep: torch.amax(x, axes, keepdim=keep),
    "ReduceMin": lambda x, axes, keep: torch.amin(x, axes, keepdim=keep),
    "ReduceProd": product_over,
    "ReduceL1": lambda x, axes, keep: sum_over(torch.abs(x), axes, keep),
    "ReduceL2": norm_over,
    "ReduceLogSum": lambda x, axes, keep: torch.log(sum_over(x, axes, keep)),
    "ReduceLogSumExp": lambda x, axes, keep: torch.logsumexp(x, axes, keepdim=keep),
    "ReduceSumSquare": lambda x, axes, keep: sum_over(x * x, axes, keep),
}

UNREDUCED: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "ReduceL1": torch.abs,
    "ReduceL2": torch.abs,
    "ReduceLogSum": torch.log,
    "ReduceSumSquare": torch.square,
}
"""What is left of a reduction over no axis at all, where that is not the input itself."""


@operator(*REDUCTIONS)
def reduce(node: Node) -> Function:
    """Builds a reduction over the given axes, or over all.

    Raises:
        ModelError: the axes are computed at run time.
    """
    function, axes, keep = REDUCTIONS[node.op], integers(node, 1), bool(node.attribute("keepdims", 1))
    if node.has(1) and axes is None:
        raise node.refuse("has axes that are computed at run time")
    if axes:
        return lambda x, *inputs: function(x, axes, keep)
    if node.attribute("noop_with_empty_axes", 0):
        whole = UNREDUCED.get(node.op, torch.clone)
        return lambda x, *inputs: whole(x)
    return lambda x, *inputs: reduce_all(x, node.op, keep)


def reduce_all(x: torch.Tensor, op: str, keep: bool) -> torch.Tensor:
    """Reduces over every axis."""
    return REDUCTIONS[op](x, tuple(range(x.dim())), keep)


@operator("CumSum")
def cumulative_sum(node: Node) -> Function:
    """Builds the running sum along an axis, from either end, with or without the element itself."""
    known = integers(node, 1)
    reverse, exclusive = bool(node.attribute("reverse", 0)), bool(node.attribute("exclusive", 0))
    return lambda x, axis: running_sum(x, axis if known is None else known, reverse, exclusive)


def running_sum(x: torch.Tensor, axis: torch.Tensor | Axes, reverse: bool, exclusive: bool) -> torch.Tensor:
    """Sums up along an axis."""
    (along,) = listed(axis)
    x = x.flip(along) if reverse else x
    total = torch.cumsum(x, along, dtype=x.dtype)
    if exclusive:
        head = torch.zeros_like(x[at_axis(along, slice(0, 1))])
        total = torch.cat([head, total[at_axis(along, slice(0, -1))]], along)
    return total.flip(along) if reverse else total


torch.fx.wrap("reduce_all")
torch.fx.wrap("running_sum")
