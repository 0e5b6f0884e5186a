"""Computes one node on known values by ONNX's reference implementation, where the result is small."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from onnx.reference import ops

LARGEST_INTEGERS = 1 << 16
"""Integers and truth values that one output may hold."""

LARGEST_FLOATS = 16
"""Floats that one vector may hold, given or computed: scales and sizes of feature maps. All others are data."""

_NOT_FOLDED = frozenset({"RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial", "Dropout"})
"""Operators that give something else each time."""


def evaluate(node: ir.Node, opset: int, inputs: Sequence[np.ndarray | None]) -> tuple[np.ndarray, ...] | None:
    """Gives a node's outputs, or ``None`` when they are not known, too large, or computed from data.

    Args:
        node: the node; the shapes of its outputs have been inferred, for nothing is computed of unknown size.
        opset: version of its domain.
        inputs: values of all its inputs; not read for ``Shape`` and ``Size``, which need a shape alone.
    """
    if node.domain or not all(_is_small(value) for value in node.outputs) or node.op_type in _NOT_FOLDED:
        return None
    if node.op_type in ("Shape", "Size"):
        return _of_shape(node)
    if not inputs or not all(value is None or _is_small(value) for value in node.inputs):
        return None  # without inputs it is random; a constant is a constant already
    attributes = {name: _plain(attribute) for name, attribute in node.attributes.items()}
    if any(value is NotImplemented for value in attributes.values()):
        return None
    try:
        operator = ops.load_op("", node.op_type, opset)
        with np.errstate(all="ignore"):
            result = operator.eval(*inputs, n_outputs=len(node.outputs), **attributes)
    except Exception:  # the reference raises what it likes on what it cannot compute
        return None
    results = result if isinstance(result, tuple) else (result,)
    arrays = tuple(np.asarray(entry) for entry in results)
    fits = [_fits(array, value) for array, value in zip(arrays, node.outputs, strict=False)]
    return arrays if len(fits) == len(node.outputs) and all(fits) else None


def _of_shape(node: ir.Node) -> tuple[np.ndarray, ...] | None:
    source = node.inputs[0]
    shape = None if source is None else source.shape
    if shape is None or not all(isinstance(axis, int) for axis in shape):
        return None
    extents = [int(str(axis)) for axis in shape]
    if node.op_type == "Size":
        return (np.array(math.prod(extents), np.int64),)
    start, end = node.attributes.get("start"), node.attributes.get("end")
    first, last = (None if bound is None else bound.as_int() for bound in (start, end))
    return (np.array(extents[first:last], np.int64),)


def _is_small(value: ir.Value) -> bool:
    """Whether a value is certain to be of a size and a type that is computed."""
    if value.dtype is None or value.shape is None or not all(isinstance(axis, int) for axis in value.shape):
        return False
    count = math.prod(int(str(axis)) for axis in value.shape)
    if value.dtype.is_floating_point():
        return count <= LARGEST_FLOATS and len(value.shape) <= 1
    return count <= LARGEST_INTEGERS and (value.dtype.is_integer() or value.dtype == ir.DataType.BOOL)


def _fits(array: np.ndarray, value: ir.Value) -> bool:
    assert value.dtype is not None and value.shape is not None
    return array.dtype == value.dtype.numpy() and array.shape == tuple(value.shape)


def _plain(attribute: ir.Attr) -> Any:
    """Gives an attribute as the reference takes it, or ``NotImplemented`` for a graph."""
    if attribute.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS):
        return NotImplemented
    if attribute.type == ir.AttributeType.TENSOR:
        return attribute.as_tensor().numpy()
    return list(attribute.value) if isinstance(attribute.value, tuple) else attribute.value
