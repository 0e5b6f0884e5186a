"""Writes a quantised network, each format by its own short file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import onnx_ir as ir

from haqc.codes import NetworkCodes
from haqc.formats import FormatName, carried_name
from haqc.passes.emit.codebook import emit_codebooks
from haqc.passes.emit.emission import Emission
from haqc.passes.emit.encodings import emit_encodings
from haqc.passes.emit.matmulnbits import emit_matmulnbits
from haqc.passes.emit.opset import at_opset
from haqc.passes.emit.overrides import emit_overrides
from haqc.passes.emit.qcdq import emit_qcdq
from haqc.passes.emit.qdq_native import emit_qdq_native
from haqc.passes.emit.qonnx import emit_qonnx
from haqc.policy import Policy

__all__ = ["EMITTERS", "Emission", "Emitter", "at_opset", "emit", "emit_codebooks", "emit_qcdq", "emit_qonnx"]

Emitter = Callable[[ir.Model, Policy, NetworkCodes, Mapping[str, Any]], ir.Model | Emission]
"""Takes the cleaned float model, which it does not change, the widths, what the quantised mirror stores, and JSON for
the model's metadata; gives a model, or with it documents and fallbacks."""

EMITTERS: Mapping[FormatName, Emitter] = {
    "qcdq": emit_qcdq,
    "qdq-native": emit_qdq_native,
    "matmulnbits": emit_matmulnbits,
    "qonnx": emit_qonnx,
    "encodings": emit_encodings,
    "overrides": emit_overrides,
    "codebook": emit_codebooks,
}


def emit(
    name: FormatName, model: ir.Model, policy: Policy, codes: NetworkCodes, annotations: Mapping[str, Any]
) -> Emission:
    """Writes a quantised network in one format.

    Args:
        name: the format.
        model: the cleaned float model; it is not changed.
        policy: the widths.
        codes: what the quantised mirror stores.
        annotations: JSON for the model's metadata (policy, target, cost, provenance), to which the format is added.

    Raises:
        ModelError: the model's operators need an IR version that runtimes do not read.
    """
    written = EMITTERS[name](model, policy, codes, {**annotations, "format": carried_name(name)})
    return written if isinstance(written, Emission) else Emission(written)
