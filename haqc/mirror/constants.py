"""What a graph stores: initialisers and Constant nodes, those of control-flow bodies too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir


@dataclass(frozen=True, slots=True)
class Constant:
    """A stored tensor.

    Attributes:
        key: its ONNX name; behind the name of the control-flow node and of the attribute where it lies in a body.
        value: who reads it, and what it is called.
        tensor: its content, possibly mapped from a file.
        trains: whether it is an initialiser of a floating-point type; literals of Constant nodes do not train.
    """

    key: str
    value: ir.Value
    tensor: ir.TensorProtocol
    trains: bool


def constants(graph: ir.Graph, prefix: str = "") -> Iterator[Constant]:
    """Gives every tensor that a graph stores and that something reads, in order."""
    for name, value in graph.initializers.items():
        if value.const_value is not None and (value.uses() or value.is_graph_output()):
            tensor = value.const_value
            yield Constant(f"{prefix}{name}", value, tensor, tensor.dtype.is_floating_point())
    for index, node in enumerate(graph):
        if is_literal(node):
            (value,) = node.outputs
            literal = ir.convenience.get_const_tensor(value)
            if literal is not None:
                yield Constant(f"{prefix}{value.name}", value, literal, trains=False)
        for name, attribute in node.attributes.items():
            if attribute.type == ir.AttributeType.GRAPH:
                yield from constants(attribute.as_graph(), f"{prefix}{node.name or index}/{name}/")


def is_literal(node: ir.Node) -> bool:
    """Whether a node is a constant written as a node."""
    return bool(node.op_type == "Constant" and node.domain == "" and "sparse_value" not in node.attributes)
