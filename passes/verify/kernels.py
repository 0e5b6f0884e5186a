"""Which operator onnxruntime runs for each layer, at its defaults, and why a layer stays in float there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir

from haqc.content import Content
from haqc.graph import Graph, Layer
from haqc.runtime import executed

_INTEGER = frozenset({"QLinearConv", "QGemm", "QLinearMatMul", "MatMulIntegerToFloat", "ConvInteger", "MatMulInteger"})
"""Operators that multiply codes."""

_LAYOUT_SUFFIX = re.compile(r"_token_\d+$")
"""What onnxruntime appends to a node's name when it changes the layout of its data."""

_WITHOUT_KERNEL = frozenset({"ConvTranspose", "LSTM", "GRU", "RNN"})

_CONTAINERS = (ir.DataType.INT4, ir.DataType.INT2)


@dataclass(frozen=True, slots=True)
class Kernel:
    """What runs for a layer.

    Attributes:
        operator: onnxruntime's operator; empty where none has the layer's name.
        is_integer: whether it multiplies codes.
        reason: why it does not; empty where it does.
    """

    operator: str
    is_integer: bool
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Gives the kernel as in ``report.json``."""
        return {"operator": self.operator, "integer": self.is_integer, "reason": self.reason}


def kernels(model: ir.Model, graph: Graph) -> dict[str, Kernel]:
    """Gives what onnxruntime runs for each layer of an emitted model, by the layer's name.

    Args:
        model: the emitted model.
        graph: the layers of the float model.

    Raises:
        ModelError: the runtime refuses the model.
    """
    operators: dict[str, str] = {}
    for name, operator in executed(Content.of(model)):
        operators.setdefault(_LAYOUT_SUFFIX.sub("", name).partition("/MatmulTransposeFusion")[0], operator)
    nodes = {str(node.name): node for node in model.graph}
    return {layer.name: _kernel(layer, nodes, operators) for layer in graph.layers}


def _kernel(layer: Layer, nodes: Mapping[str, ir.Node], operators: Mapping[str, str]) -> Kernel:
    operator = operators.get(layer.nodes[0], "")
    is_integer = operator in _INTEGER
    return Kernel(operator, is_integer, "" if is_integer else _reason(layer, nodes.get(layer.nodes[0])))


def _reason(layer: Layer, node: ir.Node | None) -> str:
    """Says why a layer is not run in integers, as far as its surroundings in the file tell."""
    if layer.float_reason:
        return layer.float_reason
    if node is None:
        return "no node of the file has its name"
    if node.op_type == "Gather":
        return "it looks rows up and multiplies nothing"
    if node.op_type == "MatMulNBits":
        return f"MatMulNBits multiplies in float at accuracy level {node.attributes.get_int('accuracy_level', 0)}"
    if node.op_type in _WITHOUT_KERNEL:
        return f"onnxruntime has no integer {node.op_type} for QDQ files"
    stored = [value for value in map(_codes_of, node.inputs[:2]) if value is not None]
    small = next((value.dtype for value in stored if value.dtype in _CONTAINERS), None)
    if small is not None:
        return f"onnxruntime has no integer kernel for weights stored as {small.name}"
    if len(stored) < 2:
        return "what it reads is not quantised"
    if node.op_type == "Gemm" and any(node.attributes.get_float(name, 1.0) != 1.0 for name in ("alpha", "beta")):
        return "its product or bias is scaled (alpha, beta)"
    return _unquantised_output(node) or "onnxruntime does not say why"


def _codes_of(value: ir.Value | None) -> ir.Value | None:
    """Gives the codes that a value is dequantised from, if it is, seen through what moves values or clips them."""
    producer = None if value is None else value.producer()
    while producer is not None and producer.op_type in ("Reshape", "Transpose"):
        value = producer.inputs[0]
        producer = None if value is None else value.producer()
    return producer.inputs[0] if producer is not None and producer.op_type == "DequantizeLinear" else None


def _unquantised_output(node: ir.Node) -> str:
    """Says who reads the result in float; empty where only quantisers do."""
    value = node.outputs[0]
    readers = [reader for reader, _ in value.uses()]
    if len(readers) == 1 and readers[0].op_type == "Relu" and not value.is_graph_output():
        value = readers[0].outputs[0]
        readers = [reader for reader, _ in value.uses()]
    if value.is_graph_output():
        return "it writes a graph output, which stays in float"
    other = next((reader for reader in readers if reader.op_type != "QuantizeLinear"), None)
    return "" if other is None else f"'{other.name}' ({other.op_type}) reads its result in float"
