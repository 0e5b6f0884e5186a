"""Emits QCDQ: QuantizeLinear, integer Clip, DequantizeLinear in 8-bit containers, for every width from 1 to 8.

Activations are uint8 codes clipped to their width between the two; weights are int8 codes, one scale per output
channel, zero point 0; biases are int32 codes of scale(activation) x scale(weight). In this form onnxruntime and
OpenVINO keep their integer kernels at every width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx_ir as ir

from haqc.codes import ActivationCodes, BiasCodes, NetworkCodes, WeightCodes
from haqc.passes.emit.note import annotate, finish
from haqc.passes.emit.writer import GraphWriter
from haqc.policy import Policy
from haqc.quant import activation_range

CONTAINER_BITS = 8

_QUANTISED_UNASKED = ("Conv", "ConvTranspose", "Gemm")
"""Operators whose float weights onnxruntime quantises where they read a DequantizeLinear."""


def emit_qcdq(model: ir.Model, policy: Policy, codes: NetworkCodes, annotations: Mapping[str, Any]) -> ir.Model:
    """Gives a copy of a cleaned float model with the network's codes in place of its float weights.

    Args:
        model: the cleaned model; it is not changed.
        policy: widths, for the annotations on the nodes.
        codes: what the quantised mirror stores.
        annotations: JSON for the model's metadata (policy, target, cost, provenance).

    Raises:
        ModelError: the model's operators need an IR version that runtimes do not read.
    """
    emitted = model.clone()
    annotate(emitted, policy, annotations)
    writer = _Writer(emitted)
    for name, array in codes.floats.items():
        writer.replace_constant(name, array)
    for name, weight in codes.weights.items():
        if writer.is_only_looked_up(name, weight):
            writer.quantise_table(name, weight)
        else:
            writer.quantise_weight(name, weight)
    for name, bias in codes.biases.items():
        writer.quantise_bias(name, bias)
    for name, activation in codes.activations.items():
        writer.quantise_activation(name, activation)
    for layer in policy.graph.layers:
        if layer.float_reason and layer.op in _QUANTISED_UNASKED and layer.activation in codes.activations:
            writer.shield(layer.nodes[0], codes.activations[layer.activation])
    for node in model.graph:
        tensor = _read_by_softmax(node)
        if tensor in codes.activations:
            writer.shield(str(node.name), codes.activations[tensor])
    finish(emitted, annotations)
    return emitted


def _read_by_softmax(node: ir.Node) -> str:
    """Gives the tensor that a Softmax reads, before any reshape of it; an empty string for other nodes.

    At its defaults onnxruntime runs a Softmax between quantised tensors by a table, which is off by one on a tenth of
    the codes.
    """
    value = node.inputs[0] if node.op_type in ("Softmax", "LogSoftmax") else None
    while value is not None:
        producer = value.producer()
        if producer is None or producer.op_type not in ("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten"):
            return str(value.name)
        value = producer.inputs[0]
    return ""


class _Writer(GraphWriter):
    """Inserts quantisers into one graph."""

    def shield(self, name: str, activation: ActivationCodes) -> None:
        """Clips what a node reads to the range of its codes, which changes no value and keeps the node in float.

        At its defaults onnxruntime quantises the constant weights of a Conv or Gemm that reads a DequantizeLinear.
        """
        node = self.nodes[name]
        value = node.inputs[0]
        assert value is not None
        bounds = [
            self.constant(f"{name}_{which}", np.array(np.float32(code - activation.zero_point) * activation.scale))
            for which, code in zip(("low", "high"), activation_range(activation.bits), strict=True)
        ]
        node.replace_input_with(
            0, self.node("Clip", [value, *bounds], f"{name}_shielded", ir.DataType.FLOAT, value.shape)
        )

    def quantise_weight(self, name: str, weight: WeightCodes) -> None:
        """Replaces float weights by int8 codes and a DequantizeLinear."""
        scale = _shaped(weight)
        self._dequantise_constant(name, weight.codes, scale, np.zeros(scale.shape, np.int8), weight.axis)

    def is_only_looked_up(self, name: str, weight: WeightCodes) -> bool:
        """Whether a weight is a table of which nothing but rows are read, and whose rows share their scales."""
        uses = self.graph.initializers[name].uses()
        return weight.axis == 1 and all(use.node.op_type == "Gather" and use.idx == 0 for use in uses)

    def quantise_table(self, name: str, weight: WeightCodes) -> None:
        """Replaces a float table by int8 codes; the rows that are looked up are dequantised, and not the table."""
        steps = _shaped(weight)
        codes, scale = self.constant(f"{name}_codes", weight.codes), self.constant(f"{name}_scale", steps)
        zeros = self.constant(f"{name}_zero_point", np.zeros(steps.shape, np.int8))
        for gather, index in list(self.graph.initializers[name].uses()):
            rows = gather.outputs[0]
            result = self.node(
                "DequantizeLinear", [rows, scale, zeros], f"{rows.name}_rows", ir.DataType.FLOAT, rows.shape,
                [ir.AttrInt64("axis", -1)] if steps.ndim else [],
            )  # fmt: skip
            for node, place in rows.uses():
                if node is not result.producer():
                    node.replace_input_with(place, result)
            if rows in self.graph.outputs:
                self.graph.outputs[:] = [result if value is rows else value for value in self.graph.outputs]
            rows.name, result.name = result.name, rows.name  # who reads the rows finds them under their old name
            self.values[str(result.name)], self.values[str(rows.name)] = result, rows
            rows.type = ir.TensorType(ir.DataType.INT8)
            gather.replace_input_with(index, codes)
        self.drop(name)

    def quantise_bias(self, name: str, bias: BiasCodes) -> None:
        """Replaces a float bias by int32 codes and a DequantizeLinear."""
        self._dequantise_constant(name, bias.codes, bias.scale, None, 0)

    def quantise_activation(self, name: str, activation: ActivationCodes) -> None:
        """Puts Q, Clip and DQ behind a tensor; everything but a graph output reads what comes out."""
        value = self.values[name]
        readers = list(value.uses())
        scale = self.constant(f"{name}_scale", np.array(activation.scale, np.float32))
        zero = self.constant(f"{name}_zero_point", np.array(activation.zero_point, np.uint8))
        codes = self.node("QuantizeLinear", [value, scale, zero], f"{name}_codes", ir.DataType.UINT8, value.shape)
        if activation.bits < CONTAINER_BITS:
            low, high = (np.array(bound, np.uint8) for bound in activation_range(activation.bits))
            bounds = [self.constant(f"{name}_low", low), self.constant(f"{name}_high", high)]
            codes = self.node("Clip", [codes, *bounds], f"{name}_clipped", ir.DataType.UINT8, value.shape)
        result = self.node(
            "DequantizeLinear", [codes, scale, zero], f"{name}_dequantised", ir.DataType.FLOAT, value.shape
        )
        for node, index in readers:
            node.replace_input_with(index, result)

    def _dequantise_constant(
        self, name: str, codes: np.ndarray, scale: np.ndarray, zeros: np.ndarray | None, axis: int
    ) -> None:
        value = self.graph.initializers[name]
        readers = list(value.uses())
        inputs = [self.constant(f"{name}_codes", codes), self.constant(f"{name}_scale", scale)]
        if zeros is not None:
            inputs.append(self.constant(f"{name}_zero_point", zeros))
        attributes = [ir.AttrInt64("axis", axis)] if scale.ndim else []
        shape = ir.Shape(codes.shape)
        result = self.node("DequantizeLinear", inputs, f"{name}_dequantised", ir.DataType.FLOAT, shape, attributes)
        for node, index in readers:
            node.replace_input_with(index, result)
        self.drop(name)


def _shaped(weight: WeightCodes) -> np.ndarray:
    """Gives the scales as a vector, or as a scalar where there is one for the whole tensor."""
    is_whole = weight.scale.size == 1 != weight.codes.shape[weight.axis]
    return weight.scale.reshape(()) if is_whole else weight.scale
