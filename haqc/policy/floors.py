"""The narrowest widths that layers may have by the user's word."""

from __future__ import annotations

from collections.abc import Mapping

from haqc.errors import PolicyError
from haqc.graph import Graph, OperandKind
from haqc.policy.patterns import matching
from haqc.policy.pins import Fixed, Offered
from haqc.policy.policy import Bits

OPTION = "--at-least"
"""What the command line calls it, for messages."""

Floors = dict[str, tuple[int, str]]
"""Narrowest width and reason by operand tensor."""


def narrowest_widths(graph: Graph, at_least: Mapping[str, Bits], offered: Offered, fixed: Fixed) -> Floors:
    """Gives the operands that have a narrowest width; of several, the widest counts, and so it does for a whole group.

    Args:
        graph: the graph.
        at_least: narrowest widths by layer name or pattern.
        offered: what the target has.
        fixed: the operands that pins leave one width.

    Raises:
        PolicyError: a pattern matches no layer, the target has no such width or wider, or a pin is narrower.
    """
    floors: Floors = {}
    for pattern, bits in at_least.items():
        for layer in matching(graph, pattern, OPTION):
            asked: tuple[tuple[str, OperandKind, int], ...] = (
                (layer.weight, "weight", bits.weight),
                (layer.activation, "activation", bits.activation),
            )
            for tensor, kind, least in asked:
                if least > offered[kind][-1]:
                    raise PolicyError(
                        f"{OPTION} '{pattern}' asks for {kind}s of {least} bits or more; offered are {offered[kind]}"
                    )
                for name in graph.sharing(tensor) if tensor in graph.operand else ():
                    _require_no_narrower(layer.name, name, fixed, least, pattern)
                    if least > floors.get(name, (0, ""))[0]:
                        floors[name] = (least, f"at least {least} bits by '{pattern}'")
    return floors


def _require_no_narrower(layer: str, tensor: str, fixed: Fixed, least: int, pattern: str) -> None:
    width, reason = fixed.get(tensor, (least, ""))
    if width < least:
        raise PolicyError(
            f"{OPTION} '{pattern}' asks for {least} bits or more in '{layer}', but '{tensor}' has {width} ({reason}); "
            "change the pin or the pattern"
        )
