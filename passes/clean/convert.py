"""Converts a model to the lowest opset that haqc emits, where that changes no number."""

from __future__ import annotations

import onnx_ir as ir
from onnxscript import version_converter

from haqc.errors import ModelError
from haqc.passes.clean.name import NodeNames

MIN_OPSET = 21
"""The opset of emitted files, unless the model's own is higher: the first with per-channel and 4-bit quantisers."""


def convert(model: ir.Model) -> None:
    """Converts a model without functions to opset 21, if its own is lower; nodes keep their names.

    Raises:
        ModelError: an operator cannot be converted.
    """
    opset = model.opset_imports.get("", 0)
    if opset >= MIN_OPSET:
        return
    _refuse_batched_scan(model, opset)
    names = NodeNames.of(model)
    version_converter.convert_version(model, MIN_OPSET, fallback=True)
    if model.opset_imports.get("", 0) != MIN_OPSET:
        raise ModelError(
            f"the model's opset {opset} cannot be converted to {MIN_OPSET}; export it with opset 17 or later"
        )
    names.restore(model)


def _refuse_batched_scan(model: ir.Model, opset: int) -> None:
    """Refuses what the conversion would change in silence: before opset 9 a Scan ran over a batch."""
    for node in ir.traversal.RecursiveGraphIterator(model.graph) if opset < 9 else ():
        if node.op_type == "Scan" and node.domain == "":
            raise ModelError(
                f"node '{node.name or node.outputs[0].name}' (Scan, opset {opset}) runs over a batch, which later "
                "opsets do not know; export the model with opset 9 or later"
            )
