"""One walk over a graph in its order: the shape of every value from its inputs', and the values that follow from them.

ONNX's own inference is asked node by node, so that a value computed from a shape is known when the next node needs it,
and the work grows with the number of nodes only.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import onnx
import onnx_ir as ir

from haqc.errors import ModelError
from haqc.onnxprocess import infer_node, lasting
from haqc.passes.bind.evaluate import evaluate

LARGEST_KNOWN = 1 << 16
"""Values of constants that are handed to inference and evaluated at most."""

_SHAPE_DATA = 1 << 10
"""Values of constants that are handed to inference: lengths, axes, bounds; no larger constant is any of these."""


@dataclass
class Walk:
    """The state of one binding; made, run and dropped.

    Attributes:
        model: the copy whose shapes are inferred, in place.
        declared: the shapes that values had before, with the symbols that are bound filled in.
    """

    model: ir.Model
    declared: dict[ir.Value, ir.Shape]

    @classmethod
    def start(cls, model: ir.Model, extents: Mapping[str, int]) -> Walk:
        """Forgets all shapes but those of the inputs, and keeps what they were."""
        declared = {}
        for node in model.graph:
            for value in node.outputs:
                if value.shape is not None:
                    declared[value] = _filled(value.shape, extents)
                value.shape = None
        return cls(model, declared)

    def run(self) -> int:
        """Infers what can be inferred, and gives the number of values whose shape is not known."""
        opsets = self.model.opset_imports
        unknown = 0
        for node in self.model.graph:
            if any(value.const_value is None for value in node.outputs):
                _infer(node, opsets)
                _follow(node, opsets)
                self._fall_back(node)
                _evaluate(node, opsets)
            unknown += sum(not _is_known(value.shape) for value in node.outputs if value.name)
        return unknown

    def _fall_back(self, node: ir.Node) -> None:
        """Gives values the declared extents where none are inferred."""
        for value in node.outputs:
            declared = self.declared.get(value)
            if declared is None or _is_known(value.shape):
                continue
            if value.shape is None:
                value.shape = declared if _is_known(declared) else None
            elif len(value.shape) == len(declared):
                value.shape = _merged(value.shape, declared)

    def restore(self) -> None:
        """Gives values of which nothing was inferred the shape they were declared with."""
        for value, declared in self.declared.items():
            if value.shape is None:
                value.shape = declared

    def replace_known(self) -> None:
        """Replaces nodes whose outputs are all known by constants of the same names."""
        graph = self.model.graph
        for node in list(graph):
            known = [value.const_value for value in node.outputs]
            if None in known or any(value.is_graph_output() for value in node.outputs):
                continue
            for value in node.outputs:
                constant = ir.Value(name=value.name, type=value.type, shape=value.shape, const_value=value.const_value)
                value.replace_all_uses_with(constant)
                if constant.uses():
                    value.name = None
                    graph.register_initializer(constant)
            graph.remove(node, safe=True)


def _infer(node: ir.Node, opsets: Mapping[str, int]) -> None:
    """Asks ONNX for the types of a node's outputs; where it does not know, they stay as they are."""
    if any(value is not None and value.type is None for value in node.inputs):
        return
    try:
        found = _outputs(node, opsets)
    except ModelError:
        raise
    except Exception:  # operators without a schema, and inference that fails on what it does not expect
        logging.getLogger(__name__).debug("no shapes for the outputs of %s", node.name)
        return
    for value in node.outputs:
        proto = found.get(str(value.name))
        if proto is None or not proto.HasField("tensor_type"):
            continue
        shape = ir.serde.deserialize_type_proto_for_shape(proto)
        if shape is not None:
            value.shape = (
                shape if value.shape is None or len(value.shape) != len(shape) else _merged(shape, value.shape)
            )
        if value.type is None:
            value.type = ir.serde.deserialize_type_proto_for_type(proto)


def _outputs(node: ir.Node, opsets: Mapping[str, int]) -> dict[str, onnx.TypeProto]:
    """Gives the types of a node's outputs by name, as far as ONNX knows them."""
    given = {str(value.name): value for value in (*node.inputs, *_captured(node)) if value is not None}
    types = {name: _type(value) for name, value in given.items() if value.type is not None}
    read = {str(value.name): _constant(value, _SHAPE_DATA) for value in node.inputs if value is not None}
    constants = {name: ir.serde.serialize_tensor(tensor) for name, tensor in read.items() if tensor is not None}
    if any(_graphs(attribute) for attribute in node.attributes.values()):
        return infer_node(node, types, constants, opsets, lasting())
    imports = [onnx.helper.make_opsetid(domain, version) for domain, version in opsets.items()]
    schema = onnx.defs.get_schema(node.op_type, opsets[node.domain], node.domain)
    proto = ir.serde.serialize_node(node)
    return onnx.shape_inference.infer_node_outputs(schema, proto, types, constants, opset_imports=imports)


def _follow(node: ir.Node, opsets: Mapping[str, int]) -> None:
    """Gives the outputs of an If whose condition follows from shapes the shapes of the branch that is taken."""
    condition = node.inputs[0] if node.op_type == "If" and not node.domain else None
    known = None if condition is None else _constant(condition, 1)
    if known is None or known.size != 1:
        return
    branch = node.attributes["then_branch" if known.numpy().reshape(-1)[0] else "else_branch"].as_graph()
    for inner in branch:
        for value in inner.outputs:
            value.shape = None
        _infer(inner, opsets)
        _follow(inner, opsets)
        _evaluate(inner, opsets)
    for value, taken in zip(node.outputs, branch.outputs, strict=True):
        if taken.shape is not None:
            value.shape, value.type = taken.shape, value.type or taken.type


def _evaluate(node: ir.Node, opsets: Mapping[str, int]) -> None:
    """Computes a node's outputs when its inputs are known, or when it asks for a shape that is."""
    arrays = []
    if node.op_type not in ("Shape", "Size"):
        tensors = [None if value is None else _constant(value, LARGEST_KNOWN) for value in node.inputs]
        if any(value is not None and tensor is None for value, tensor in zip(node.inputs, tensors, strict=True)):
            return
        arrays = [None if tensor is None else tensor.numpy() for tensor in tensors]
    results = evaluate(node, opsets.get(node.domain, 0), arrays)
    for value, result in zip(node.outputs, results or (), strict=False):
        value.const_value = ir.tensor(result, name=value.name)
        value.shape, value.type = ir.Shape(result.shape), ir.TensorType(value.const_value.dtype)


def _constant(value: ir.Value, largest: int) -> ir.TensorProtocol | None:
    tensor = value.const_value
    return tensor if tensor is not None and tensor.size <= largest else None


def _captured(node: ir.Node) -> list[ir.Value]:
    """Gives the values that a node's subgraphs read from outside."""
    graphs = [graph for attribute in node.attributes.values() for graph in _graphs(attribute)]
    read: dict[ir.Value, None] = {}
    while graphs:
        graph = graphs.pop()
        for inner in graph:
            read.update((value, None) for value in inner.inputs if value is not None and value.graph is node.graph)
            graphs += [found for attribute in inner.attributes.values() for found in _graphs(attribute)]
        read.update((value, None) for value in graph.outputs if value.graph is node.graph)
    return list(read)


def _graphs(attribute: ir.Attr) -> list[ir.Graph]:
    if attribute.type == ir.AttributeType.GRAPH:
        return [attribute.as_graph()]
    return list(attribute.as_graphs()) if attribute.type == ir.AttributeType.GRAPHS else []


def _type(value: ir.Value) -> onnx.TypeProto:
    assert value.type is not None
    proto = ir.serde.serialize_type(value.type)
    if value.shape is not None:
        ir.serde.serialize_shape_into(proto, value.shape)
    return proto


def _filled(shape: ir.Shape, extents: Mapping[str, int]) -> ir.Shape:
    return ir.Shape([axis if isinstance(axis, int) else extents.get(axis.value or "", axis) for axis in shape])


def _merged(first: ir.Shape, second: ir.Shape) -> ir.Shape:
    """Gives the first shape with what it lacks taken from the second."""
    return ir.Shape([a if isinstance(a, int) else b for a, b in zip(first, second, strict=True)])


def _is_known(shape: ir.Shape | None) -> bool:
    return shape is not None and all(isinstance(axis, int) for axis in shape)
