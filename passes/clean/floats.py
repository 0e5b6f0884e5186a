"""Widens models of 16-bit floats, and narrows models of doubles: inside, every float has 32 bits."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from haqc.errors import ModelError
from haqc.passes.clean.lazy import lazy_constant

_NAMES = {ir.DataType.FLOAT16: "16-bit floats", ir.DataType.BFLOAT16: "bfloat16 numbers", ir.DataType.DOUBLE: "doubles"}
_LAYERS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "LSTM", "GRU", "RNN", "Einsum"})
"""Operators without which doubles are no network, but arithmetic."""

_TYPE_ATTRIBUTES = ("to", "dtype", "output_datatype", "output_dtype", "stash_type", "softmax_precision")
"""Attributes that hold an element type."""


def unify_floats(model: ir.Model) -> str | None:
    """Makes every float of a model without functions a float32, but those of its inputs and outputs.

    Casts stand at the graph's border, so that the model is called as before. Weights are converted when they are read.
    Infinities stay; doubles beyond the range of float32 become its ends. Doubles that a float32 model uses for a
    side calculation stay as they are.

    Returns:
        a remark for people, ``None`` if the model held no such floats.

    Raises:
        ModelError: an input or output is a sequence of such floats.
    """
    replaced = _replaced_types(model)
    if not replaced:
        return None
    borders = [value for value in (*model.graph.inputs, *model.graph.outputs) if value.type is not None]
    if any(not isinstance(value.type, ir.TensorType) and value.dtype in replaced for value in borders):
        raise ModelError("an input or output is a sequence of 16-bit floats; export the model in float32")
    for graph in model.graphs():
        for initialiser in graph.initializers.values():
            _convert_initialiser(initialiser, replaced)
    outputs = {value: value.dtype for value in model.graph.outputs}
    for node in ir.traversal.RecursiveGraphIterator(model.graph):
        _convert_attributes(node, replaced)
        for value in node.outputs:
            _retype(value, replaced)
    for graph in model.graphs():
        for value in graph.inputs if graph is not model.graph else ():
            _retype(value, replaced)
    _cast_inputs(model.graph, replaced)
    _cast_outputs(model.graph, outputs, replaced)
    found = " and ".join(_NAMES[dtype] for dtype in sorted(replaced, key=int))
    return f"{found} inside became 32-bit floats; inputs and outputs keep their types"


def _replaced_types(model: ir.Model) -> frozenset[ir.DataType]:
    """Gives the element types that go: 16-bit floats wherever they stand, doubles where the network is made of them."""
    operators = {node.op_type for node in ir.traversal.RecursiveGraphIterator(model.graph)}
    if "BitCast" in operators:  # what it reads is no number
        return frozenset()
    found: set[ir.DataType | None] = set()
    for graph in model.graphs():
        found.update(value.dtype for value in (*graph.inputs, *graph.outputs))
        for value in graph.initializers.values():
            if value.dtype != ir.DataType.DOUBLE or (value.shape is not None and len(value.shape) > 1):
                found.add(value.dtype)
    for node in ir.traversal.RecursiveGraphIterator(model.graph):
        found.update(dtype for _, dtype in _types_named(node) if dtype != ir.DataType.DOUBLE)
    kept = set() if operators & _LAYERS else {ir.DataType.DOUBLE}
    return frozenset(dtype for dtype in found if dtype in _NAMES and dtype not in kept)


def _types_named(node: ir.Node) -> list[tuple[str, ir.DataType]]:
    """Gives the attributes of a node that hold an element type."""
    attributes = [(name, node.attributes.get(name)) for name in _TYPE_ATTRIBUTES]
    return [
        (name, ir.DataType(attribute.as_int()))
        for name, attribute in attributes
        if attribute is not None and attribute.type == ir.AttributeType.INT and not attribute.is_ref()
    ]


def _convert_initialiser(value: ir.Value, replaced: frozenset[ir.DataType]) -> None:
    tensor = value.const_value
    if tensor is None or tensor.dtype not in replaced:
        return
    value.const_value = _converted(tensor, str(value.name))
    value.dtype = ir.DataType.FLOAT


def _converted(tensor: ir.TensorProtocol, name: str) -> ir.TensorProtocol:
    extents = [int(extent) for extent in tensor.shape.numpy()]
    converted = lazy_constant(name, ir.DataType.FLOAT, extents, lambda: _as_float32(tensor.numpy())).const_value
    assert converted is not None
    return converted


def _as_float32(array: np.ndarray) -> np.ndarray:
    if array.dtype == np.float64:
        ends = np.finfo(np.float32)
        array = np.where(np.isfinite(array), np.clip(array, ends.min, ends.max), array)
    return array.astype(np.float32)


def _convert_attributes(node: ir.Node, replaced: frozenset[ir.DataType]) -> None:
    for name, dtype in _types_named(node):
        if dtype in replaced:
            node.attributes[name] = ir.AttrInt64(name, int(ir.DataType.FLOAT))
    for name, attribute in list(node.attributes.items()):
        if attribute.type == ir.AttributeType.TENSOR and not attribute.is_ref():
            tensor = attribute.as_tensor()
            if tensor.dtype in replaced:
                node.attributes[name] = ir.AttrTensor(name, _converted(tensor, str(tensor.name or "")))


def _retype(value: ir.Value, replaced: frozenset[ir.DataType]) -> None:
    if value.type is not None and value.dtype in replaced:
        value.dtype = ir.DataType.FLOAT


def _cast_inputs(graph: ir.Graph, replaced: frozenset[ir.DataType]) -> None:
    """Casts inputs in front of all nodes; an input that nothing reads stays alone."""
    first = next(iter(graph), None)
    for value in graph.inputs:
        if value.dtype not in replaced or not value.uses() or first is None:
            continue
        cast = ir.node("Cast", [value], {"to": int(ir.DataType.FLOAT)}, name=f"{value.name}_cast")
        inside = cast.outputs[0]
        inside.name, inside.shape, inside.dtype = f"{value.name}_float", value.shape, ir.DataType.FLOAT
        for user, index in tuple(value.uses()):
            user.replace_input_with(index, inside)
        cast.replace_input_with(0, value)
        graph.insert_before(first, cast)


def _cast_outputs(graph: ir.Graph, types: dict[ir.Value, ir.DataType | None], replaced: frozenset[ir.DataType]) -> None:
    """Casts outputs back behind all nodes, under the names they had."""
    given: dict[ir.Value, ir.Value] = {}
    for index, value in enumerate(list(graph.outputs)):
        dtype = types[value]
        if dtype is None or dtype not in replaced or value.is_graph_input():
            continue
        if value not in given:
            cast = ir.node("Cast", [value], {"to": int(dtype)}, name=f"{value.name}_cast")
            outside = cast.outputs[0]
            outside.name, outside.shape, outside.dtype = value.name, value.shape, dtype
            value.name = f"{value.name}_float"
            graph.append(cast)
            given[value] = outside
        graph.outputs[index] = given[value]
