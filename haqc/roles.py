"""What a model does with its inputs, read off the graph, so that inputs can be made up that it can run on."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from haqc.data.synthetic import Role

_PASSING = frozenset(
    {"Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Transpose", "Expand", "Slice", "Concat",
     "Split", "Tile", "Pad", "Clip", "Where"}
)  # fmt: skip
"""Operators behind which a value is still the input's own."""

_MASKING = frozenset({"Not", "Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual", "And", "Or", "Sub", "Mul"})
"""Operators that masks go through besides, on their way to a Softmax or a Where."""

_BYTES = (ir.DataType.UINT8, ir.DataType.INT8)
_LARGE = 1e3
"""A factor of at least this magnitude hides what it is added to."""

_MOST_CLASSES = 1 << 20
"""Numbers that a value is compared with are read up to so many."""


def roles(bound: ir.Model) -> dict[str, Role]:
    """Tells what each input is read as.

    An input of whole numbers is an index if it picks rows of a table (Gather, through casts, reshapes and added
    constants) or is compared with 0, 1, 2 and so on, and any other one is a mask. An input of floats is a mask if it is
    multiplied by a number of at least 1,000, or chooses in a Where, or is added right before a Softmax, or if products
    with it are divided by its sum; else it is data. Bytes with at least three axes that pick nothing are data as well.

    Args:
        bound: a cleaned model in which every shape is a number.
    """
    return {str(value.name): _role(value) for value in bound.graph.inputs}


def _role(value: ir.Value) -> Role:
    is_float = value.dtype is None or value.dtype.is_floating_point()
    limit = None if is_float else _limit(value)
    if limit is not None:
        return Role("index", limit)
    if value.dtype in _BYTES and value.shape is not None and len(value.shape) >= 3:
        return Role()
    return Role("mask") if not is_float or _is_mask(value) or _weighs_a_mean(value) else Role()


def _limit(value: ir.Value) -> int | None:
    """Gives the number of values an index may take: rows of the smallest table it picks from."""
    limits = []
    pending, seen = [(value, 0)], {(value, 0)}
    while pending:
        current, offset = pending.pop()
        for node, place in current.uses():
            if node.op_type == "Gather" and place == 1 and node.inputs[0] is not None:
                rows = _rows(node)
                limits += [] if rows is None else [rows - offset]
            elif node.op_type == "OneHot" and place == 0 and node.inputs[1] is not None:
                depth = _number(node.inputs[1])
                limits += [] if depth is None else [int(depth) - offset]
            elif node.op_type == "Equal" and (classes := _classes(node, place)) is not None:
                limits.append(classes - offset)
            else:
                added = _added(node, place)
                if added is not None:
                    found = [
                        (output, offset + added) for output in node.outputs if (output, offset + added) not in seen
                    ]
                    seen.update(found)
                    pending += found
    return max(1, min(limits)) if limits else None


def _rows(node: ir.Node) -> int | None:
    table = node.inputs[0]
    assert table is not None
    shape = table.const_value.shape if table.const_value is not None else table.shape
    attribute = node.attributes.get("axis")
    axis = 0 if attribute is None else attribute.as_int()
    if shape is None or not -len(shape) <= axis < len(shape):
        return None
    extent = shape[axis]
    return extent if isinstance(extent, int) else None


def _classes(node: ir.Node, place: int) -> int | None:
    """Gives how many numbers, from 0 on, a value is compared with: some exporters write a OneHot so."""
    other = node.inputs[1 - place]
    tensor = None if other is None else other.const_value
    if tensor is None or not 1 < tensor.size <= _MOST_CLASSES:
        return None
    numbers = tensor.numpy().reshape(-1)
    return len(numbers) if np.array_equal(numbers, np.arange(len(numbers))) else None


def _added(node: ir.Node, place: int) -> int | None:
    """Gives what a node adds to a value that it hands on, or ``None`` when it makes something else of it."""
    if node.op_type in _PASSING and (place == 0 or node.op_type in ("Concat", "Where")):
        return 0
    if node.op_type not in ("Add", "Sub") or (node.op_type == "Sub" and place == 1):
        return None
    other = node.inputs[1 - place]
    number = None if other is None else _number(other)
    return None if number is None else int(number) * (1 if node.op_type == "Add" else -1)


def _is_mask(value: ir.Value) -> bool:
    pending, seen = [value], {value}
    while pending:
        current = pending.pop()
        for node, place in current.uses():
            if _hides(node, place):
                return True
            if node.op_type in _MASKING or (node.op_type in _PASSING and place == 0):
                found = [output for output in node.outputs if output not in seen]
                seen.update(found)
                pending += found
    return False


def _weighs_a_mean(value: ir.Value) -> bool:
    """Whether a value is multiplied with another, and divides by its own sum: the mask of a mean over some places."""
    operators: set[tuple[str, int]] = set()
    pending, seen = [value], {value}
    while pending:
        current = pending.pop()
        for node, place in current.uses():
            operators.add((node.op_type, place))
            if node.op_type in ("ReduceSum", "Max") or (node.op_type in _PASSING and place == 0):
                pending += [output for output in node.outputs if output not in seen]
                seen.update(node.outputs)
    return {("ReduceSum", 0), ("Div", 1)} <= operators and bool({("Mul", 0), ("Mul", 1)} & operators)


def _hides(node: ir.Node, place: int) -> bool:
    if node.op_type == "Where":
        return place == 0
    if node.op_type == "Mul":
        other = node.inputs[1 - place]
        number = None if other is None else _number(other)
        return number is not None and abs(number) >= _LARGE
    return node.op_type == "Add" and any(reader.op_type == "Softmax" for reader, _ in node.outputs[0].uses())


def _number(value: ir.Value) -> float | None:
    """Gives the value of a constant of one element."""
    tensor = value.const_value
    return float(tensor.numpy().reshape(-1)[0]) if tensor is not None and tensor.size == 1 else None
