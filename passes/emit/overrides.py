"""Emits onnxruntime's TensorQuantOverrides beside the float model, for its ``quantize_static`` and what builds on it.

Names of types are strings, which ``QuantType.from_string`` reads; ``docs/formats.md`` shows how to load the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx_ir as ir

from haqc.codes import NetworkCodes, WeightCodes
from haqc.formats import OVERRIDES_FILE, Fallback
from haqc.passes.emit.emission import Emission
from haqc.passes.emit.floatmodel import float_model
from haqc.passes.emit.values import is_whole, widened
from haqc.policy import Policy

_WEIGHT_TYPES = {4: "QInt4", 8: "QInt8"}


def emit_overrides(model: ir.Model, policy: Policy, codes: NetworkCodes, annotations: Mapping[str, Any]) -> Emission:
    """Gives the float model, and type, scale and zero point of every tensor that is quantised.

    onnxruntime's types have 4, 8 and 16 bits. Weights get 4 or 8, which leaves them what they are. Activations get 8,
    the same range in finer steps: onnxruntime does not load a convolution whose data have 4 bits and its weights 8.

    Args:
        model: the cleaned model; it is not changed.
        policy: widths, for the annotations on the nodes.
        codes: what the quantised mirror stores.
        annotations: JSON for the model's metadata (policy, target, cost, provenance).

    Raises:
        ModelError: the model's operators need an IR version that runtimes do not read.
    """
    content: dict[str, Any] = {name: _weight(weight) for name, weight in codes.weights.items()}
    for name, asked in codes.activations.items():
        stored = widened(asked, 8)
        entry = {"quant_type": "QUInt8", "scale": float(stored.scale), "zero_point": stored.zero_point}
        content[name] = [entry]
    return Emission(float_model(model, policy, codes, annotations), {OVERRIDES_FILE: content}, _fallbacks(codes))


def _weight(weight: WeightCodes) -> list[dict[str, Any]]:
    kind = _WEIGHT_TYPES[_stored_bits(weight)]
    entries: list[dict[str, Any]] = [
        {"quant_type": kind, "scale": float(scale), "zero_point": 0} for scale in weight.scale.reshape(-1)
    ]
    if not is_whole(weight):
        entries[0]["axis"] = weight.axis
    return entries


def _stored_bits(weight: WeightCodes) -> int:
    return next(width for width in _WEIGHT_TYPES if width >= weight.bits)


def _fallbacks(codes: NetworkCodes) -> tuple[Fallback, ...]:
    reason = "onnxruntime's quantiser has types of 4, 8 and 16 bits; the weights stay the same"
    weights = [
        Fallback(name, f"{weight.bits} bit{'s' * (weight.bits > 1)}", f"{_stored_bits(weight)} bits", reason)
        for name, weight in codes.weights.items()
        if _stored_bits(weight) != weight.bits
    ]
    reason = "onnxruntime loads no convolution whose data have 4 bits and its weights 8; the same range in finer steps"
    activations = [
        Fallback(name, f"{activation.bits} bit{'s' * (activation.bits > 1)}", "8 bits", reason)
        for name, activation in codes.activations.items()
        if activation.bits != 8
    ]
    return (*weights, *activations)
