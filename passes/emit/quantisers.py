"""Inserts quantisers into one graph: QuantizeLinear, Clip and DequantizeLinear around what a layer reads."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from haqc.codes import ActivationCodes, BiasCodes, NetworkCodes, WeightCodes
from haqc.passes.emit.folding import FoldableClip, record
from haqc.passes.emit.pooling import pool_codes
from haqc.passes.emit.writer import GraphWriter
from haqc.policy import Policy
from haqc.quant import activation_range

CONTAINER_BITS = 8

_QUANTISED_UNASKED = ("Conv", "ConvTranspose", "Gemm")
"""Operators whose float weights onnxruntime quantises where they read a DequantizeLinear."""


class QuantiserWriter(GraphWriter):
    """Writes codes, scales and what stands around them; weights as int8, which other formats overrule."""

    def write(self, source: ir.Model, policy: Policy, codes: NetworkCodes) -> None:
        """Puts everything in its place.

        Args:
            source: the cleaned model, as it was before anything was written.
            policy: says which layers stay in float.
            codes: what the quantised mirror stores.
        """
        for name, array in codes.floats.items():
            self.replace_constant(name, array)
        for place, (name, weight) in enumerate(codes.weights.items()):
            if self._is_only_looked_up(name, weight):
                self.quantise_table(name, weight, self.stem(name, "w", place))
            else:
                self.quantise_weight(name, weight, self.stem(name, "w", place))
        for place, (name, bias) in enumerate(codes.biases.items()):
            self.quantise_bias(name, bias, self.stem(name, "b", place))
        clips = {}
        for place, (name, activation) in enumerate(codes.activations.items()):
            clip = FoldableClip.of(self.values[name], codes.activations)
            if clip is not None:
                self._remove(clip)
                clips[name] = clip
            self.quantise_activation(name, activation, self.stem(name, "a", place), clip)
        record(self.model, clips)
        pool_codes(self, codes.activations)
        for layer in policy.graph.layers:
            if layer.float_reason and layer.op in _QUANTISED_UNASKED and layer.activation in codes.activations:
                self.shield(layer.nodes[0], codes.activations[layer.activation])
        for node in source.graph:
            tensor = _read_by_softmax(node)
            if tensor in codes.activations:
                self.shield(str(node.name), codes.activations[tensor])

    def stem(self, name: str, kind: str, place: int) -> str:
        """Gives what the names of all that is new around a tensor begin with: here, with the tensor's own.

        Args:
            name: the tensor.
            kind: a letter for weights, biases or activations.
            place: which of its kind it is.
        """
        return name

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

    def quantise_weight(self, name: str, weight: WeightCodes, stem: str) -> None:
        """Replaces float weights by int8 codes and a DequantizeLinear."""
        scale = shaped_scale(weight)
        self.dequantise_constant(name, stem, weight.codes, scale, np.zeros(scale.shape, np.int8), weight.axis)

    def _is_only_looked_up(self, name: str, weight: WeightCodes) -> bool:
        """Whether a weight is a table of which nothing but rows are read, and whose rows share their scales."""
        uses = self.graph.initializers[name].uses()
        return weight.axis == 1 and all(use.node.op_type == "Gather" and use.idx == 0 for use in uses)

    def quantise_table(self, name: str, weight: WeightCodes, stem: str) -> None:
        """Replaces a float table by int8 codes; the rows that are looked up are dequantised, and not the table."""
        steps = shaped_scale(weight)
        codes, scale = self.constant(f"{stem}_codes", weight.codes), self.constant(f"{stem}_scale", steps)
        zeros = self.constant(f"{stem}_zero_point", np.zeros(steps.shape, np.int8))
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
            self.swap_names(rows, result)  # who reads the rows finds them under their old name
            rows.type = ir.TensorType(ir.DataType.INT8)
            gather.replace_input_with(index, codes)
        self.drop(name)

    def quantise_bias(self, name: str, bias: BiasCodes, stem: str) -> None:
        """Replaces a float bias by int32 codes and a DequantizeLinear."""
        self.dequantise_constant(name, stem, bias.codes, bias.scale, None, 0)

    def _remove(self, clip: FoldableClip) -> None:
        """Removes a Clip, whose result gets its name and its readers from what it clipped."""
        result = clip.node.outputs[0]
        for node, index in list(result.uses()):
            node.replace_input_with(index, clip.source)
        bounds = [value for value in clip.node.inputs[1:] if value is not None]
        self.graph.remove(clip.node, safe=True)
        for bound in bounds:
            if not bound.uses() and bound.name in self.graph.initializers:
                self.drop(str(bound.name))
        name, clip.source.name = result.name, result.name
        self.values[str(name)] = clip.source

    def quantise_activation(self, name: str, activation: ActivationCodes, stem: str, clip: FoldableClip | None) -> None:
        """Puts Q, Clip and DQ behind a tensor; everything but a graph output reads what comes out.

        Args:
            name: the tensor.
            activation: its quantiser.
            stem: begins the names of what is new.
            clip: the float Clip that stood in front, if the codes have to be clipped in its place.
        """
        value = self.values[name]
        readers = list(value.uses())
        scale = self.constant(f"{stem}_scale", np.array(activation.scale, np.float32))
        zero = self.constant(f"{stem}_zero_point", np.array(activation.zero_point, np.uint8))
        codes = self.node("QuantizeLinear", [value, scale, zero], f"{stem}_codes", ir.DataType.UINT8, value.shape)
        reach = activation_range(activation.bits) if clip is None else clip.code_range(activation)
        if reach != activation_range(CONTAINER_BITS):
            low, high = (np.array(bound, np.uint8) for bound in reach)
            bounds = [self.constant(f"{stem}_low", low), self.constant(f"{stem}_high", high)]
            codes = self.node("Clip", [codes, *bounds], f"{stem}_clipped", ir.DataType.UINT8, value.shape)
        result = self.node(
            "DequantizeLinear", [codes, scale, zero], f"{stem}_dequantised", ir.DataType.FLOAT, value.shape
        )
        for node, index in readers:
            node.replace_input_with(index, result)

    def dequantise_constant(
        self,
        name: str,
        stem: str,
        codes: np.ndarray,
        scale: np.ndarray,
        zeros: np.ndarray | None,
        axis: int,
        behind: Callable[[ir.Value], ir.Value] = lambda result: result,
    ) -> None:
        """Replaces a float constant by codes and a DequantizeLinear.

        Args:
            name: the constant.
            stem: begins the names of what is new.
            codes: its codes, in the type that the file stores.
            scale: one for each index along the axis, or a scalar for all.
            zeros: zero points, shaped like the scale; ``None`` where none are stored, which means zero.
            axis: the axis of the scales.
            behind: adds what stands between the dequantised constant and its readers, and gives what these read.
        """
        value = self.graph.initializers[name]
        readers = list(value.uses())
        inputs = [self.constant(f"{stem}_codes", codes), self.constant(f"{stem}_scale", scale)]
        if zeros is not None:
            inputs.append(self.constant(f"{stem}_zero_point", zeros))
        attributes = [ir.AttrInt64("axis", axis)] if scale.ndim else []
        shape = ir.Shape(codes.shape)
        result = self.node("DequantizeLinear", inputs, f"{stem}_dequantised", ir.DataType.FLOAT, shape, attributes)
        read = behind(result)
        for node, index in readers:
            node.replace_input_with(index, read)
        self.drop(name)


def shaped_scale(weight: WeightCodes) -> np.ndarray:
    """Gives the scales as a vector, or as a scalar where there is one for the whole tensor."""
    is_whole = weight.scale.size == 1 != weight.codes.shape[weight.axis]
    return weight.scale.reshape(()) if is_whole else weight.scale


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
