"""The grid of a quantiser: what its codes stand for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from haqc.errors import ModelError

_DOMAINS = ("", "ai.onnx", "com.microsoft")


@dataclass(frozen=True)
class Grid:
    """What a QuantizeLinear or DequantizeLinear reads; its grid is one a tensor, a channel or a block of values."""

    data: ir.Value
    scale: ir.Value
    zero_point: ir.Value | None
    axis: int
    block: int

    @classmethod
    def of(cls, node: ir.Node, op_type: str) -> Grid | None:
        """Gives a node's grid, ``None`` if it is not the operator that is asked for."""
        if node.op_type != op_type or node.domain not in _DOMAINS or len(node.inputs) < 2:
            return None
        data, scale = node.inputs[0], node.inputs[1]
        if data is None or scale is None:
            return None
        zero_point = node.inputs[2] if len(node.inputs) > 2 else None
        attributes = node.attributes
        return cls(data, scale, zero_point, attributes.get_int("axis", 1), attributes.get_int("block_size", 0))

    @property
    def is_constant(self) -> bool:
        """Whether scale and zero point are stored."""
        return all(value is None or value.const_value is not None for value in (self.scale, self.zero_point))

    @property
    def scales(self) -> int:
        """How many scales there are; one if that is computed while the model runs."""
        return self.scale.const_value.size if self.scale.const_value is not None else 1


def dequantise(grid: Grid) -> np.ndarray:
    """Computes ``(code - zero point) * scale``, per tensor, per channel, or per block of values.

    Raises:
        ModelError: scale or zero point do not fit the codes.
    """
    assert grid.data.const_value is not None and grid.scale.const_value is not None
    codes, scale = grid.data.const_value.numpy(), grid.scale.const_value.numpy()
    zero = None if grid.zero_point is None or grid.zero_point.const_value is None else grid.zero_point.const_value
    axis = grid.axis % max(codes.ndim, 1)
    exact = np.int64 if grid.data.const_value.dtype.is_integer() else np.float32
    for array in (scale, *(() if zero is None else (zero.numpy(),))):
        if not _fits(array.shape, codes.shape, axis, grid.block):
            raise ModelError(
                f"the codes of tensor '{grid.data.name}' have shape {list(codes.shape)} and a scale or zero point of "
                f"shape {list(array.shape)}; allowed is one for all or one for each place along axis {axis}: export "
                "the model again"
            )
    steps = codes.astype(exact)
    if zero is not None:
        steps = steps - _spread(zero.numpy().astype(exact), codes.shape, axis, grid.block)
    return np.asarray(steps.astype(np.float32) * _spread(scale.astype(np.float32), codes.shape, axis, grid.block))


def _fits(grid: Sequence[int], shape: Sequence[int], axis: int, block: int) -> bool:
    """Whether scales of one shape hold for codes of another."""
    if not block:
        return math.prod(grid) == 1 or (len(shape) > axis and tuple(grid) == (shape[axis],))
    needed = [-(-extent // block) if index == axis else extent for index, extent in enumerate(shape)]
    return list(grid) == needed


def _spread(grid: np.ndarray, shape: Sequence[int], axis: int, block: int) -> np.ndarray:
    """Spreads a grid's scales over the values they hold for."""
    if grid.size == 1 and not block:
        return grid.reshape(())
    if block:
        return np.repeat(grid, block, axis)[tuple(slice(extent) for extent in shape)]
    return grid.reshape([-1 if index == axis else 1 for index in range(len(shape))])


def is_same(one: Grid, other: Grid) -> bool:
    """Whether two grids are equal, so that one undoes the other."""
    if one.block != other.block or (one.scales != 1 and one.axis != other.axis):
        return False
    return _same(one.scale, other.scale) and _same(one.zero_point, other.zero_point)


def _same(one: ir.Value | None, other: ir.Value | None) -> bool:
    if one is other:
        return True
    arrays = [
        None if value is None or value.const_value is None else value.const_value.numpy() for value in (one, other)
    ]
    if arrays[0] is None or arrays[1] is None:  # an absent zero point is zero
        present = next((array for array in arrays if array is not None), None)
        return None in (one, other) and present is not None and not present.any()
    return np.array_equal(arrays[0].reshape(-1), arrays[1].reshape(-1))
