"""Operators on the bits of integers."""

from __future__ import annotations

from collections.abc import Callable

import torch

from haqc.mirror.node import Function, Node, operator
from haqc.mirror.operators.constant import element_type

PLAIN: dict[str, Callable[..., torch.Tensor]] = {
    "BitwiseAnd": torch.bitwise_and,
    "BitwiseOr": torch.bitwise_or,
    "BitwiseXor": torch.bitwise_xor,
    "BitwiseNot": torch.bitwise_not,
}
"""Operators that are one torch function."""


@operator(*PLAIN)
def plain(node: Node) -> Function:
    """Builds a bitwise operator."""
    return PLAIN[node.op]


@operator("BitShift")
def bit_shift(node: Node) -> Function:
    """Builds a shift of unsigned integers to the left or to the right.

    Raises:
        ModelError: the direction is neither.
    """
    direction = node.attribute("direction")
    if direction not in ("LEFT", "RIGHT"):
        raise node.refuse(f"shifts to '{direction}', not to 'LEFT' or 'RIGHT'")
    return torch.bitwise_left_shift if direction == "LEFT" else torch.bitwise_right_shift


@operator("BitCast")
def bit_cast(node: Node) -> Function:
    """Builds the same bits read as another type of the same width."""
    kind = element_type(node, node.attribute("to"))
    return lambda x: x.view(kind)
