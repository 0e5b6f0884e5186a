"""Reads what ONNX nodes and values say: shapes, types, attributes, names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx_ir as ir

from haqc.errors import ModelError


def is_standard(node: ir.Node) -> bool:
    """Whether a node's operator is one of ONNX itself."""
    return node.domain in ("", "ai.onnx")


def operator(node: ir.Node) -> str:
    """Gives a node's operator, with its domain unless that is the default one."""
    return node.op_type if is_standard(node) else f"{node.domain}.{node.op_type}"


def required(node: ir.Node, index: int) -> ir.Value:
    """Gives an input that a node must have.

    Raises:
        ModelError: it has not.
    """
    value = node.inputs[index] if index < len(node.inputs) else None
    if value is None:
        raise ModelError(f"node '{node.name}' ({node.op_type}) lacks its input {index + 1}; export the model again")
    return value


def is_constant(value: ir.Value | None) -> bool:
    """Whether a value is absent or known before the model runs."""
    return value is None or value.const_value is not None


def is_float(value: ir.Value) -> bool:
    """Whether a value holds floating-point numbers, as far as is known."""
    dtype = value.const_value.dtype if value.const_value is not None else value.dtype
    return dtype is None or dtype.is_floating_point()


def known_shape(value: ir.Value) -> tuple[int, ...] | None:
    """Gives a concrete shape, or ``None`` where it is not known before the model runs."""
    shape = value.const_value.shape if value.const_value is not None else value.shape
    if shape is None or not all(isinstance(extent, int) for extent in shape):
        return None
    extents = tuple(int(str(extent)) for extent in shape)
    return None if any(extent < 0 for extent in extents) else extents


def shape_of(value: ir.Value) -> tuple[int, ...]:
    """Gives the concrete shape of a value that a layer reads or writes.

    Raises:
        ModelError: it is unknown or symbolic, or has an extent under 0.
    """
    shape = known_shape(value)
    if shape is None:
        raise ModelError(
            f"the shape of tensor '{value.name}' cannot be inferred (it is {value.shape}); give the inputs' shapes "
            "with --shape, or look for the mistake with onnx.shape_inference.infer_shapes(model, strict_mode=True)"
        )
    return shape


def int_attribute(node: ir.Node, name: str, default: int) -> int:
    """Gives an integer attribute, or the default that the operator's specification states."""
    attribute = node.attributes.get(name)
    return default if attribute is None else int(attribute.as_int())


def ints_attribute(node: ir.Node, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    """Gives an attribute of several integers, or the default that the operator's specification states."""
    attribute = node.attributes.get(name)
    return default if attribute is None else tuple(int(v) for v in attribute.as_ints())


def name_of(value: ir.Value) -> str:
    """Gives the name of a value."""
    return str(value.name)


def unique(names: Iterable[str]) -> tuple[str, ...]:
    """Gives names without repeats, in the order of their first."""
    return tuple(dict.fromkeys(names))


def subgraphs(node: ir.Node) -> Iterator[ir.Graph]:
    """Yields the graphs that a node runs, without those inside them."""
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            yield attribute.as_graph()
        elif attribute.type == ir.AttributeType.GRAPHS:
            yield from attribute.as_graphs()


def captured(node: ir.Node) -> list[ir.Value]:
    """Gives the values of a node's own graph that its subgraphs read, at any depth."""
    found: dict[ir.Value, None] = {}
    pending = list(subgraphs(node))
    while pending:
        graph = pending.pop()
        for inner in graph:
            found.update((value, None) for value in inner.inputs if value is not None and value.graph is node.graph)
            pending += subgraphs(inner)
        found.update((value, None) for value in graph.outputs if value.graph is node.graph)
    return list(found)


def static_batch(model: ir.Model) -> int:
    """Gives the extent of the first axis where all inputs that have one agree on it; else 1.

    Inputs that differ do not all count samples there: a table that all samples share stands beside one sample.
    """
    shapes = [value.shape for value in model.graph.inputs if value.shape is not None and len(value.shape)]
    extents = {shape[0] if isinstance(shape[0], int) else 1 for shape in shapes}
    return max(1, extents.pop()) if len(extents) == 1 else 1
