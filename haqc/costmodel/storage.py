"""Bytes that a graph's parameters take where they are stored: packed, in containers, and what comes with them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from haqc.graph import Graph, Layer
from haqc.precision import Precision

Integers = npt.NDArray[np.int64]

QUANTISER_BYTES = 4 + 1
"""A float32 scale and a zero point of one code, as emitted files carry them; weights have one of each per channel."""


@dataclass(frozen=True, slots=True, eq=False)
class Storage:
    """What the layers' weights and quantisers take. Make one through :meth:`of`.

    Attributes:
        packed_bytes: weights at their widths without gaps, rounded up to bytes by layer, [layer, weight width].
        container_bytes: weights in the containers of the chip, like ``packed_bytes``.
        metadata_bytes: scales and zero points of what each layer is the first to read, [layer].
        joint_metadata_bytes: scales and zero points of tensors that no layer reads as an operand.
    """

    packed_bytes: Integers
    container_bytes: Integers
    metadata_bytes: Integers
    joint_metadata_bytes: int

    @classmethod
    def of(cls, graph: Graph, precision: Precision) -> Storage:
        """Counts a graph's parameters; layers in float have 32-bit weights, or 8 where the chip has no float."""
        values = np.array([layer.weight_values for layer in graph.layers], np.int64)[:, None]
        widths = precision.weight_widths
        floating = np.array([bool(layer.float_reason) for layer in graph.layers], np.bool_)
        sizes = []
        for bits in (widths, [precision.weight_container_bits(width) for width in widths]):
            stored = -(-values * np.array(bits, np.int64) // 8)
            stored[floating] = values[floating] * precision.unquantised_bits // 8
            sizes.append(stored)
        seen: set[str] = set()
        metadata = [0 if layer.float_reason else _quantisers(layer, graph, seen) for layer in graph.layers]
        joint = sum(QUANTISER_BYTES for operand in graph.operands if operand.tensor not in seen)
        return cls(sizes[0], sizes[1], np.array(metadata, np.int64), joint)


def _quantisers(layer: Layer, graph: Graph, seen: set[str]) -> int:
    """Gives the bytes of the scales and zero points of the operands that no layer before has read."""
    total = 0
    for tensor in (layer.weight, layer.activation):
        if tensor in seen:
            continue
        seen.add(tensor)
        operand = graph.operand.get(tensor)
        if operand is not None:
            total += QUANTISER_BYTES * (layer.weight_scales if operand.kind == "weight" else 1)
    return total
