"""Where the channels of a tensor can be scaled without changing what the network computes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir

CURVED = ("Gelu", "Swish", "Mish", "HardSwish", "Elu", "Celu", "Selu", "Softplus")
"""Activation functions that have no bound, and through which no factor passes."""


@dataclass(frozen=True)
class Place:
    """A tensor whose channels, along its last axis, may be divided by factors that its readers take back.

    Attributes:
        tensor: the tensor.
        columns: constants whose last axis makes its channels; they are divided. Without any, a product with the
            inverses of the factors comes behind the tensor, and its readers read that.
        rows: weights of the products that read it, whose first axis are its channels; they are multiplied.
        sums: the sums that read it, and at which place; they read a product with the factors instead.
    """

    tensor: ir.Value
    columns: tuple[ir.Value, ...]
    rows: tuple[ir.Value, ...]
    sums: tuple[tuple[ir.Node, int], ...]


def places(model: ir.Model) -> Iterator[Place]:
    """Yields the places of a cleaned model: behind a LayerNormalization, a MatMul with a bias, or a curved activation.

    What reads such a tensor are products with constant matrices and sums, at least one of them, and behind an
    activation only products; other readers rule it out, and so do constants with several readers.
    """
    for node in model.graph:
        columns, is_curved = _columns(node), _is_curved(node)
        if (columns or is_curved) and not node.outputs[0].is_graph_output():
            place = _place(node.outputs[0], columns)
            if place is not None and not (is_curved and place.sums):
                yield place


def _columns(node: ir.Node) -> tuple[ir.Value, ...]:
    """Gives the constants that make the channels of a node's result, none where something else does too."""
    if node.domain:
        return ()
    found: tuple[ir.Value | None, ...] = ()
    if node.op_type == "LayerNormalization" and len(node.outputs) == 1:
        found = tuple(node.inputs[1:])
    elif node.op_type == "Add":
        producers = [value.producer() if value is not None else None for value in node.inputs]
        for product, bias in zip(producers, reversed(node.inputs), strict=True):
            if product is not None and product.op_type == "MatMul" and len(product.outputs[0].uses()) == 1:
                found = (product.inputs[1], bias)
    constants = tuple(value for value in found if value is not None)
    length = {value.shape[-1] for value in constants if value.shape}
    is_whole = len(length) == 1 and all(_is_own(value) for value in constants) and _rank(constants[-1]) == 1
    return constants if is_whole else ()


def _is_curved(node: ir.Node) -> bool:
    """Whether a node is a curved activation function, or the last step of one.

    A product is one where neither side is a constant vector: x * sigmoid(x), a gate, or the end of a Gelu's formula.
    """
    if node.domain or node.op_type not in (*CURVED, "Mul"):
        return False
    constants = [value.const_value for value in node.inputs if value is not None and value.const_value is not None]
    return all(constant.size == 1 for constant in constants)


def _place(tensor: ir.Value, columns: tuple[ir.Value, ...]) -> Place | None:
    rows: list[ir.Value] = []
    sums: list[tuple[ir.Node, int]] = []
    for node, index in tensor.uses():
        other = node.inputs[1 - index] if len(node.inputs) == 2 else None
        if other is None or node.domain or node.graph is not tensor.producer().graph:  # type: ignore[union-attr]
            return None
        if node.op_type == "MatMul" and index == 0 and _is_own(other) and _rank(other) == 2:
            rows.append(other)
        elif node.op_type == "Add" and other.const_value is None:
            sums.append((node, index))
        else:
            return None
    return Place(tensor, columns, tuple(rows), tuple(sums)) if rows or sums else None


def _is_own(value: ir.Value) -> bool:
    """Whether a value is a float32 constant that one node alone reads."""
    is_constant = value.const_value is not None and value.dtype == ir.DataType.FLOAT
    return is_constant and len(value.uses()) == 1 and not value.is_graph_output()


def _rank(value: ir.Value) -> int:
    return len(value.shape or ())
