"""Whether a saved policy is of the graph that it is to be applied to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from haqc.errors import PolicyError
from haqc.graph import Graph, Layer
from haqc.policy.file import OTHER_MODEL, read
from haqc.policy.policy import Policy


def read_fitting(graph: Graph, path: Path) -> Policy:
    """Reads the ``policy.json`` at ``path`` for ``graph``, which must have the same layers in the same order.

    Raises:
        PolicyError: what :func:`haqc.policy.read` raises; or the graph was edited, and the message says where.
    """
    policy = read(graph, path)
    listed = json.loads(path.read_text(encoding="utf-8"))["layers"]
    for place, layer in enumerate(graph.layers):
        name = listed[place]["name"] if place < len(listed) else None
        if name is None:
            raise PolicyError(f"'{path}' gives no widths for layer '{layer.name}'; {OTHER_MODEL}")
        if name != layer.name:
            raise PolicyError(
                f"'{path}' has layer '{name}' where the model has '{layer.name}'; the graph was edited: compile again"
            )
        difference = _difference(layer, listed[place])
        if difference:
            raise PolicyError(f"'{path}' {difference}")
    return policy


def require_tensors(graph: Graph, path: Path) -> None:
    """Refuses a policy that gives no width for a tensor that no layer reads, and sums or pools do.

    Args:
        graph: the graph, without tensors that have no finite range, since a compile drops those.
        path: a ``policy.json`` that was read already.

    Raises:
        PolicyError: a tensor is missing.
    """
    listed = json.loads(path.read_text(encoding="utf-8"))["tensors"]
    missing = next((o.tensor for o in graph.operands if not o.layers and o.tensor not in listed), None)
    if missing is not None:
        raise PolicyError(f"'{path}' gives no width for tensor '{missing}'; the graph was edited: compile again")


def _difference(layer: Layer, entry: Mapping[str, Any]) -> str:
    """Says how a layer of the policy differs from the model's; an empty string where it does not."""
    if entry.get("op") != layer.op:
        return (
            f"has layer '{layer.name}' as {entry.get('op')}, and in the model it is {layer.op}; the graph was edited: "
            "compile again"
        )
    for key, reason, what in (("float", layer.float_reason, ""), ("float_data", layer.data_reason, "the data of ")):
        if entry.get(key) and not reason:
            return f"leaves {what}layer '{layer.name}' in float, where this model's would be quantised; " + (
                "add --keep-float with its name" if key == "float" else "it is of another way to quantise: compile"
            )
        if reason and not entry.get(key):
            return f"gives {what}layer '{layer.name}' widths, and here it stays in float ({reason}); compile again"
    return ""
