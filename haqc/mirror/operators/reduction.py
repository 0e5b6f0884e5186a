"""Reductions over axes, running sums and running products."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.fx

from haqc.mirror.node import Function, Node, operator
from haqc.mirror.operators.axis import at_axis
from haqc.mirror.operators.constant import integers, listed

Axes = tuple[int, ...]


def sum_over(x: torch.Tensor, axes: Axes, keep: bool) -> torch.Tensor:
    """Sums in the input's own type; torch alone would widen integers.

    A method, as in :func:`product_over`: torch 2.6 does not trace the function, for its type is a traced value.
    """
    return x.sum(axes, keepdim=keep, dtype=x.dtype)


def product_over(x: torch.Tensor, axes: Axes, keep: bool) -> torch.Tensor:
    """Multiplies over several axes, which torch does one at a time."""
    for axis in axes:
        x = x.prod(axis, keepdim=True, dtype=x.dtype)
    return x if keep else x.squeeze(axes)


def norm_over(x: torch.Tensor, axes: Axes, keep: bool) -> torch.Tensor:
    """Takes the Euclidean norm; its gradient at zero is zero, not infinite."""
    norm: torch.Tensor = torch.linalg.vector_norm(x, 2, axes, keepdim=keep)
    return norm


def lowest(kind: torch.dtype) -> float | int:
    """Gives what no value of a type lies below."""
    if kind == torch.bool:
        return False
    return -math.inf if kind.is_floating_point else torch.iinfo(kind).min


def highest(kind: torch.dtype) -> float | int:
    """Gives what no value of a type lies above."""
    if kind == torch.bool:
        return True
    return math.inf if kind.is_floating_point else torch.iinfo(kind).max


def largest_over(x: torch.Tensor, axes: Axes, keep: bool) -> torch.Tensor:
    """Takes the largest value; that of nothing is the least that the type has."""
    if any(x.shape[axis] == 0 for axis in axes):
        return torch.full_like(sum_over(x, axes, keep), lowest(x.dtype))
    return torch.amax(x, axes, keepdim=keep)


def smallest_over(x: torch.Tensor, axes: Axes, keep: bool) -> torch.Tensor:
    """Takes the smallest value; that of nothing is the largest that the type has."""
    if any(x.shape[axis] == 0 for axis in axes):
        return torch.full_like(sum_over(x, axes, keep), highest(x.dtype))
    return torch.amin(x, axes, keepdim=keep)


REDUCTIONS: dict[str, Callable[[torch.Tensor, Axes, bool], torch.Tensor]] = {
    "ReduceMean": lambda x, axes, keep: torch.mean(x, axes, keepdim=keep),
    "ReduceSum": sum_over,
    "ReduceMax": largest_over,
    "ReduceMin": smallest_over,
    "ReduceProd": product_over,
    "ReduceL1": lambda x, axes, keep: sum_over(torch.abs(x), axes, keep),
    "ReduceL2": norm_over,
    "ReduceLogSum": lambda x, axes, keep: torch.log(sum_over(x, axes, keep)),
    "ReduceLogSumExp": lambda x, axes, keep: torch.logsumexp(x, axes, keepdim=keep),
    "ReduceSumSquare": lambda x, axes, keep: sum_over(x * x, axes, keep),
}

EXTREMES = (largest_over, smallest_over)
"""Reductions that look at extents, and must be leaves of tracing."""

UNREDUCED: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "ReduceL1": torch.abs,
    "ReduceL2": torch.abs,
    "ReduceLogSum": torch.log,
    "ReduceSumSquare": torch.square,
}
"""What is left of a reduction over no axis at all, where that is not the input itself."""


@operator(*REDUCTIONS)
def reduce(node: Node) -> Function:
    """Builds a reduction over the given axes, or over all."""
    function, axes, keep = REDUCTIONS[node.op], integers(node, 1), bool(node.attribute("keepdims", 1))
    whole_if_none = bool(node.attribute("noop_with_empty_axes", 0))
    if node.has(1) and axes is None:
        return lambda x, wanted: reduce_over(x, wanted, node.op, keep, whole_if_none)
    if axes and function in EXTREMES:
        return lambda x, *inputs: reduce_axes(x, axes, node.op, keep)
    if axes:
        return lambda x, *inputs: function(x, axes, keep)
    if whole_if_none:
        whole = UNREDUCED.get(node.op, torch.clone)
        return lambda x, *inputs: whole(x)
    return lambda x, *inputs: reduce_all(x, node.op, keep)


def reduce_axes(x: torch.Tensor, axes: Axes, op: str, keep: bool) -> torch.Tensor:
    """Reduces over the given axes."""
    return REDUCTIONS[op](x, axes, keep)


def reduce_all(x: torch.Tensor, op: str, keep: bool) -> torch.Tensor:
    """Reduces over every axis."""
    return REDUCTIONS[op](x, tuple(range(x.dim())), keep)


def reduce_over(x: torch.Tensor, axes: torch.Tensor, op: str, keep: bool, whole_if_none: bool) -> torch.Tensor:
    """Reduces over axes that are computed at run time; none of them is all, or leaves ``x`` whole."""
    over = tuple(axis % x.dim() for axis in listed(axes))
    if over or not whole_if_none:
        return REDUCTIONS[op](x, over or tuple(range(x.dim())), keep)
    return UNREDUCED.get(op, torch.clone)(x)


@operator("CumSum", "CumProd")
def cumulative(node: Node) -> Function:
    """Builds the running sum or product along an axis, from either end, with or without the element itself."""
    known = integers(node, 1)
    reverse, exclusive = bool(node.attribute("reverse", 0)), bool(node.attribute("exclusive", 0))
    is_sum = node.op == "CumSum"
    return lambda x, axis: accumulate(x, axis if known is None else known, is_sum, reverse, exclusive)


def accumulate(
    x: torch.Tensor, axis: torch.Tensor | Axes, is_sum: bool, reverse: bool, exclusive: bool
) -> torch.Tensor:
    """Sums up or multiplies along an axis, in the input's own type."""
    (along,) = listed(axis)
    x = x.flip(along) if reverse else x
    total = (torch.cumsum if is_sum else torch.cumprod)(x, along, dtype=x.dtype)
    if exclusive:
        head = torch.full_like(x[at_axis(along, slice(0, 1))], 0 if is_sum else 1)
        total = torch.cat([head, total[at_axis(along, slice(0, -1))]], along)
    return total.flip(along) if reverse else total


for _leaf in ("reduce_axes", "reduce_all", "reduce_over", "accumulate"):
    torch.fx.wrap(_leaf)
