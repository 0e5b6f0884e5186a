"""Shape arithmetic on Python integers.

What is computed from shapes stays a Python integer (rank 0) or a tuple of them (rank 1) all the way to the Reshape that
reads it. So torch.compile and torch.export see sizes instead of tensors whose values they cannot know, and a batch of
any size may pass. Which values travel so is settled while building.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.fx

from haqc.mirror.integers import Number, Value, computed, device_of
from haqc.mirror.node import Node
from haqc.mirror.operators.constant import ELEMENT_TYPES
from haqc.mirror.step import Function


@dataclass(frozen=True, slots=True)
class Whole:
    """That a value travels as Python integers: its rank, 0 or 1, and the type that it would have as a tensor."""

    rank: int
    dtype: torch.dtype


@dataclass(frozen=True, slots=True)
class Form:
    """A node on Python integers: its function, and what it gives; ``None`` for a tensor."""

    function: Function
    result: Whole | None


LISTED: dict[str, tuple[int, ...]] = {
    "CumSum": (1,),
    "Expand": (1,),
    "OneHot": (1,),
    "Pad": (1, 3),
    "Reshape": (1,),
    "Resize": (3,),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "Tile": (1,),
    "TopK": (1,),
    "Unsqueeze": (1,),
}
"""Inputs that the functions of tensor operators take as sequences of integers as well."""

PLAIN: dict[str, tuple[int, ...]] = {"If": (0,), "Loop": (0, 1)}
"""Inputs that they take as a number."""

_INTEGERS = (torch.int64, torch.int32)


def known(constant: np.ndarray | None) -> Value | None:
    """Gives a constant as Python integers; ``None`` when it is not there, no integer, or of higher rank."""
    if constant is None or constant.dtype.kind not in "ib" or constant.ndim > 1:
        return None
    return tuple(constant.tolist()) if constant.ndim else constant.item()


def form_of(node: Node, kinds: Sequence[Whole | None], output_rank: int | None) -> Form | None:
    """Gives the form of a node on Python integers; ``None`` where it works on tensors.

    Args:
        node: the node.
        kinds: one entry per input: what it travels as; ``None`` for tensors.
        output_rank: how many axes the output has, if that is known.
    """
    if node.domain or node.output_count != 1:
        return None
    if node.op == "Shape":
        return _form(node, (node.attribute("start", 0), node.attribute("end")), [None], Whole(1, torch.int64))
    if node.op == "Size":
        return _form(node, (), [None], Whole(0, torch.int64))
    if not any(kinds):
        return None
    values = [known(constant) for constant in node.constants]
    given = [index for index in range(len(kinds)) if node.has(index)]
    if any(kinds[index] is None and values[index] is None for index in given):
        return None
    operands = [
        kind or (Whole(int(isinstance(value, tuple)), torch.int64) if value is not None else None)
        for kind, value in zip(kinds, values, strict=True)
    ]
    settled = _settle(node, operands, values, output_rank)
    return None if settled is None else _form(node, settled[0], values, settled[1])


def _form(node: Node, options: tuple[Any, ...], values: Sequence[Value | None], result: Whole | None) -> Form:
    op, fixed = node.op, tuple(values)

    def run(*inputs: Any) -> Any:
        own = [x if value is None else value for x, value in zip(inputs, fixed, strict=False)]
        return (computed(op, options, *own, *inputs[len(fixed) :]),)  # one output, which may be a tuple itself

    return Form(run, result)


def _settle(
    node: Node, operands: Sequence[Whole | None], values: Sequence[Value | None], output_rank: int | None
) -> tuple[tuple[Any, ...], Whole | None] | None:
    """Decides what a node gives, and which options its function needs; ``None`` where it must work on tensors."""
    first = next(operand for operand in operands if operand is not None)
    rank = max(operand.rank for operand in operands if operand is not None)
    kind = next(
        (kind.dtype for kind, value in zip(operands, values, strict=True) if kind and value is None), first.dtype
    )
    match node.op:
        case "Identity":
            return (), first
        case "Add" | "Sub" | "Mul" | "Div" | "Min" | "Max" | "Neg" | "Abs":
            return (), Whole(rank, kind)
        case "Mod" if not node.attribute("fmod", 0):
            return (), Whole(rank, kind)
        case "Equal" | "Less" | "LessOrEqual" | "Greater" | "GreaterOrEqual" | "And" | "Or" | "Not":
            return (), Whole(rank, torch.bool)
        case "Where":
            picked = operands[1] if values[1] is None else operands[2]
            return (), Whole(rank, picked.dtype if picked else kind)
        case "Cast" if ELEMENT_TYPES.get(node.attribute("to")) in (*_INTEGERS, torch.bool):
            target = ELEMENT_TYPES[node.attribute("to")]
            return (target == torch.bool,), Whole(rank, target)
        case "Gather" if first.rank == 1 and operands[1] is not None:
            return (), Whole(operands[1].rank, first.dtype)
        case "Slice" if first.rank == 1:
            return (), first
        case "Concat" if all(operand is not None and operand.rank == 1 for operand in operands):
            return (), Whole(1, kind)
        case "Unsqueeze" if first.rank == 0 and isinstance(values[1], tuple) and len(values[1]) == 1:
            return (1,), Whole(1, first.dtype)
        case "Squeeze" if first.rank == 1 and node.has(1):
            return (0,), Whole(0, first.dtype)
        case "Reshape" if isinstance(values[1], tuple) and len(values[1]) < 2 and values[1] != (0,):
            return (len(values[1]),), Whole(len(values[1]), first.dtype)
        case "ReduceProd" | "ReduceSum" | "ReduceMax" | "ReduceMin" if first.rank == 1 and not _keeps_all(node):
            keeps = int(node.attribute("keepdims", 1))
            return (keeps,), Whole(keeps, first.dtype)
        case "ConstantOfShape":
            filler = node.attribute("value")
            number = 0.0 if filler is None else filler.reshape(-1)[0].item()
            dtype = torch.float32 if filler is None else torch.from_numpy(filler.reshape(-1).copy()).dtype
            is_vector = output_rank == 1 and dtype in _INTEGERS
            return (number, dtype, is_vector), Whole(1, dtype) if is_vector else None
        case "Range":
            return (kind,), None
    return None


def _keeps_all(node: Node) -> bool:
    """Whether a reduction is over no axis."""
    return bool(node.attribute("noop_with_empty_axes", 0)) and not node.has(1)


def admitted(function: Function, node: Node, kinds: Sequence[Whole | None]) -> Function:
    """Makes a function of tensors take Python integers where inputs travel so.

    The last input of what it gives is a tensor on the device that tensors are to be made on.
    """
    listed, plain = LISTED.get(node.op, ()), PLAIN.get(node.op, ())
    if node.domain:
        listed = plain = ()
    ways = tuple(
        None if kind is None or index in plain else sequence_of if index in listed else made_tensor(kind.dtype)
        for index, kind in enumerate(kinds)
    )

    def run(*inputs: Any) -> Any:
        *own, like = inputs
        ready = [x if way is None else way(x, like) for x, way in zip(own, ways, strict=False)]
        return function(*ready, *own[len(ways) :])

    return run


def sequence_of(x: Value, like: torch.Tensor | None) -> tuple[Number, ...]:
    """Gives integers as a tuple."""
    return sequence(x)


def sequence(x: Value) -> tuple[Number, ...]:
    """Gives integers as a tuple, where a proxy of torch.fx stands for them too."""
    return x if isinstance(x, tuple) else (x,)


def tensor_of(x: Value, dtype: torch.dtype, like: torch.Tensor | None) -> torch.Tensor:
    """Gives Python integers as the tensor that they stand for, where another one is."""
    return torch.tensor(x, dtype=dtype, device=device_of(like))


def made_tensor(dtype: torch.dtype) -> Function:
    """Builds :func:`tensor_of` a type."""
    return lambda x, like: tensor_of(x, dtype, like)


torch.fx.wrap("computed")
torch.fx.wrap("sequence")
torch.fx.wrap("tensor_of")
