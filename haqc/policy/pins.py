"""The widths that are not searched: first and last layers, and what the user pins."""

from __future__ import annotations

from collections.abc import Mapping

from haqc.errors import PolicyError
from haqc.graph import FULL_BITS, Graph, Layer, OperandKind
from haqc.policy.patterns import matching
from haqc.policy.policy import Bits

Fixed = dict[str, tuple[int, str]]
"""Width and reason by operand tensor."""

Offered = Mapping[OperandKind, tuple[int, ...]]
"""The widths that a target has for weights and for data, ascending."""


def fixed_widths(graph: Graph, pins: Mapping[str, Bits], default_pins: bool, offered: Offered) -> Fixed:
    """Gives the operands that pins leave one width; a pin of the user's beats a default one.

    Args:
        graph: the graph.
        pins: widths by layer name or pattern; of several that match a layer the last counts.
        default_pins: whether first and last layers are pinned at 8/8.
        offered: what the target has.

    Raises:
        PolicyError: a pin matches no layer, or has a width that the target lacks; or two differ for one group.
    """
    fixed: Fixed = {}
    for layer in graph.quantised_layers if default_pins else ():
        reason = default_pin(graph, layer)
        if reason:
            fixed[layer.weight] = fixed[layer.activation] = (FULL_BITS, reason)
    return _shared(graph, fixed) | _shared(graph, _pinned(graph, pins, offered))


def default_pin(graph: Graph, layer: Layer) -> str:
    """Gives the reason why a layer is pinned at 8/8 by default, or an empty string."""
    if layer.activation in graph.inputs and not layer.is_table:  # a table reads indices, which no width rounds
        return "reads the network's input"
    return "last layer before an output" if layer.name in graph.last_layers else ""


def _pinned(graph: Graph, pins: Mapping[str, Bits], offered: Offered) -> Fixed:
    fixed: Fixed = {}
    for pattern, bits in pins.items():
        for layer in matching(graph, pattern, "pin"):
            asked: tuple[tuple[str, OperandKind, int], ...] = (
                (layer.weight, "weight", bits.weight),
                (layer.activation, "activation", bits.activation),
            )
            for tensor, kind, width in asked:
                if width not in offered[kind]:
                    raise PolicyError(f"pin '{pattern}' asks for {width}-bit {kind}s; offered are {offered[kind]}")
                fixed[tensor] = (width, f"pinned by '{pattern}'")
    return fixed


def _shared(graph: Graph, fixed: Fixed) -> Fixed:
    """Gives every member of a group the width that one of them is fixed at.

    Raises:
        PolicyError: two members are fixed at different widths.
    """
    spread = dict(fixed)
    for tensors in graph.groups.values():
        pinned = [tensor for tensor in tensors if tensor in fixed]
        for tensor in pinned:
            if fixed[tensor][0] != fixed[pinned[0]][0]:
                raise PolicyError(
                    f"tensors '{pinned[0]}' and '{tensor}' are of one group and share one width, but the first is "
                    f"{fixed[pinned[0]][1]} at {fixed[pinned[0]][0]} bits and the second {fixed[tensor][1]} at "
                    f"{fixed[tensor][0]}; pin them alike"
                )
        if pinned:
            width = fixed[pinned[0]][0]
            for tensor in set(tensors) - set(pinned):
                spread[tensor] = (width, f"shares its width with '{pinned[0]}'")
    return spread
