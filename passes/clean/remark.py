"""What clean-up says about a model: sentences for people, kept beside the graph and never written into a file."""

from __future__ import annotations

import onnx_ir as ir

_KEY = "haqc.remarks"


def remarks(model: ir.Model) -> tuple[str, ...]:
    """Gives what a clean-up remarked on a model, one sentence each; a copy of the model keeps them."""
    return tuple(model.graph.meta.get(_KEY, ()))


def remark(model: ir.Model, *sentences: str) -> None:
    """Adds sentences to a model's remarks, each once."""
    model.graph.meta[_KEY] = tuple(dict.fromkeys((*remarks(model), *sentences)))
