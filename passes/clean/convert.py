"""Converts a model to the lowest opset that haqc emits, where that changes no number."""

from __future__ import annotations

import logging

import onnx_ir as ir
from onnxscript import version_converter

from haqc.errors import ModelError
from haqc.passes.clean.name import NodeNames

MIN_OPSET = 21
"""The opset of emitted files, unless the model's own is higher: the first with per-channel and 4-bit quantisers."""

_RESIZE_OF_TODAY, _SCAN_OF_TODAY, _SOFTMAX_OF_TODAY = 11, 9, 13
"""The opsets in which Resize, Scan and Hardmax came to mean what they mean now."""


def convert(model: ir.Model) -> None:
    """Converts a model without functions to opset 21, if its own is lower; nodes keep their names.

    Raises:
        ModelError: an operator cannot be converted, or only so that its numbers change.
    """
    opset = model.opset_imports.get("", 0)
    if opset >= MIN_OPSET:
        return
    names = NodeNames.of(model)
    rounding = _check(model, opset)
    reason = _run_converter(model)
    if model.opset_imports.get("", 0) != MIN_OPSET:
        raise ModelError(
            f"the model's opset {opset} cannot be converted to {MIN_OPSET} ({reason}); export it with opset 17 or later"
        )
    for node in ir.traversal.RecursiveGraphIterator(model.graph):
        if node.op_type == "Resize" and node.outputs[0].name in rounding:
            where = ("coordinate_transformation_mode", "asymmetric"), ("nearest_mode", rounding[node.outputs[0].name])
            node.attributes.update({name: ir.AttrString(name, value) for name, value in where})
    names.restore(model)


class _Failure(logging.Handler):
    """Keeps why the converter gave up, which it tells the log alone."""

    reason = "an operator is unknown"

    def emit(self, record: logging.LogRecord) -> None:
        """Notes the message of the exception behind a record."""
        if record.exc_info is not None and record.exc_info[1] is not None:
            self.reason = str(record.exc_info[1]).rpartition(": ")[2]


def _run_converter(model: ir.Model) -> str:
    """Converts a model, if that is possible; gives the reason if it is not."""
    logger, failure = logging.getLogger("onnxscript.version_converter"), _Failure()
    kept = logger.level, logger.propagate
    logger.addHandler(failure)
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    try:
        version_converter.convert_version(model, MIN_OPSET, fallback=True)
    finally:
        logger.removeHandler(failure)
        logger.level, logger.propagate = kept
    return failure.reason


def _check(model: ir.Model, opset: int) -> dict[str | None, str]:
    """Refuses or corrects what the converters take for the operators of today.

    Returns:
        how old Resizes and Upsamples round a place to the nearest, by their outputs; they have no attribute for it.
    """
    rounding: dict[str | None, str] = {}
    for node in ir.traversal.RecursiveGraphIterator(model.graph):
        if node.domain not in ("", "ai.onnx"):
            continue
        if node.op_type in ("Resize", "Upsample") and opset < _RESIZE_OF_TODAY:
            rounding[node.outputs[0].name] = _rounding(node, opset)
        elif node.op_type == "Scan" and opset < _SCAN_OF_TODAY:
            raise ModelError(_unconvertible(node, opset, "it runs over a batch"))
        elif node.op_type == "Hardmax" and opset < _SOFTMAX_OF_TODAY:
            _normalise_axis(node, opset)
    return rounding


def _rounding(node: ir.Node, opset: int) -> str:
    """Gives how an old Resize rounds: onnxruntime rounds up along an axis that shrinks, and down along others."""
    if node.op_type == "Upsample" or node.attributes.get_string("mode", "nearest") != "nearest":
        return "floor"
    scales = node.inputs[1].const_value if len(node.inputs) > 1 and node.inputs[1] is not None else None
    if scales is None:
        raise ModelError(_unconvertible(node, opset, "its scales are computed"))
    shrinks, grows = bool((scales.numpy() < 1).any()), bool((scales.numpy() > 1).any())
    if shrinks and grows:
        raise ModelError(_unconvertible(node, opset, "it enlarges one axis and shrinks another"))
    return "ceil" if shrinks else "floor"


def _normalise_axis(node: ir.Node, opset: int) -> None:
    """Lets an old Hardmax name its axis, which is the last; others work on a matrix of all axes from there on."""
    shape = None if node.inputs[0] is None else node.inputs[0].shape
    rank = 0 if shape is None else len(shape)
    axis = node.attributes.get_int("axis", 1)
    if axis not in (-1, rank - 1):
        raise ModelError(_unconvertible(node, opset, f"it works on all axes from {axis} on"))
    node.attributes["axis"] = ir.AttrInt64("axis", -1)


def _unconvertible(node: ir.Node, opset: int, reason: str) -> str:
    name = node.name or (node.outputs[0].name if node.outputs else "")
    return (
        f"node '{name}' ({node.op_type}) of opset {opset} has no equal in opset {MIN_OPSET} ({reason}); "
        "export the model with opset 17 or later"
    )
