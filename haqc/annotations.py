"""What an emitted file says of itself: policy, target, cost and provenance, as one JSON in the model's metadata.

The file may come from anywhere, so everything is checked before it is believed: size, version, types.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx_ir as ir

from haqc import onnxfile
from haqc.errors import ModelError
from haqc.graph import FULL_BITS
from haqc.onnxfile import METADATA_KEY

ANNOTATIONS_SCHEMA = 1
"""The ``schema`` of the annotations that this haqc writes and reads (``docs/output-files.md``)."""

LARGEST_BYTES = 1 << 26
"""Bytes of annotations that are read; those of a thousand layers take a quarter of a megabyte."""

_FIGURES = ("energy_j", "latency_s", "weight_bytes", "peak_activation_bytes")
_PARTS: Mapping[str, type] = {
    "haqc": str, "format": str, "policy": dict, "target": dict, "cost": dict, "provenance": dict
}  # fmt: skip
_TARGET: Mapping[str, type] = {
    **dict.fromkeys(("name", "title", "kind", "mode", "latency_grade", "energy_grade"), str), "batch": int
}  # fmt: skip


def read_annotations(path: Path) -> dict[str, Any]:
    """Reads the annotations of an emitted file.

    Raises:
        ModelError: the file cannot be read, carries none, or carries what haqc did not write, or a newer haqc did.
    """
    return checked(onnxfile.read(path), path)


def checked(model: ir.Model, path: Path) -> dict[str, Any]:
    """Gives the annotations of a model that was read from ``path``.

    Raises:
        ModelError: like :func:`read_annotations`.
    """
    text = model.metadata_props.get(METADATA_KEY)
    if text is None:
        raise ModelError(f"'{path}' carries no annotations of haqc; give a file that 'haqc compile' wrote")
    if len(text) > LARGEST_BYTES:
        raise ModelError(f"the annotations of '{path}' are larger than any that haqc writes; compile again")
    try:
        content = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"the annotations of '{path}' are not JSON; they were edited: compile again") from error
    if not isinstance(content, dict) or not _is_whole(content.get("schema")):
        raise _unknown(path, "they have no schema")
    if content["schema"] != ANNOTATIONS_SCHEMA:
        raise ModelError(
            f"'{path}' has annotations of schema {content['schema']}, and this haqc reads {ANNOTATIONS_SCHEMA}; "
            "use the version that wrote it"
        )
    mistake = _mistake(content)
    if mistake:
        raise _unknown(path, mistake)
    return content


def _mistake(content: Mapping[str, Any]) -> str:
    """Says what is not as haqc writes it; an empty string where nothing is."""
    for names, holder, where in ((_PARTS, content, ""), (_TARGET, content.get("target"), "target.")):
        wrong = next((name for name, kind in names.items() if not _is(holder, name, kind)), None)
        if wrong is not None:
            return f"'{where}{wrong}' is missing or of another type"
    cost = content["cost"]
    for name in ("baseline", "policy"):
        if not _is(cost, name, dict) or not all(_is_figure(cost[name].get(figure, "")) for figure in _FIGURES):
            return f"'cost.{name}' lacks a figure"
    if not _is(cost, "budget", list):
        return "'cost.budget' is missing or of another type"
    return _mistake_in_policy(content["policy"])


def _mistake_in_policy(policy: Mapping[str, Any]) -> str:
    if not (_is(policy, "schema", int) and _is(policy, "model", str) and _is(policy, "layers", list)):
        return "'policy' is none"
    for layer in policy["layers"]:
        if not isinstance(layer, dict) or not (_is(layer, "name", str) and _is(layer, "op", str)):
            return "'policy.layers' holds what is no layer"
        if not all(_is_width(layer.get(f"{which}_bits")) for which in ("weight", "activation")):
            return f"layer '{layer['name']}' has no widths of 1 to {FULL_BITS}"
    tensors = policy.get("tensors")
    if not isinstance(tensors, dict) or not all(_is_width(bits) for bits in tensors.values()):
        return "'policy.tensors' holds what is no width"
    return ""


def _is(holder: Any, name: str, kind: type) -> bool:
    """Whether a mapping holds a value of a type under a name; a truth value is no whole number."""
    value = holder.get(name) if isinstance(holder, dict) else None
    return _is_whole(value) if kind is int else isinstance(value, kind)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_width(value: Any) -> bool:
    return _is_whole(value) and 1 <= value <= FULL_BITS


def _is_figure(value: Any) -> bool:
    """Whether a value is a finite number, or nothing, which stands for what is not priced."""
    is_number = _is_whole(value) or isinstance(value, float)
    return value is None or (is_number and abs(value) < 1e300 and math.isfinite(value))


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _unknown(path: Path, mistake: str) -> ModelError:
    return ModelError(f"'{path}' has annotations that haqc did not write: {mistake}; compile again")
