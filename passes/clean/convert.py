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
    names = NodeNames.of(model)
    version_converter.convert_version(model, MIN_OPSET, fallback=True)
    if model.opset_imports.get("", 0) != MIN_OPSET:
        raise ModelError(
            f"the model's opset {opset} cannot be converted to {MIN_OPSET}; export it with opset 17 or later"
        )
    names.restore(model)
