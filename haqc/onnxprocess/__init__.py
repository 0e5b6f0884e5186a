"""ONNX's inference of graphs and bodies, and its checker, in a process of their own: damaged graphs crash them.

They take for granted that the type of what an operator reads is known; nodes without bodies, asked one by one, do not.
"""

from __future__ import annotations

import bisect
import contextlib
import json
from collections.abc import Iterator, Mapping

import onnx
import onnx_ir as ir

from haqc.errors import ModelError
from haqc.onnxprocess.process import Crashed, OnnxProcess, Refused, lasting

__all__ = ["OnnxProcess", "check_model", "infer_node", "infer_shapes", "lasting"]

_LARGEST_BYTES = 1000
"""Bytes of constants that are handed over with their values: lengths and axes; of larger ones the shape is enough."""


def infer_shapes(model: ir.Model, process: OnnxProcess) -> None:
    """Infers the shapes and types of all values of a model, in place, bodies and functions included.

    A graph that ONNX cannot infer stays as it is.

    Raises:
        ModelError: the inference crashes on the graph, or does not end.
    """
    try:
        with _without_large_constants(model.graph):
            given = ir.serde.serialize_model(model).SerializeToString()
    except Exception:  # the library raises kinds of its own; what cannot be written cannot be inferred either
        return
    try:
        (found,) = process.ask("infer", given)
    except Refused:
        return
    except Crashed as error:
        raise _crash(_where(given, process)) from error
    inferred = ir.from_proto(onnx.load_from_string(found))
    for graph, other in zip(model.graphs(), inferred.graphs(), strict=True):
        _take_over(graph, other)


def infer_node(
    node: ir.Node,
    types: Mapping[str, onnx.TypeProto],
    constants: Mapping[str, onnx.TensorProto],
    opsets: Mapping[str, int],
    process: OnnxProcess,
) -> dict[str, onnx.TypeProto]:
    """Infers the types of a node's outputs, as ``onnx.shape_inference.infer_node_outputs`` does.

    Args:
        node: the node, with its bodies.
        types: by the names of all that it and its bodies read.
        constants: by the names of those inputs that are constants.
        opsets: versions by domain.
        process: is asked.

    Raises:
        ModelError: the inference crashes on the node, or does not end.
        Refused: it cannot infer the node.
    """
    question = {
        "schema": [node.op_type, opsets[node.domain], node.domain],
        "types": list(types),
        "constants": list(constants),
        "opsets": dict(opsets),
        "ir_version": onnx.IR_VERSION,
    }
    given = [kind.SerializeToString() for kind in types.values()]
    given += [tensor.SerializeToString() for tensor in constants.values()]
    proto = ir.serde.serialize_node(node).SerializeToString()
    try:
        names, *found = process.ask("infer_node", json.dumps(question).encode(), proto, *given)
    except Crashed as error:
        raise _crash(_on(str(node.name), node.op_type)) from error
    return {name: onnx.TypeProto.FromString(kind) for name, kind in zip(json.loads(names), found, strict=True)}


def check_model(content: bytes, process: OnnxProcess) -> None:
    """Checks a serialised model with ONNX's checker, its shapes included.

    Raises:
        ModelError: the checker refuses the model, crashes on it, or does not end.
    """
    try:
        process.ask("check", content)
    except Refused as error:
        reason = next(iter(str(error).strip().splitlines()), "no reason given")
        raise ModelError(f"the ONNX checker refuses the model ({reason}); export it again") from error
    except Crashed as error:
        raise _crash(_where(content, process)) from error


def _crash(where: str) -> ModelError:
    return ModelError(f"ONNX's shape inference crashes {where}; look at what is read there, and export the model again")


def _on(name: str, operator: str) -> str:
    return f"on node '{name}' ({operator})"


def _where(content: bytes, process: OnnxProcess) -> str:
    """Names the first node with which ONNX crashes: it goes through them in their order."""
    proto = onnx.load_from_string(content)
    nodes = list(proto.graph.node)

    def crashes(count: int) -> bool:
        del proto.graph.node[:]
        proto.graph.node.extend(nodes[:count])
        try:
            process.ask("infer", proto.SerializeToString())
        except (Crashed, Refused) as error:
            return isinstance(error, Crashed)
        return False

    count = bisect.bisect_left(range(len(nodes)), True, key=crashes)
    if not count or not crashes(count):
        return "on this graph"
    node = nodes[count - 1]
    return _on(node.name or ", ".join(node.output), node.op_type)


def _take_over(graph: ir.Graph, inferred: ir.Graph) -> None:
    """Gives the values of a graph the shapes and types that values of the same names have in another."""
    found = ir.convenience.create_value_mapping(inferred)
    for name, value in ir.convenience.create_value_mapping(graph).items():
        known = found.get(name)
        if known is not None and known.shape is not None and known.shape != value.shape:
            value.shape = known.shape
        if known is not None and known.dtype is not None and known.dtype != value.dtype:
            value.dtype = known.dtype


@contextlib.contextmanager
def _without_large_constants(graph: ir.Graph) -> Iterator[None]:
    """Makes inputs of all constants, for their types, and takes the large ones out until the graph is written."""
    constants = list(graph.initializers.values())
    tensors = [value.const_value for value in constants]
    count = len(graph.inputs)
    try:
        for value, tensor in zip(constants, tensors, strict=True):
            if value.shape is None and tensor is not None:
                value.shape = ir.Shape(tensor.shape.numpy())
            if not value.is_graph_input():
                graph.inputs.append(value)
            if tensor is None or tensor.nbytes > _LARGEST_BYTES:
                del graph.initializers[str(value.name)]
                value.const_value = None
        yield
    finally:
        while len(graph.inputs) > count:
            graph.inputs.pop()
        for value, tensor in zip(constants, tensors, strict=True):
            value.const_value = tensor
            graph.initializers.add(value)
