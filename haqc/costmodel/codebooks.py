"""The size of a model whose weights are indices and codebooks, as it is stored; nothing else of it is priced.

Such weights are read as floats, and no target says what floats looked up in codebooks cost. Counted are all
initialisers of the emitted file: packed indices, codebooks, the constants that unpack them, biases and what else the
model stores in float. A fraction of a budget is of the bytes that the weights take at 8 bits, as everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from haqc.budget import Cost
from haqc.costmodel.table import CostTable, LayerCost
from haqc.graph import Graph
from haqc.packing import SHARED_BYTES, stored_bytes
from haqc.policy import Bits, Policy, Space
from haqc.precision import FLOAT_BITS
from haqc.terms import FIGURES, Axis, Moment, Reals, Terms, gather

_UNPRICED = Cost(math.nan, math.nan)


@dataclass(frozen=True)
class CodebookTable:
    """Sizes of a graph whose activations stay in float.

    Attributes:
        graph: the graph, see :func:`haqc.weightonly.weight_only`.
        linear: prices of the model with quantised activations on the target, for the baseline.
        shapes: extents of every weight tensor.
        other_bytes: what the model stores beside these weights.
    """

    graph: Graph
    linear: CostTable
    shapes: Mapping[str, tuple[int, ...]]
    other_bytes: int

    @property
    def batch(self) -> int:
        """Inferences of one batch."""
        return self.linear.batch

    @property
    def mode(self) -> str:
        """Mode of the cost model, whose prices are not used."""
        return self.linear.mode

    @cached_property
    def baseline(self) -> Cost:
        """The bytes of the weights at 8 bits, and of the activations at 8 bits."""
        whole = self.linear.baseline
        return replace(_UNPRICED, weight_bytes=whole.weight_bytes, peak_activation_bytes=whole.peak_activation_bytes)

    @cached_property
    def baseline_layers(self) -> tuple[LayerCost, ...]:
        """The layers with 8-bit weights, in graph order."""
        return tuple(self._sized(row, row.bits, row.weight_bytes) for row in self.linear.baseline_layers)

    def price(self, policy: Policy) -> Cost:
        """Gives the bytes of all initialisers of the file that a policy makes, and of the activations in float."""
        weights = sum(self._stored(operand.tensor, policy) for operand in self.graph.operands)
        memory = self.linear.schedule.peak_bytes({}, FLOAT_BITS)
        total = self.other_bytes + SHARED_BYTES + weights
        return replace(_UNPRICED, weight_bytes=float(total), peak_activation_bytes=memory)

    def terms(self, space: Space) -> Terms:
        """Gives the size of every policy of a space as a sum."""
        parts: list[tuple[tuple[str, ...], Reals]] = [
            ((), np.array([math.nan, math.nan, self.other_bytes + SHARED_BYTES]))
        ]
        fixed = space.narrowest.widths
        for operand in self.graph.operands:
            tensor, axis = operand.tensor, Axis.of(space, (operand.tensor,))
            widths = axis.bits(tensor, fixed[tensor])
            sizes = [(0.0, 0.0, self._bytes(tensor, bits)) for bits in widths.ravel().tolist()]
            parts.append((axis.tensors, np.array(sizes).reshape(*axis.shape, FIGURES)))
        return gather(space, parts, [Moment(self.linear.schedule.peak_bytes({}, FLOAT_BITS), {})])

    def layer_costs(self, policy: Policy) -> tuple[LayerCost, ...]:
        """Gives the bytes of each layer's weights, in graph order; those that layers share count at the first."""
        rows = []
        counted: set[str] = set()
        for layer, row in zip(self.graph.layers, self.linear.baseline_layers, strict=True):
            if layer.float_reason:
                size = 4.0 * layer.weight_values
            else:
                size = 0.0 if layer.weight in counted else float(self._stored(layer.weight, policy))
                counted.add(layer.weight)
            bits = Bits(policy.bits(layer).weight, FLOAT_BITS)
            rows.append(self._sized(replace(row, layer=layer), bits, size))
        return tuple(rows)

    def _stored(self, tensor: str, policy: Policy) -> int:
        return self._bytes(tensor, policy.widths[tensor])

    def _bytes(self, tensor: str, bits: int) -> int:
        shape = self.shapes[tensor]
        return stored_bytes(math.prod(shape), len(shape), bits)

    def _sized(self, row: LayerCost, bits: Bits, size: float) -> LayerCost:
        return replace(
            row,
            bits=bits,
            cycles=math.nan,
            latency_s=math.nan,
            energy_j=math.nan,
            energy_parts_j={},
            moved_bytes={},
            weight_bytes=size,
            container_bytes=size,
            metadata_bytes=0.0,
        )
