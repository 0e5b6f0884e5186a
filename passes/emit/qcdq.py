"""Emits QCDQ: QuantizeLinear, integer Clip, DequantizeLinear in 8-bit containers, for every width from 1 to 8.

Activations are uint8 codes clipped to their width between the two; weights are int8 codes, one scale per output
channel, zero point 0; biases are int32 codes of scale(activation) x scale(weight). In this form onnxruntime and
OpenVINO keep their integer kernels at every width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx_ir as ir

from haqc.codes import NetworkCodes
from haqc.passes.emit.note import annotate, finish
from haqc.passes.emit.quantisers import QuantiserWriter
from haqc.policy import Policy


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
    QuantiserWriter(emitted).write(model, policy, codes)
    finish(emitted, annotations)
    return emitted
