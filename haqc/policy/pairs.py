"""The pairs of weight and activation widths that a layer may have, and how near one pair is to another."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from haqc.graph import FULL_BITS, Graph, Layer
from haqc.policy.policy import Bits
from haqc.precision import Precision

Fits = Callable[[Bits, Bits], bool]

_ONLY_FULL = (FULL_BITS,)
"""What a layer has whose data has no quantiser: it is priced as if they were 8 bits wide."""


def pairs_of(graph: Graph, layer: Layer, widths: Mapping[str, tuple[int, ...]], precision: Precision) -> list[Bits]:
    """Gives the allowed pairs of one layer, ascending; operands that share a width have one width for both.

    Args:
        widths: the widths that each operand may take, by tensor.
    """
    is_shared = is_tied(graph, layer)
    return [
        Bits(weight, activation)
        for weight in widths[layer.weight]
        for activation in widths.get(layer.activation, _ONLY_FULL)
        if precision.allows(weight, activation) and (weight == activation or not is_shared)
    ]


def combinations(graph: Graph, layer: Layer, widths: Mapping[str, tuple[int, ...]]) -> int:
    """Counts the pairs that a layer could have if the target allowed all."""
    activations = widths.get(layer.activation, _ONLY_FULL)
    return len(widths[layer.weight]) * (1 if is_tied(graph, layer) else len(activations))


def is_tied(graph: Graph, layer: Layer) -> bool:
    """Whether both operands of a layer share one width: a product of a tensor with itself, or within a group."""
    return layer.activation in graph.operand and layer.activation in graph.sharing(layer.weight)


def covers(pair: Bits, bits: Bits) -> bool:
    """Whether a pair is nowhere narrower than widths."""
    return pair.weight >= bits.weight and pair.activation >= bits.activation


def is_covered(pair: Bits, bits: Bits) -> bool:
    """Whether a pair is nowhere wider than widths."""
    return covers(bits, pair)


def distance(bits: Bits, pair: Bits) -> tuple[int, int, int]:
    """Orders pairs by the bits that are added or taken, then by what they cost to multiply, then by weights."""
    moved = abs(pair.weight - bits.weight) + abs(pair.activation - bits.activation)
    return moved, pair.weight * pair.activation, pair.weight


def listed(pairs: list[Bits]) -> str:
    """Names pairs, for messages."""
    return ", ".join(map(str, pairs)) or "no pair"
