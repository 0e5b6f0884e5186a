"""The widths that each operand may take: what the target offers, what pins leave, and what a group has in common."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass

from haqc.errors import PolicyError, nearest
from haqc.graph import FULL_BITS, Graph, Layer, Operand
from haqc.policy.pairs import pairs_of
from haqc.policy.policy import Bits
from haqc.precision import Precision

Fixed = dict[str, tuple[int, str]]
"""Width and reason by operand tensor."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The widths one operand may take, ascending; a single one when it is pinned."""

    operand: Operand
    widths: tuple[int, ...]
    reason: str = ""

    @property
    def is_free(self) -> bool:
        """Whether there is anything to decide."""
        return len(self.widths) > 1


def choose(
    graph: Graph, precision: Precision, min_bits: int, pins: Mapping[str, Bits], default_pins: bool
) -> tuple[Choice, ...]:
    """Gives one choice per operand, in the graph's order; what shares a width has equal choices.

    Raises:
        PolicyError: like :meth:`haqc.policy.Space.of`.
    """
    offered = {
        "weight": tuple(sorted({w for w, _ in precision.allowed_pairs if w <= FULL_BITS})),
        "activation": tuple(sorted({a for _, a in precision.allowed_pairs if a <= FULL_BITS})),
    }
    fixed = _shared(graph, _default_pins(graph)) if default_pins else {}
    fixed |= _shared(graph, _pinned(graph, pins, offered))
    choices = []
    for operand in graph.operands:
        if operand.tensor in fixed:
            width, reason = fixed[operand.tensor]
            choices.append(Choice(operand, (width,), reason))
        elif operand.fixed_bits is not None:
            choices.append(Choice(operand, (operand.fixed_bits,), operand.reason))
        else:
            widths = tuple(bits for bits in offered[operand.kind] if bits >= min_bits)
            if not widths:
                raise PolicyError(f"the target offers no {operand.kind} width of at least {min_bits} bits")
            choices.append(Choice(operand, widths))
    return meeting(graph, tuple(choices), precision)


def _default_pins(graph: Graph) -> Fixed:
    fixed: Fixed = {}
    for layer in graph.quantised_layers:
        reason = _default_pin(graph, layer)
        if reason:
            fixed[layer.weight] = fixed[layer.activation] = (FULL_BITS, reason)
    return fixed


def _default_pin(graph: Graph, layer: Layer) -> str:
    """Gives the reason why a layer is pinned at 8/8 by default, or an empty string."""
    if layer.activation in graph.inputs and not layer.is_table:  # a table reads indices, which no width rounds
        return "reads the network's input"
    return "last layer before an output" if layer.name in graph.last_layers else ""


def _pinned(graph: Graph, pins: Mapping[str, Bits], offered: Mapping[str, tuple[int, ...]]) -> Fixed:
    fixed: Fixed = {}
    for pattern, bits in pins.items():
        matched = [layer for layer in graph.quantised_layers if fnmatch.fnmatchcase(layer.name, pattern)]
        if not matched:
            hint = nearest(pattern, graph.layer)
            raise PolicyError(f"pin '{pattern}' matches no layer{hint}; 'haqc cost' lists the layers' names")
        for layer in matched:
            for tensor, kind, width in (
                (layer.weight, "weight", bits.weight),
                (layer.activation, "activation", bits.activation),
            ):
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
