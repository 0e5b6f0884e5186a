"""The graph of a compile that quantises weights alone: what was quantised beside them stays in float."""

from __future__ import annotations

from dataclasses import replace

from haqc.graph import FULL_BITS, Graph, Layer
from haqc.precision import Precision

WEIGHT_ONLY = Precision(tuple(range(1, FULL_BITS + 1)), (FULL_BITS,), has_float=True)
"""The widths of weights alone, whatever the chip computes with, for it reads floats. Activations count as 8 bits."""

FLOAT_DATA = "activations stay in float, weights alone are quantised"
"""Why what a layer reads as data has no quantiser."""

FLOAT_PRODUCT = "it multiplies two activations, and weights alone are quantised"
"""Why a layer without stored weights stays in float."""


def weight_only(graph: Graph) -> Graph:
    """Gives the graph without quantisers of activations; products of two activations become layers in float."""
    weights = tuple(operand for operand in graph.operands if operand.kind == "weight")
    stored = {operand.tensor for operand in weights}
    return replace(graph, layers=tuple(_without_data(layer, stored) for layer in graph.layers), operands=weights)


def _without_data(layer: Layer, stored: set[str]) -> Layer:
    if layer.float_reason:
        return layer
    if layer.weight not in stored:
        return replace(layer, float_reason=FLOAT_PRODUCT)
    return replace(layer, data_reason=layer.data_reason or FLOAT_DATA)
