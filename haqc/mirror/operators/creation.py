"""Operators that make tensors from nothing, from shapes and from bounds."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.fx

from haqc.mirror.node import Function, Node, operator
from haqc.mirror.operators.constant import element_type, listed


@operator("Constant")
def constant(node: Node) -> Function:
    """Builds a constant tensor.

    Raises:
        ModelError: the constant is sparse, or holds strings.
    """
    (name, value), *_ = node.attributes.items()
    kinds = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}
    if name not in ("value", *kinds):
        raise node.refuse(f"is given as {name}, where numbers are supported")
    tensor = torch.from_numpy(np.array(value, kinds.get(name)))
    return lambda: tensor


@operator("ConstantOfShape")
def constant_of_shape(node: Node) -> Function:
    """Builds a tensor of one value, float zero by default."""
    value = node.attribute("value")
    if value is None:
        return lambda shape: filled(shape, 0.0, torch.float32)
    kind = torch.from_numpy(value.reshape(-1).copy()).dtype
    number = value.reshape(-1)[0].item()
    return lambda shape: filled(shape, number, kind)


def filled(shape: torch.Tensor, number: float, kind: torch.dtype) -> torch.Tensor:
    """Fills a shape with one number of a type."""
    return torch.full(listed(shape), number, dtype=kind, device=shape.device)


@operator("Range")
def range_(node: Node) -> Function:
    """Builds numbers from a start towards a limit, which is left out."""

    def run(start: torch.Tensor, limit: torch.Tensor, delta: torch.Tensor) -> torch.Tensor:
        return counted(start, limit, delta)

    return run


def counted(start: torch.Tensor, limit: torch.Tensor, delta: torch.Tensor) -> torch.Tensor:
    """Counts from ``start`` in steps of ``delta`` while short of ``limit``."""
    count = max(math.ceil((limit.item() - start.item()) / delta.item()), 0)
    return start + torch.arange(count, dtype=start.dtype, device=start.device) * delta


@operator("EyeLike")
def eye_like(node: Node) -> Function:
    """Builds ones on one diagonal of a matrix as large as the input."""
    code, diagonal = node.attribute("dtype"), node.attribute("k", 0)
    kind = None if code is None else element_type(node, code)
    return lambda x: diagonal_like(x, kind, diagonal)


def diagonal_like(x: torch.Tensor, kind: torch.dtype | None, diagonal: int) -> torch.Tensor:
    """Puts ones where the column is ``diagonal`` to the right of the row."""
    rows = torch.arange(x.shape[0], device=x.device).unsqueeze(1)
    columns = torch.arange(x.shape[1], device=x.device)
    return (columns - rows == diagonal).to(kind or x.dtype)


torch.fx.wrap("filled")
torch.fx.wrap("counted")
torch.fx.wrap("diagonal_like")
