"""Constants that are computed when somebody reads them, from constants that may lie in files of any size."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir


def lazy_constant(name: str, dtype: ir.DataType, shape: Sequence[int], compute: Callable[[], np.ndarray]) -> ir.Value:
    """Gives an initialiser (not registered in any graph yet) whose values are computed when they are first read.

    Args:
        name: its name.
        dtype: its element type.
        shape: its extents.
        compute: gives the values, an array of this type and shape; nothing is read before it is called.
    """
    extents = ir.Shape(list(shape))

    def evaluate() -> ir.TensorProtocol:
        array = np.asarray(compute())
        if array.shape != tuple(shape):
            raise ValueError(f"constant '{name}' has shape {list(array.shape)} where {list(shape)} was promised")
        return ir.Tensor(array.astype(dtype.numpy(), copy=False), dtype=dtype, name=name)

    tensor = ir.LazyTensor(evaluate, dtype=dtype, shape=extents, cache=True, name=name)
    return ir.Value(name=name, type=ir.TensorType(dtype), shape=extents, const_value=tensor)
