"""Values of inputs that are known while building, as plain Python numbers."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from haqc.mirror.node import Node

Integers = torch.Tensor | Sequence[int]
"""Integers of an input: a run-time tensor, or plain numbers where they are known while building."""

ELEMENT_TYPES: dict[int, torch.dtype] = {
    1: torch.float32,
    2: torch.uint8,
    3: torch.int8,
    4: torch.uint16,
    5: torch.int16,
    6: torch.int32,
    7: torch.int64,
    9: torch.bool,
    10: torch.float16,
    11: torch.float64,
    12: torch.uint32,
    13: torch.uint64,
    16: torch.bfloat16,
}
"""Torch types by the numbers of onnx.proto's ``TensorProto.DataType``."""


def integers(node: Node, index: int) -> tuple[int, ...] | None:
    """Gives the integers of a constant input, flattened; ``None`` when it is absent or known only at run time."""
    value = node.constant(index)
    return None if value is None else tuple(int(item) for item in value.reshape(-1))


def number(node: Node, index: int) -> float | int | None:
    """Gives a constant input of one element; ``None`` when it is absent or known only at run time."""
    value = node.constant(index)
    if value is None:
        return None
    if value.size != 1:
        raise node.refuse(f"needs one value as input {index}, not {value.size}")
    item: float | int = value.reshape(-1)[0].item()
    return item


def listed(values: Integers) -> list[int]:
    """Gives integers as a list; a tensor is read, so call it inside a leaf of tracing only."""
    if isinstance(values, torch.Tensor):
        return [int(item) for item in values.reshape(-1).tolist()]
    return list(values)


def element_type(node: Node, code: int) -> torch.dtype:
    """Gives the torch type of an ONNX element type.

    Raises:
        ModelError: torch has no such type (strings, 4-bit and 8-bit floats, ...).
    """
    if code not in ELEMENT_TYPES:
        raise node.refuse(f"asks for element type {code}, which has no torch counterpart")
    return ELEMENT_TYPES[code]
