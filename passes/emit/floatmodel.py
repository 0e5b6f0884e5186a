"""The float model that lies beside documents which say how to quantise it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx_ir as ir

from haqc.codes import NetworkCodes
from haqc.passes.emit.note import annotate, finish
from haqc.passes.emit.values import bias_values, weight_values
from haqc.passes.emit.writer import GraphWriter
from haqc.policy import Policy


def float_model(model: ir.Model, policy: Policy, codes: NetworkCodes, annotations: Mapping[str, Any]) -> ir.Model:
    """Gives a copy of a cleaned float model with the floats that codes stand for as its weights and biases.

    So they lie on their grids already: whoever quantises them at these scales, or at as many bits more as there are,
    gets the same weights, however it rounds.

    Raises:
        ModelError: the model's operators need an IR version that runtimes do not read.
    """
    emitted = model.clone()
    annotate(emitted, policy, annotations)
    writer = GraphWriter(emitted)
    for name, array in codes.floats.items():
        writer.replace_constant(name, array)
    for name, weight in codes.weights.items():
        writer.replace_constant(name, weight_values(weight))
    for name, bias in codes.biases.items():
        writer.replace_constant(name, bias_values(bias))
    finish(emitted, annotations)
    return emitted
