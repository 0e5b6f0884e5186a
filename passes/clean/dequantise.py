"""Replaces stored codes by the weights they stand for."""

from __future__ import annotations

from functools import partial

import onnx_ir as ir

from haqc.passes.clean.grid import Grid, dequantise
from haqc.passes.clean.lazy import lazy_constant


class RestoreWeightsPass(ir.passes.InPlacePass):
    """Restores the weights whose codes turned out constant."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Replaces every DequantizeLinear of stored codes."""
        return ir.passes.PassResult(model, bool(restore_weights(model)))


def restore_weights(model: ir.Model) -> int:
    """Replaces every DequantizeLinear of stored codes by a float initialiser, computed when it is read.

    Returns:
        how many there were.
    """
    count = 0
    for node in list(ir.traversal.RecursiveGraphIterator(model.graph)):
        grid = Grid.of(node, "DequantizeLinear")
        if grid is None or grid.data.const_value is None or not grid.is_constant:
            continue
        output = node.outputs[0]
        assert grid.data.const_value is not None and grid.scale.const_value is not None
        assert isinstance(node.graph, ir.Graph)
        shape = [int(extent) for extent in grid.data.const_value.shape.numpy()]
        name = f"{grid.data.name}_dequantised"
        if name in model.graph.initializers:
            name = f"{output.name}_dequantised"
        weight = lazy_constant(name, grid.scale.const_value.dtype, shape, partial(dequantise, grid))
        model.graph.register_initializer(weight)
        replace_by(node, weight)
        count += 1
    return count


def replace_by(node: ir.Node, value: ir.Value | None) -> None:
    """Puts an Identity of a value in a node's place, which a later pass removes."""
    assert value is not None and node.graph is not None
    identity = ir.node("Identity", [value])
    output, given = identity.outputs[0], node.outputs[0]
    output.name, output.shape, output.type = given.name, given.shape, value.type
    ir.convenience.replace_nodes_and_values(node.graph, node, [node], [identity], [given], [output])
