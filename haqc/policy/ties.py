"""Layers that are to have equal widths: their weights become one decision, and their data another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from haqc.errors import PolicyError
from haqc.graph import Graph, Layer
from haqc.policy.patterns import matching
from haqc.policy.pins import default_pin
from haqc.policy.policy import Bits

OPTION = "--same-bits"
"""What the command line calls it, for messages."""


@dataclass(frozen=True, slots=True)
class Tie:
    """Layers whose weights have one width and whose data have one.

    Attributes:
        pattern: what names them.
        layers: the layers, two at least.
        sets: tensors of each decision, with all that share a width with one of them already: one for the weights and
            one for the data, or a single one where some tensor is both.
    """

    pattern: str
    layers: tuple[Layer, ...]
    sets: tuple[frozenset[str], ...]

    @classmethod
    def of(cls, graph: Graph, pattern: str) -> Tie:
        """Finds the layers and their tensors.

        Raises:
            PolicyError: the pattern means fewer than two layers, or some whose width is fixed beside some whose is not.
        """
        layers = matching(graph, pattern, OPTION)
        if len(layers) == 1:
            raise PolicyError(
                f"{OPTION} '{pattern}' matches '{layers[0].name}' alone, which is equal to itself; give a pattern that "
                "several layers match, or leave it out"
            )
        weights = [layer.weight for layer in layers]
        data = [layer.activation for layer in layers if layer.activation in graph.operand]
        sets = tuple(_closed(graph, pattern, tensors) for tensors in (weights, data))
        if sets[0] & sets[1]:
            sets = (sets[0] | sets[1],)
        return cls(pattern, layers, sets)


def tied(graph: Graph, patterns: Sequence[str], pins: Mapping[str, Bits], default_pins: bool) -> Graph:
    """Gives the graph in which the layers that each pattern means have equal widths.

    Args:
        graph: the graph.
        patterns: names or patterns of layers (``fnmatch``); what one means has nothing to do with what another means.
        pins: widths by layer name or pattern, which beat default pins.
        default_pins: whether first and last layers are pinned at 8/8.

    Raises:
        PolicyError: a pattern means no two layers; two patterns mean the same layer, or layers that share a tensor or a
            width; or a width is fixed.
    """
    ties = [Tie.of(graph, pattern) for pattern in dict.fromkeys(patterns)]
    for index, tie in enumerate(ties):
        if default_pins:
            _require_unpinned(graph, tie, pins)
        for other in ties[:index]:
            _require_apart(other, tie)
    member = {
        tensor: (name, f"one width for all that '{tie.pattern}' matches")
        for tie in ties
        for name, tensors in _named(graph, tie)
        for tensor in tensors
    }
    operands = (
        replace(operand, group=member[operand.tensor][0], reason=member[operand.tensor][1])
        if operand.tensor in member
        else operand
        for operand in graph.operands
    )
    return replace(graph, operands=tuple(operands)) if member else graph


def _closed(graph: Graph, pattern: str, tensors: Sequence[str]) -> frozenset[str]:
    """Gives tensors with all that share their widths; none where all are fixed.

    Raises:
        PolicyError: some are fixed, and others are not.
    """
    fixed = [tensor for tensor in tensors if graph.operand[tensor].fixed_bits is not None]
    if fixed and len(fixed) < len(tensors):
        operand = graph.operand[fixed[0]]
        raise PolicyError(
            f"{OPTION} '{pattern}' ties '{operand.layers[0]}', whose width is not searched ({operand.reason}), to "
            "layers whose is; give a pattern without it"
        )
    return frozenset() if fixed else frozenset(name for tensor in tensors for name in graph.sharing(tensor))


def _require_apart(one: Tie, other: Tie) -> None:
    common = {layer.name for layer in one.layers} & {layer.name for layer in other.layers}
    if common:
        raise PolicyError(
            f"{OPTION} '{one.pattern}' and '{other.pattern}' both match layer '{min(common)}', so they would be one "
            "group; give one pattern for all, or patterns that match different layers"
        )
    shared = sorted(frozenset[str]().union(*one.sets) & frozenset[str]().union(*other.sets))
    if shared:
        raise PolicyError(
            f"{OPTION} '{one.pattern}' and '{other.pattern}' match layers that share the width of '{shared[0]}', so "
            "they would be one group; give one pattern for all, or leave the layers that share it out"
        )


def _require_unpinned(graph: Graph, tie: Tie, pins: Mapping[str, Bits]) -> None:
    """Refuses to tie layers to one that is at 8/8 unasked: all of them would be."""
    asked = {layer.name for pattern in pins for layer in matching(graph, pattern, "pin")}
    reasons = {layer.name: default_pin(graph, layer) for layer in tie.layers if layer.name not in asked}
    pinned = [name for name, reason in reasons.items() if reason]
    if pinned and len(pinned) < len(tie.layers):
        raise PolicyError(
            f"{OPTION} '{tie.pattern}' ties '{pinned[0]}', which is pinned at 8/8 ({reasons[pinned[0]]}), to layers "
            "that are not; give a pattern without it, --no-default-pins, or a --pin"
        )


def _named(graph: Graph, tie: Tie) -> Iterator[tuple[str, frozenset[str]]]:
    """Gives the tensors of each decision under the name of their first, as other groups are named."""
    for tensors in tie.sets:
        if len(tensors) > 1:
            yield next(operand.tensor for operand in graph.operands if operand.tensor in tensors), tensors
