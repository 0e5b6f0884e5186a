"""Emits AIMET's encodings, schemas 1.0.0 and 2.0.0, beside the float model, for Qualcomm's tools.

Biases have no entry: they lie on the grid of scale(activation) x scale(weight), which these tools give them.
Source: ``aimet_onnx/_encoding.py`` of AIMET 2.42 (Qualcomm, BSD-3), which reads and writes both schemas.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx_ir as ir

from haqc.codes import NetworkCodes, WeightCodes
from haqc.formats import ENCODINGS_FILES, Fallback
from haqc.passes.emit.emission import Emission
from haqc.passes.emit.floatmodel import float_model
from haqc.passes.emit.values import is_whole, widened
from haqc.policy import Policy

_WIDTHS = {"1.0.0": (2, 3, 4, 5, 6, 7, 8), "2.0.0": (2, 4, 8)}
"""Widths of integers that a schema has."""


def emit_encodings(model: ir.Model, policy: Policy, codes: NetworkCodes, annotations: Mapping[str, Any]) -> Emission:
    """Gives the float model and its encodings; widths that a schema lacks are rounded up.

    A weight keeps its step, so that it stays what it is; an activation keeps its range, and gets finer steps.

    Args:
        model: the cleaned model; it is not changed.
        policy: widths, for the annotations on the nodes.
        codes: what the quantised mirror stores.
        annotations: JSON for the model's metadata (policy, target, cost, provenance).

    Raises:
        ModelError: the model's operators need an IR version that runtimes do not read.
    """
    contents = {"1.0.0": _first_schema(codes), "2.0.0": _second_schema(codes)}
    return Emission(
        float_model(model, policy, codes, annotations),
        {ENCODINGS_FILES[schema]: content for schema, content in contents.items()},
        tuple(fallback for schema in contents for fallback in _fallbacks(codes, schema)),
    )


def _first_schema(codes: NetworkCodes) -> dict[str, Any]:
    """Gives schema 1.0.0: offsets are those of unsigned codes, and the axis is the operator's own."""
    weights = [_first_weight(name, weight) for name, weight in codes.weights.items()]
    activations = []
    for name, asked in codes.activations.items():
        stored = widened(asked, _stored_bits(asked.bits, "1.0.0"))
        entry = {"name": name, "dtype": "INT", "enc_type": "PER_TENSOR", "bw": stored.bits, "is_sym": False}
        activations.append(entry | {"scale": [float(stored.scale)], "offset": [-stored.zero_point]})
    return {"version": "1.0.0", "activation_encodings": activations, "param_encodings": weights}


def _first_weight(name: str, weight: WeightCodes) -> dict[str, Any]:
    bits, scales = _stored_bits(weight.bits, "1.0.0"), weight.scale.tolist()
    kind = "PER_TENSOR" if is_whole(weight) else "PER_CHANNEL"
    entry = {"name": name, "dtype": "INT", "enc_type": kind, "bw": bits, "is_sym": True}
    return entry | {"scale": scales, "offset": [-(1 << (bits - 1))] * len(scales)}


def _second_schema(codes: NetworkCodes) -> dict[str, Any]:
    """Gives schema 2.0.0, which says what an ONNX QuantizeLinear says."""
    entries: list[dict[str, Any]] = []
    for name, weight in codes.weights.items():
        dtype = f"int{_stored_bits(weight.bits, '2.0.0')}"
        steps: dict[str, Any] = {"y_scale": weight.scale.tolist(), "axis": weight.axis}
        if is_whole(weight):
            steps = {"y_scale": float(weight.scale.reshape(()))}
        entries.append({"name": name, "output_dtype": dtype, **steps})
    for name, asked in codes.activations.items():
        stored = widened(asked, _stored_bits(asked.bits, "2.0.0"))
        entry = {"name": name, "output_dtype": f"uint{stored.bits}", "y_scale": float(stored.scale)}
        entries.append(entry | ({"y_zero_point": stored.zero_point} if stored.zero_point else {}))
    return {"version": "2.0.0", "encodings": entries}


def _fallbacks(codes: NetworkCodes, schema: str) -> list[Fallback]:
    """Gives the tensors whose width a schema lacks."""
    widths = {name: weight.bits for name, weight in codes.weights.items()}
    widths |= {name: activation.bits for name, activation in codes.activations.items()}
    found = []
    for name, asked in widths.items():
        bits = _stored_bits(asked, schema)
        if bits != asked:
            effect = "the same weights" if name in codes.weights else "the same range in finer steps"
            reason = f"schema {schema} has no integers of that width; rounded up, {effect}"
            found.append(Fallback(name, _bits(asked), f"{_bits(bits)} in {ENCODINGS_FILES[schema]}", reason))
    return found


def _stored_bits(bits: int, schema: str) -> int:
    return next(width for width in _WIDTHS[schema] if width >= bits)


def _bits(count: int) -> str:
    return f"{count} bit{'s' * (count > 1)}"
