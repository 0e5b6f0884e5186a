"""What shape arithmetic computes: operators on Python integers (rank 0) and tuples of them (rank 1)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.fx

Number = int | bool
Value = Number | tuple[Number, ...]


def computed(op: str, options: tuple[Any, ...], *operands: Any) -> Any:
    """Computes an operator on Python integers."""
    return _COMPUTED[op](options, *operands)


def _each(function: Callable[..., Number]) -> Callable[..., Value]:
    """Makes a function of numbers one of numbers and tuples, which broadcast."""

    def run(options: tuple[Any, ...], *operands: Value) -> Value:
        lengths = [len(operand) for operand in operands if isinstance(operand, tuple)]
        if not lengths:
            return function(*operands)
        length = next((length for length in lengths if length != 1), 1)
        columns = [
            operand if isinstance(operand, tuple) and len(operand) == length else _repeated(operand, length)
            for operand in operands
        ]
        return tuple(function(*items) for items in zip(*columns, strict=True))

    return run


def _repeated(operand: Value, length: int) -> tuple[Number, ...]:
    return (operand[0] if isinstance(operand, tuple) else operand,) * length


def _quotient(a: int, b: int) -> int:
    """Divides and drops the fraction."""
    return a // b if (a >= 0) == (b >= 0) else -(abs(a) // abs(b))


def _integer(x: Number) -> int:
    return int(x) if isinstance(x, bool) else x


def _kept(options: tuple[int, ...], number: int) -> Value:
    return (number,) if options[0] else number


def _shape(options: tuple[int, int | None], x: Any) -> tuple[int, ...]:
    start, end = options
    if isinstance(x, torch.Tensor):
        return tuple(x.shape)[start:end]
    return ((len(x),) if isinstance(x, tuple) else ())[start:end]


def _size(options: tuple[()], x: Any) -> int:
    if isinstance(x, torch.Tensor):
        return math.prod(x.shape)
    return len(x) if isinstance(x, tuple) else 1


def _gather(options: tuple[()], data: tuple[int, ...], indices: Value) -> Value:
    return tuple(data[index] for index in indices) if isinstance(indices, tuple) else data[indices]


def _slice(
    options: tuple[()],
    data: tuple[int, ...],
    starts: tuple[int, ...],
    ends: tuple[int, ...],
    axes: Value | None = None,
    steps: tuple[int, ...] | None = None,
) -> tuple[int, ...]:
    step = steps[0] if steps else 1
    # Going down from before the start, ONNX still takes the first, unlike Python.
    start = max(starts[0], -len(data)) if step < 0 else starts[0]
    return data[start : ends[0] : step]


def _ranked(options: tuple[int], x: Value, *others: Value) -> Value:
    """Gives a number as a tuple, or a tuple of one as a number."""
    if options[0]:
        return x if isinstance(x, tuple) else (x,)
    return x[0] if isinstance(x, tuple) else x


def _filled(options: tuple[float, torch.dtype, bool], shape: tuple[int, ...], like: Any = None) -> Any:
    number, kind, is_vector = options
    if is_vector:
        return (int(number),) * shape[0]
    return torch.full(shape, number, dtype=kind, device=device_of(like))


def _range(options: tuple[torch.dtype], start: int, limit: int, delta: int, like: Any = None) -> torch.Tensor:
    is_empty = limit <= start if delta > 0 else limit >= start
    return torch.arange(start, start if is_empty else limit, delta, dtype=options[0], device=device_of(like))


def device_of(like: Any) -> torch.device | None:
    """Gives the device of a tensor; ``None``, the default one, where there is no tensor."""
    return like.device if isinstance(like, torch.Tensor) else None


_COMPUTED: dict[str, Callable[..., Any]] = {
    "Abs": _each(abs),
    "Add": _each(lambda a, b: a + b),
    "And": _each(lambda a, b: bool(a) and bool(b)),
    "Cast": lambda options, x: _each(bool if options[0] else _integer)((), x),
    "Concat": lambda options, *parts: tuple(item for part in parts for item in part),
    "ConstantOfShape": _filled,
    "Div": _each(_quotient),
    "Equal": _each(lambda a, b: a == b),
    "Gather": _gather,
    "Greater": _each(lambda a, b: a > b),
    "GreaterOrEqual": _each(lambda a, b: a >= b),
    "Identity": lambda options, x: x,
    "Less": _each(lambda a, b: a < b),
    "LessOrEqual": _each(lambda a, b: a <= b),
    "Max": _each(max),
    "Min": _each(min),
    "Mod": _each(lambda a, b: a % b),
    "Mul": _each(lambda a, b: a * b),
    "Neg": _each(lambda a: -a),
    "Not": _each(lambda a: not a),
    "Or": _each(lambda a, b: bool(a) or bool(b)),
    "Range": _range,
    "ReduceMax": lambda options, x, *axes: _kept(options, max(x)),
    "ReduceMin": lambda options, x, *axes: _kept(options, min(x)),
    "ReduceProd": lambda options, x, *axes: _kept(options, math.prod(x)),
    "ReduceSum": lambda options, x, *axes: _kept(options, sum(x)),
    "Reshape": _ranked,
    "Shape": _shape,
    "Size": _size,
    "Slice": _slice,
    "Squeeze": _ranked,
    "Sub": _each(lambda a, b: a - b),
    "Unsqueeze": _ranked,
    "Where": _each(lambda condition, a, b: a if condition else b),
}
