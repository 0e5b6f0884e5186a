"""Cross-layer equalisation: two layers in a row get weights of equal range in every channel between them.

What a layer writes in a channel is divided by a positive number, and what the next layer multiplies that channel by is
multiplied by it (Nagel et al., ICCV 2019, section 4.1). The float network stays what it was, for between the two stands
nothing, a Relu, a LeakyRelu or a PRelu, which pass positive factors on.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor

from haqc.graph import Graph, Layer
from haqc.mirror import Mirror

_HOMOGENEOUS = frozenset({"Relu", "LeakyRelu", "PRelu"})
_ROUNDS = 10
"""A layer between two others is equalised with both, in turns; the ranges settle within a few."""


@torch.no_grad()
def equalise(mirror: Mirror, model: ir.Model, graph: Graph) -> dict[str, np.ndarray]:
    """Gives the weights and biases that change, by name.

    Args:
        mirror: the float mirror; it stays as it is.
        model: the model that it was made of.
        graph: its layers.
    """
    pairs = _pairs(mirror, model, graph)
    names = {name for pair in pairs for name in (pair.first.weight, pair.first.bias, pair.second.weight) if name}
    values = {name: mirror.value(name).detach().cpu().clone() for name in sorted(names)}
    for _ in range(_ROUNDS):
        for pair in pairs:
            written = values[pair.first.weight]
            read = pair.by_channel(values[pair.second.weight])
            largest, next_largest = written.abs().flatten(1).amax(dim=1), read.abs().flatten(1).amax(dim=1)
            factor = (largest / next_largest).sqrt()
            factor = torch.where((largest > 0) & (next_largest > 0), factor, torch.ones_like(factor))
            written.div_(_along(factor, written))
            read.mul_(_along(factor, read))
            if pair.first.bias:
                values[pair.first.bias].div_(factor)
    return {name: value.numpy() for name, value in values.items()}


@dataclass(frozen=True)
class _Pair:
    """Two convolutions of which the second alone reads what the first gives."""

    first: Layer
    second: Layer

    def by_channel(self, weight: Tensor) -> Tensor:
        """Gives a view of the second's weights with the channels between the layers along the first axis."""
        return weight if self.second.is_depthwise else weight.transpose(0, 1)


def _pairs(mirror: Mirror, model: ir.Model, graph: Graph) -> list[_Pair]:
    nodes = {str(node.name): node for node in model.graph}
    reads = Counter(name for step in mirror.steps for name in step.operands)
    readers = {step.inputs[0]: step.name for step in mirror.steps if step.inputs}
    layers = {layer.nodes[0]: layer for layer in graph.quantised_layers}
    found = []
    for first in graph.quantised_layers:
        second = layers.get(readers.get(first.output, ""))
        if second is None or first.op != "Conv" or second.op != "Conv" or first.output in graph.outputs:
            continue
        chain = [nodes[name] for name in first.nodes]
        between = [str(node.outputs[0].name) for node in chain]
        own = [name for name in (first.weight, first.bias, second.weight, *between) if name]
        has_bias = len(chain[0].inputs) > 2 and chain[0].inputs[2] is not None
        if (
            all(reads[name] == 1 for name in own)
            and len(chain) <= 2
            and all(node.op_type in _HOMOGENEOUS for node in chain[1:])
            and has_bias == bool(first.bias)
            and (second.groups == 1 or second.is_depthwise)
            and second.in_channels == first.out_channels
        ):
            found.append(_Pair(first, second))
    return found


def _along(factor: Tensor, weight: Tensor) -> Tensor:
    return factor.reshape(-1, *[1] * (weight.ndim - 1))
