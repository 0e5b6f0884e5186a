"""Merges what stands twice in a graph: initialisers, of which large ones are never read for it, and nodes."""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes import common

_READ = 1 << 16
"""Bytes up to which the contents of an initialiser are compared."""


class MergeInitialisersPass(ir.passes.InPlacePass):
    """Makes one initialiser of those with the same place in an external file, or the same few values."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Merges the initialisers of the main graph; the first of equals stays."""
        kept: dict[tuple[object, ...], ir.Value] = {}
        merged = 0
        for name, value in list(model.graph.initializers.items()):
            key = _key(value)
            if key is None or value.is_graph_input() or value.is_graph_output():
                continue
            if kept.setdefault(key, value) is not value:
                value.replace_all_uses_with(kept[key])
                del model.graph.initializers[name]
                merged += 1
        return ir.passes.PassResult(model, bool(merged))


class MergeNodesPass(ir.passes.InPlacePass):
    """Makes one node of those that compute the same; what is drawn by lot is drawn for each."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Merges equal nodes of the main graph."""
        drawing = [node for node in model.graph if node.op_type in ("Bernoulli", "Dropout") and not node.domain]
        for index, node in enumerate(drawing):
            node.domain = f"haqc.drawn{index}"  # equal to no other
        try:
            return common.CommonSubexpressionEliminationPass()(model)
        finally:
            for node in drawing:
                node.domain = ""


def _key(value: ir.Value) -> tuple[object, ...] | None:
    tensor = value.const_value
    if tensor is None:
        return None
    form = (tensor.dtype, tuple(tensor.shape.numpy()))
    if isinstance(tensor, ir.ExternalTensor):
        return (*form, str(tensor.path), tensor.offset, tensor.length)
    if isinstance(tensor, ir.LazyTensor) or tensor.dtype == ir.DataType.STRING or tensor.nbytes > _READ:
        return None
    return (*form, tensor.tobytes())
