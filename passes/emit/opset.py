"""Raises the opset of a model that is about to be emitted."""

from __future__ import annotations

import onnx_ir as ir


def at_opset(model: ir.Model, opset: int) -> ir.Model:
    """Gives a copy of a cleaned model at an opset, or at its own if that is higher.

    From opset 21, which cleaned models have at least, to 26 operators only took on types and attributes that may be
    left out, so a model is at such an opset once it says so.

    Args:
        model: the cleaned model; it is not changed.
        opset: 21 to 26.
    """
    raised = model.clone()
    raised.opset_imports[""] = max(opset, raised.opset_imports[""])
    return raised
