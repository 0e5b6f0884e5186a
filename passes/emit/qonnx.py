"""Emits QONNX: Quant and BipolarQuant nodes on float tensors, for every width from 1 to 8, as FINN and hls4ml read it.

A Quant gives ``(clip(round(x / scale + zero_point), low, high) - zero_point) * scale``, all in float32. Weights and
biases are stored as the floats that their codes stand for, which a Quant leaves as they are. Definitions: Pappalardo et
al., QONNX: Representing Arbitrary-Precision Quantized Neural Networks, AccML 2022.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx_ir as ir

from haqc.codes import ActivationCodes, BiasCodes, NetworkCodes, WeightCodes
from haqc.formats import Fallback
from haqc.passes.emit.emission import Emission
from haqc.passes.emit.note import annotate, finish
from haqc.passes.emit.values import bias_values, weight_scale, weight_values
from haqc.passes.emit.writer import GraphWriter
from haqc.policy import Policy

DOMAIN = "qonnx.custom_op.general"

_WIDEST_EXACT = 24
"""Signed whole numbers of so many bits are exact in float32, and so is what a Quant makes of them."""

_ANNOTATIONS = "quant_parameter_tensor_names"
"""Where onnx_ir keeps a value's quantization annotation, which QONNX uses for the type of its numbers."""


def emit_qonnx(model: ir.Model, policy: Policy, codes: NetworkCodes, annotations: Mapping[str, Any]) -> Emission:
    """Gives a copy of a cleaned float model with a Quant or BipolarQuant behind every tensor that is quantised.

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
    emitted.opset_imports[DOMAIN] = 1
    writer = _Writer(emitted)
    for name, array in codes.floats.items():
        writer.replace_constant(name, array)
    for name, weight in codes.weights.items():
        writer.quantise_weight(name, weight)
    fallbacks = tuple(
        fallback for name, bias in codes.biases.items() if (fallback := writer.quantise_bias(name, bias)) is not None
    )
    for name, activation in codes.activations.items():
        writer.quantise_activation(name, activation)
    finish(emitted, annotations)
    return Emission(emitted, fallbacks=fallbacks)


class _Writer(GraphWriter):
    """Inserts Quant nodes into one graph."""

    def quantise_weight(self, name: str, weight: WeightCodes) -> None:
        """Stores the floats that a weight's codes stand for, and quantises them on their way to every reader."""
        self.replace_constant(name, weight_values(weight))
        scale = self.constant(f"{name}_scale", weight_scale(weight))
        if weight.bits == 1:
            self._behind(name, "BipolarQuant", [scale], _type_of(1, is_signed=True, scale=weight.scale))
        else:
            self._quant(name, scale, 0, weight.bits, is_signed=True)

    def quantise_bias(self, name: str, bias: BiasCodes) -> Fallback | None:
        """Stores the floats that a bias's codes stand for, and quantises them at the width that holds the codes."""
        self.replace_constant(name, bias_values(bias))
        largest = int(np.abs(bias.codes.astype(np.int64)).max(initial=0))
        bits = largest.bit_length() + 1
        if bits > _WIDEST_EXACT:
            reason = f"its codes need {bits} bits, and a Quant, which computes in float32, is exact up to"
            return Fallback(name, "32 bits", "float", f"{reason} {_WIDEST_EXACT}")
        self._quant(name, self.constant(f"{name}_scale", bias.scale), 0, max(bits, 2), is_signed=True)
        return None

    def quantise_activation(self, name: str, activation: ActivationCodes) -> None:
        """Puts a Quant behind a tensor; a zero point in the middle becomes a sign, since FINN takes no zero point."""
        scale = self.constant(f"{name}_scale", np.array(activation.scale, np.float32))
        # A signed Quant of one bit has the codes -1 and 1, and not -1 and 0.
        is_signed = activation.bits > 1 and activation.zero_point == 1 << (activation.bits - 1)
        zero_point = 0 if is_signed else activation.zero_point
        self._quant(name, scale, zero_point, activation.bits, is_signed=is_signed)

    def _quant(self, name: str, scale: ir.Value, zero_point: int, bits: int, *, is_signed: bool) -> None:
        zero = self.constant(f"{name}_zero_point", np.array(zero_point, np.float32))
        width = self.constant(f"{name}_bits", np.array(bits, np.float32))
        attributes = [
            ir.AttrInt64("signed", int(is_signed)),
            ir.AttrInt64("narrow", 0),
            ir.AttrString("rounding_mode", "ROUND"),
        ]
        assert scale.const_value is not None
        number = _type_of(bits, is_signed=is_signed, scale=scale.const_value.numpy(), zero_point=zero_point)
        self._behind(name, "Quant", [scale, zero, width], number, attributes)

    def _behind(
        self, name: str, op: str, parameters: list[ir.Value], number: str, attributes: list[ir.Attr] | None = None
    ) -> None:
        """Puts a node behind a tensor; everything but a graph output reads what comes out."""
        value = self.values[name] if name in self.values else self.graph.initializers[name]
        readers = list(value.uses())
        result = self.node(op, [value, *parameters], f"{name}_quantised", ir.DataType.FLOAT, value.shape, attributes)
        producer = result.producer()
        assert producer is not None
        producer.domain = DOMAIN
        result.meta[_ANNOTATIONS] = {"finn_datatype": number}
        for node, place in readers:
            node.replace_input_with(place, result)


def _type_of(bits: int, *, is_signed: bool, scale: np.ndarray, zero_point: int = 0) -> str:
    """Gives the name of what a tensor holds, as QONNX infers it: whole numbers, or whole numbers times a scale."""
    if zero_point:
        return "FLOAT32"
    if not np.all(scale == 1):
        return "FLOAT32" if bits == 1 and is_signed else f"SCALEDINT<{bits}>"
    if bits == 1:
        return "BIPOLAR" if is_signed else "BINARY"
    return f"INT{bits}" if is_signed else f"UINT{bits}"
