"""Inlines the functions that a file defines, unless they would unfold to more nodes than any network has."""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes import common

from haqc.errors import ModelError

_MOST_NODES = 1_000_000


def inline(model: ir.Model) -> None:
    """Replaces every call of a function by its nodes; none of the functions is left.

    Raises:
        ModelError: the functions unfold to more than a million nodes.
    """
    if model.functions:
        count = _unfolded(model)
        if count > _MOST_NODES:
            raise ModelError(
                f"the model's functions unfold to {count} nodes; haqc takes {_MOST_NODES}: export it without functions"
            )
        common.InlinePass()(model)
    model.functions.clear()


def _unfolded(model: ir.Model) -> int:
    """Counts the nodes that a model has once its functions are inlined; one that calls itself counts once."""
    counts: dict[ir.OperatorIdentifier, int] = {}

    def count(graph: ir.Graph | ir.Function) -> int:
        total = 0
        for node in ir.traversal.RecursiveGraphIterator(graph):
            called = node.op_identifier()
            if called not in model.functions:
                total += 1
                continue
            if called not in counts:
                counts[called] = 1
                counts[called] = count(model.functions[called])
            total += counts[called]
        return total

    return count(model.graph)
