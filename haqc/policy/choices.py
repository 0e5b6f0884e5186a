"""The widths that each operand may take: what the target offers, what pins leave, and what a group has in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from haqc.errors import PolicyError
from haqc.graph import FULL_BITS, Graph, Operand
from haqc.policy.floors import narrowest_widths
from haqc.policy.pairs import pairs_of
from haqc.policy.pins import Offered, fixed_widths
from haqc.policy.policy import Bits
from haqc.precision import Precision


@dataclass(frozen=True, slots=True)
class Choice:
    """The widths one operand may take, ascending; a single one when it is pinned.

    Attributes:
        operand: the operand.
        widths: its widths.
        reason: why it has fewer than the target offers; empty where it has them all.
    """

    operand: Operand
    widths: tuple[int, ...]
    reason: str = ""

    @property
    def is_free(self) -> bool:
        """Whether there is anything to decide."""
        return len(self.widths) > 1


def choose(
    graph: Graph,
    precision: Precision,
    min_bits: int,
    pins: Mapping[str, Bits],
    default_pins: bool,
    at_least: Mapping[str, Bits],
) -> tuple[Choice, ...]:
    """Gives one choice per operand, in the graph's order; what shares a width has equal choices.

    Raises:
        PolicyError: like :meth:`haqc.policy.Space.of`.
    """
    offered: Offered = {
        "weight": tuple(sorted({w for w, _ in precision.allowed_pairs if w <= FULL_BITS})),
        "activation": tuple(sorted({a for _, a in precision.allowed_pairs if a <= FULL_BITS})),
    }
    fixed = fixed_widths(graph, pins, default_pins, offered)
    floors = narrowest_widths(graph, at_least, offered, fixed)
    choices = []
    for operand in graph.operands:
        if operand.tensor in fixed:
            width, reason = fixed[operand.tensor]
            choices.append(Choice(operand, (width,), reason))
        elif operand.fixed_bits is not None:
            choices.append(Choice(operand, (operand.fixed_bits,), operand.reason))
        else:
            floor, reason = floors.get(operand.tensor, (0, ""))
            least = max(min_bits, floor)
            widths = tuple(bits for bits in offered[operand.kind] if bits >= least)
            if not widths:
                raise PolicyError(f"the target offers no {operand.kind} width of at least {least} bits")
            choices.append(Choice(operand, widths, "; ".join(filter(None, (reason, operand.reason)))))
    return meeting(graph, tuple(choices), precision)


def meeting(graph: Graph, choices: tuple[Choice, ...], precision: Precision) -> tuple[Choice, ...]:
    """Leaves each choice the widths that make an allowed pair with some width of its partner, in all layers.

    Raises:
        PolicyError: a layer is left without any.
    """
    widths = {choice.operand.tensor: choice.widths for choice in choices}
    is_changed = True
    while is_changed:
        is_changed = False
        for layer in graph.quantised_layers:
            pairs = pairs_of(graph, layer, widths, precision)
            if not pairs:
                data = f" and activations of {widths[layer.activation]}" if layer.activation in widths else ""
                raise PolicyError(
                    f"layer '{layer.name}' is left weights of {widths[layer.weight]}{data} bits, which make no pair "
                    f"that the target offers ({precision.describe()}); change its pins or --min-bits"
                )
            for tensor, used in (
                (layer.weight, {pair.weight for pair in pairs}),
                (layer.activation, {pair.activation for pair in pairs}),
            ):
                for sharing in graph.sharing(tensor) if tensor in widths else ():
                    kept = tuple(width for width in widths[sharing] if width in used)
                    is_changed |= kept != widths[sharing]
                    widths[sharing] = kept
    return tuple(_left(choice, widths[choice.operand.tensor]) for choice in choices)


def _left(choice: Choice, widths: tuple[int, ...]) -> Choice:
    if choice.widths == widths:
        return choice
    reason = choice.reason or ("its layers leave it no other width" if len(widths) == 1 else "")
    return Choice(choice.operand, widths, reason)
