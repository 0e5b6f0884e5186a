"""Axes of tensors whose rank may be unknown while building."""

from __future__ import annotations

from types import EllipsisType

import torch

Item = slice | torch.Tensor | int | EllipsisType


def at_axis(axis: int, item: Item) -> tuple[Item, ...]:
    """Gives the index that applies ``item`` to one axis, counted from either end, and keeps the others.

    >>> at_axis(1, 5)
    (slice(None, None, None), 5)
    >>> at_axis(-2, 5)
    (Ellipsis, 5, slice(None, None, None))
    """
    keep = slice(None)
    if axis < 0:
        return (..., item, *[keep] * (-axis - 1))
    return (*[keep] * axis, item)


def spatial_axes(x: torch.Tensor) -> tuple[int, ...]:
    """Gives the axes behind batch and channels."""
    return tuple(range(2, x.dim()))
