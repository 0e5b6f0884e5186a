"""Operators that write values by index."""

from __future__ import annotations

import torch
import torch.fx

from haqc.mirror.node import Function, Node, operator
from haqc.mirror.operators.indexing import from_start

REDUCTIONS = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}
"""Torch's names of what joins an update with what is there."""


def _reduction(node: Node) -> str:
    """Reads how updates join what is there: empty where they replace it."""
    reduction = node.attribute("reduction", "none")
    if reduction != "none" and reduction not in REDUCTIONS:
        raise node.refuse(f"has reduction '{reduction}', not one of none, {', '.join(REDUCTIONS)}")
    return REDUCTIONS.get(reduction, "")


@operator("ScatterElements")
def scatter_elements(node: Node) -> Function:
    """Builds a copy with one element written, or joined, per index along an axis."""
    axis, reduction = node.attribute("axis", 0), _reduction(node)
    if not reduction:
        return lambda x, indices, updates: x.scatter(axis, from_start(indices, x, axis), updates)
    return lambda x, indices, updates: x.scatter_reduce(axis, from_start(indices, x, axis), updates, reduction)


@operator("ScatterND")
def scatter_nd(node: Node) -> Function:
    """Builds a copy with slices written, or joined, by index tuples."""
    reduction = _reduction(node)
    return lambda x, indices, updates: scatter_tuples(x, indices, updates, reduction)


def scatter_tuples(x: torch.Tensor, indices: torch.Tensor, updates: torch.Tensor, reduction: str) -> torch.Tensor:
    """Writes slices by the index tuples along the last axis of ``indices``."""
    tuples = indices.to(torch.int64).unbind(-1)
    if reduction in ("", "sum"):
        return x.index_put(tuples, updates, accumulate=bool(reduction))
    # The tuples count along the leading axes: with these in one, every update is one row.
    leading = x.shape[: len(tuples)]
    flat = torch.zeros_like(tuples[0])
    for index, length in zip(tuples, leading, strict=True):
        flat = flat * length + torch.where(index < 0, index + length, index)
    rows = x.reshape(leading.numel(), -1)
    where = flat.reshape(-1, 1).expand(-1, rows.shape[1])
    return rows.scatter_reduce(0, where, updates.reshape(where.shape), reduction).reshape(x.shape)


@operator("TensorScatter")
def tensor_scatter(node: Node) -> Function:
    """Builds a cache with new entries written from one position per sample on, round its end where it is circular."""
    axis, mode = node.attribute("axis", -2), node.attribute("mode", "linear")
    if mode not in ("linear", "circular"):
        raise node.refuse(f"has mode '{mode}', not 'linear' or 'circular'")

    def run(cache: torch.Tensor, update: torch.Tensor, start: torch.Tensor | None = None) -> torch.Tensor:
        return write_cache(cache, update, start, axis)

    return run


def write_cache(cache: torch.Tensor, update: torch.Tensor, start: torch.Tensor | None, axis: int) -> torch.Tensor:
    """Writes ``update`` into ``cache`` from ``start[sample]`` on along an axis."""
    along = axis % cache.dim()
    positions = torch.arange(update.shape[along], device=cache.device)
    shape = [1] * cache.dim()
    shape[along] = -1
    positions = positions.reshape(shape)
    if start is not None:
        positions = positions + start.reshape(-1, *[1] * (cache.dim() - 1))
    return cache.scatter(along, (positions % cache.shape[along]).expand(update.shape), update)


torch.fx.wrap("scatter_tuples")
torch.fx.wrap("write_cache")
