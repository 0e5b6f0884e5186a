"""Tensors of ONNX files as torch tensors and back."""

from __future__ import annotations

import re
from collections.abc import Container

import numpy as np
import onnx_ir as ir
import torch

from haqc.mirror.operators.constant import ELEMENT_TYPES

_BY_BITS = {
    ir.DataType.BFLOAT16: torch.bfloat16,
    ir.DataType.FLOAT8E4M3FN: torch.float8_e4m3fn,
    ir.DataType.FLOAT8E4M3FNUZ: torch.float8_e4m3fnuz,
    ir.DataType.FLOAT8E5M2: torch.float8_e5m2,
    ir.DataType.FLOAT8E5M2FNUZ: torch.float8_e5m2fnuz,
}
"""Types that numpy lacks and torch has: their bits are taken over."""

_WIDENED = {
    ir.DataType.INT2: np.int8,
    ir.DataType.INT4: np.int8,
    ir.DataType.UINT2: np.uint8,
    ir.DataType.UINT4: np.uint8,
}
"""Types of less than a byte: their values are taken over, a byte each."""


def torch_tensor(tensor: ir.TensorProtocol) -> torch.Tensor | None:
    """Gives a copy of a tensor; ``None`` when torch has no such type, as for strings."""
    array = np.array(tensor.numpy())
    if tensor.dtype in _BY_BITS:
        bits = array.view(np.uint8 if array.dtype.itemsize == 1 else np.int16)
        return torch.from_numpy(bits).view(_BY_BITS[tensor.dtype])
    try:
        return torch.from_numpy(array.astype(_WIDENED.get(tensor.dtype, array.dtype), copy=False))
    except TypeError:
        return None


def onnx_tensor(tensor: torch.Tensor, dtype: ir.DataType, name: str) -> ir.TensorProtocol:
    """Gives a floating-point tensor in the type that the file stores it in."""
    kept = tensor.detach().cpu()
    if dtype in _BY_BITS:
        return ir.tensor(kept.to(_BY_BITS[dtype]), name=name)
    return ir.Tensor(kept.to(ELEMENT_TYPES[dtype.value]).numpy().copy(), dtype=dtype, name=name)


def torch_type(dtype: ir.DataType | None) -> torch.dtype | None:
    """Gives the torch type of an ONNX type; ``None`` when torch has none, or when the type is unknown."""
    return None if dtype is None else ELEMENT_TYPES.get(dtype.value, _BY_BITS.get(dtype))


def legal_name(name: str, taken: Container[str]) -> str:
    """Gives a tensor's name as an attribute of a module: other characters become ``_``, and a number keeps it unique.

    >>> legal_name("layer1.0/conv.weight", [])
    'layer1_0_conv_weight'
    >>> legal_name("0", ["_0"])
    '_0_2'
    """
    legal = re.sub(r"\W", "_", name, flags=re.ASCII) or "_"
    legal = f"_{legal}" if legal[0].isdigit() else legal
    unique, count = legal, 1
    while unique in taken:
        count += 1
        unique = f"{legal}_{count}"
    return unique
