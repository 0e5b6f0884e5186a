"""Bitwidths per layer, valid by construction.

A :class:`Space` says which widths every operand of a graph may take on a target; a :class:`Policy` is one point of a
space and can be made only through it, so pins, shared tensors and the target's widths hold for whatever made it.
"""

from __future__ import annotations

import fnmatch
import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from haqc.errors import PolicyError, nearest
from haqc.graph import FULL_BITS, Graph, Layer, Operand
from haqc.precision import Precision

POLICY_SCHEMA = 1


@dataclass(frozen=True, slots=True, order=True)
class Bits:
    """The widths of one layer: of its weights and of the data it reads."""

    weight: int
    activation: int

    def __str__(self) -> str:
        return f"{self.weight}/{self.activation}"


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


@dataclass(frozen=True)
class Policy:
    """A width for every operand of a graph. Make one through :meth:`Space.policy`.

    Attributes:
        graph: the graph it is for.
        widths: width by operand tensor, complete.
    """

    graph: Graph
    widths: Mapping[str, int]

    def bits(self, layer: Layer) -> Bits:
        """Gives the widths of one layer; 8/8 for a layer kept in float, which is how it is priced."""
        return Bits(self.widths.get(layer.weight, FULL_BITS), self.widths.get(layer.activation, FULL_BITS))

    @cached_property
    def layer_bits(self) -> tuple[Bits, ...]:
        """The widths of all layers, in graph order."""
        return tuple(self.bits(layer) for layer in self.graph.layers)

    @cached_property
    def key(self) -> str:
        """A short digest that is equal exactly for equal widths."""
        text = ",".join(f"{tensor}={bits}" for tensor, bits in sorted(self.widths.items()))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """Gives the policy as written to ``policy.json``: layers in graph order, then the other quantised tensors."""
        layers = [
            {"name": layer.name, "op": layer.op, "weight_bits": bits.weight, "activation_bits": bits.activation}
            | ({"float": layer.float_reason} if layer.float_reason else {})
            for layer, bits in zip(self.graph.layers, self.layer_bits, strict=True)
        ]
        others = {o.tensor: self.widths[o.tensor] for o in self.graph.operands if not o.layers}
        return {"schema": POLICY_SCHEMA, "model": self.graph.name, "layers": layers, "tensors": others}


@dataclass(frozen=True)
class Space:
    """Every policy that a graph may have on a target, pins included.

    Attributes:
        graph: the graph.
        choices: one per operand, in the graph's order of operands.
    """

    graph: Graph
    choices: tuple[Choice, ...]
    precision: Precision

    @classmethod
    def of(
        cls,
        graph: Graph,
        precision: Precision,
        *,
        min_bits: int = 2,
        pins: Mapping[str, Bits] | None = None,
        default_pins: bool = True,
    ) -> Space:
        """Makes the space from what the target offers and what the user pins.

        Args:
            precision: what the target offers.
            min_bits: the narrowest width searched.
            pins: widths by layer name or name pattern (``fnmatch``).
            default_pins: pin at 8/8 every layer that reads a graph input, and the last layer before each output.

        Raises:
            PolicyError: a pin names no layer, or a width the target lacks; or pins leave a layer no allowed pair.
        """
        offered = {
            "weight": tuple(sorted({w for w, _ in precision.allowed_pairs if w <= FULL_BITS})),
            "activation": tuple(sorted({a for _, a in precision.allowed_pairs if a <= FULL_BITS})),
        }
        fixed: dict[str, tuple[int, str]] = {}
        for layer in graph.quantised_layers:
            reason = _default_pin(graph, layer) if default_pins else ""
            if reason:
                fixed[layer.weight] = fixed[layer.activation] = (FULL_BITS, reason)
        for pattern, bits in (pins or {}).items():
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
        space = cls(graph, meeting(graph, tuple(choices), precision), precision)
        space.policy({choice.operand.tensor: choice.widths[-1] for choice in space.free})  # refuses what pins rule out
        return space

    @cached_property
    def free(self) -> tuple[Choice, ...]:
        """The choices that are really open."""
        return tuple(choice for choice in self.choices if choice.is_free)

    def policy(self, widths: Mapping[str, int]) -> Policy:
        """Makes the legal policy nearest above the given widths; pinned operands keep theirs, whatever is asked.

        A layer whose pair of widths the target does not allow is raised to the pair that covers it with the fewest
        bits, and so on until every layer has a pair that is allowed.

        Raises:
            PolicyError: a free operand is missing, or has a width outside its choice; or no pair covers what is asked.
        """
        complete = {}
        for choice in self.choices:
            tensor = choice.operand.tensor
            if not choice.is_free:
                complete[tensor] = choice.widths[0]
            elif tensor not in widths:
                raise PolicyError(f"the policy gives no width for '{tensor}'")
            elif widths[tensor] not in choice.widths:
                raise PolicyError(f"'{tensor}' cannot have {widths[tensor]} bits; allowed are {choice.widths}")
            else:
                complete[tensor] = int(widths[tensor])
        if not self.is_product:
            self._meet(complete, _covers)
        return Policy(self.graph, complete)

    def lowered(self, policy: Policy, tensor: str, width: int) -> Policy | None:
        """Narrows one operand of a legal policy, and with it what cannot stay as it is.

        A layer whose pair is not allowed any more is lowered to the pair with the most bits that it covers, and so on.

        Returns:
            The legal policy, nowhere wider than ``policy``; ``None`` when there is none.
        """
        complete = {**policy.widths, tensor: width}
        if not self.is_product:
            try:
                self._meet(complete, _is_covered)
            except PolicyError:
                return None
        return Policy(self.graph, complete)

    def allows(self, widths: Mapping[str, int]) -> bool:
        """Whether widths by operand tensor make a legal policy as they stand, without any being raised."""
        for choice in self.choices:
            if widths.get(choice.operand.tensor, choice.widths[0]) not in choice.widths:
                return False
        asked = Policy(self.graph, {c.operand.tensor: widths.get(c.operand.tensor, c.widths[0]) for c in self.choices})
        bits = (asked.bits(layer) for layer in self.graph.quantised_layers)
        return all(self.precision.allows(pair.weight, pair.activation) for pair in bits)

    @cached_property
    def is_product(self) -> bool:
        """Whether every layer may combine the widths of its operands freely, so that nothing is ever raised."""
        for layer in self.graph.quantised_layers:
            weights, activations = self._widths[layer.weight], self._widths[layer.activation]
            combinations = len(weights) * (len(activations) if layer.weight != layer.activation else 1)
            if len(_pairs(layer, weights, activations, self.precision)) != combinations:
                return False
        return True

    @cached_property
    def _widths(self) -> dict[str, tuple[int, ...]]:
        return {choice.operand.tensor: choice.widths for choice in self.choices}

    def pairs(self, layer: Layer) -> list[Bits]:
        """Gives the pairs of widths that one layer may have, ascending."""
        return _pairs(layer, self._widths[layer.weight], self._widths[layer.activation], self.precision)

    def _meet(self, widths: dict[str, int], fits: Fits) -> None:
        """Moves the widths of layers in place until each has an allowed pair; all moves go the same way, so they end.

        Raises:
            PolicyError: a layer has no allowed pair that fits.
        """
        is_moved = True
        while is_moved:
            is_moved = False
            for layer in self.graph.quantised_layers:
                bits = Bits(widths[layer.weight], widths[layer.activation])
                if self.precision.allows(bits.weight, bits.activation):
                    continue
                pairs = self.pairs(layer)
                fitting = [pair for pair in pairs if fits(pair, bits)]
                if not fitting:
                    raise PolicyError(
                        f"layer '{layer.name}' cannot have {bits} bits (weights/activations) or more: the target "
                        f"offers {self.precision.describe()}, and pins leave it {_texts(pairs)}; change the pins"
                    )
                met = min(fitting, key=functools.partial(_distance, bits))
                widths[layer.weight], widths[layer.activation] = met.weight, met.activation
                is_moved = True

    def uniform(self, weight: int, activation: int) -> Policy:
        """Makes the policy with the same two widths everywhere, each rounded up to the next that is allowed."""
        asked = {"weight": weight, "activation": activation}
        return self.policy({c.operand.tensor: _at_least(c.widths, asked[c.operand.kind]) for c in self.free})

    @property
    def narrowest(self) -> Policy:
        """The policy with every free operand at its narrowest width, raised to what the target allows.

        Where with any two allowed pairs also their narrower widths make an allowed pair, as on every built-in target,
        no legal policy is narrower anywhere.
        """
        return self.policy({choice.operand.tensor: choice.widths[0] for choice in self.free})

    @property
    def widest(self) -> Policy:
        """The policy with every free operand at its widest width."""
        return self.policy({choice.operand.tensor: choice.widths[-1] for choice in self.free})


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
            weights, activations = widths[layer.weight], widths[layer.activation]
            pairs = _pairs(layer, weights, activations, precision)
            if not pairs:
                raise PolicyError(
                    f"layer '{layer.name}' is left weights of {weights} and activations of {activations} bits, which "
                    f"make no pair that the target offers ({precision.describe()}); change its pins or --min-bits"
                )
            kept_weights = tuple(w for w in weights if any(pair.weight == w for pair in pairs))
            kept_activations = tuple(a for a in activations if any(pair.activation == a for pair in pairs))
            if (kept_weights, kept_activations) != (weights, activations):
                widths[layer.weight], widths[layer.activation] = kept_weights, kept_activations
                is_changed = True
    return tuple(_left(choice, widths[choice.operand.tensor]) for choice in choices)


def _left(choice: Choice, widths: tuple[int, ...]) -> Choice:
    if choice.widths == widths:
        return choice
    reason = choice.reason or ("its layers leave it no other width" if len(widths) == 1 else "")
    return Choice(choice.operand, widths, reason)


def plain(graph: Graph, weight: int, activation: int) -> Policy:
    """Makes the policy of ``--bits W/A``: these widths everywhere, without pins; only graph inputs stay at 8 bits."""
    return Policy(graph, {o.tensor: _plain_width(graph, o, weight, activation) for o in graph.operands})


def plain_on(graph: Graph, precision: Precision, weight: int, activation: int) -> Policy:
    """Makes the policy of ``--bits W/A`` on a chip that may lack some pairs of widths.

    The network's input counts as 8 bits whatever is asked; a layer that then has a pair the chip lacks is raised to the
    pair that covers it with the fewest bits.

    Raises:
        PolicyError: the chip lacks a width that is asked for.
    """
    asked = plain(graph, weight, activation)
    if precision.pairs is None:
        return asked
    return Space.of(graph, precision, min_bits=1, default_pins=False).policy(asked.widths)


def baseline(graph: Graph) -> Policy:
    """Makes the 8/8 policy that every budget fraction refers to."""
    return plain(graph, FULL_BITS, FULL_BITS)


def load(graph: Graph, text: str, source: str) -> Policy:
    """Reads a ``policy.json`` for ``graph``.

    Args:
        text: the JSON text.
        source: where it came from, for messages.

    Raises:
        PolicyError: not JSON, a newer schema, or a policy of another model; the message says where it does not fit.
    """
    try:
        content = json.loads(text)
        schema = content["schema"]
        if schema != POLICY_SCHEMA:
            raise PolicyError(
                f"'{source}' has policy schema {schema!r}, and this haqc reads schema {POLICY_SCHEMA}; "
                "use the version that wrote it"
            )
        layers = {
            entry["name"]: Bits(_whole(entry["weight_bits"]), _whole(entry["activation_bits"]))
            for entry in content["layers"]
        }
        others = {str(tensor): _whole(bits) for tensor, bits in content["tensors"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise PolicyError(
            f"'{source}' is no policy ({type(error).__name__}); a policy.json of 'haqc compile' is"
        ) from error
    unknown = [name for name in layers if name not in graph.layer]
    if unknown:
        hint = nearest(unknown[0], graph.layer)
        raise PolicyError(f"'{source}' names layer '{unknown[0]}', which the model lacks{hint}")
    for tensor, width in others.items():
        if tensor not in graph.operand:
            hint = nearest(tensor, graph.operand)
            raise PolicyError(f"'{source}' names tensor '{tensor}', which the model lacks{hint}")
        if not 1 <= width <= FULL_BITS:
            raise PolicyError(f"'{source}' gives tensor '{tensor}' {width} bits; allowed are 1 to {FULL_BITS}")
    widths: dict[str, int] = {}
    for layer in graph.quantised_layers:
        if layer.name not in layers:
            raise PolicyError(f"'{source}' gives no widths for layer '{layer.name}'; it is of another model")
        bits = layers[layer.name]
        for tensor, width in ((layer.weight, bits.weight), (layer.activation, bits.activation)):
            if not 1 <= width <= FULL_BITS:
                raise PolicyError(f"'{source}' gives layer '{layer.name}' {width} bits; allowed are 1 to {FULL_BITS}")
            if widths.setdefault(tensor, width) != width:
                raise PolicyError(
                    f"'{source}' gives tensor '{tensor}' both {widths[tensor]} and {width} bits; "
                    "layers that read one tensor share its width"
                )
    for operand in graph.operands:
        widths.setdefault(operand.tensor, others.get(operand.tensor, operand.fixed_bits or FULL_BITS))
    return Policy(graph, {o.tensor: widths[o.tensor] for o in graph.operands})


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is no whole number")
    return value


def _default_pin(graph: Graph, layer: Layer) -> str:
    """Gives the reason why a layer is pinned at 8/8 by default, or an empty string."""
    if layer.activation in graph.inputs:
        return "reads the network's input"
    return "last layer before an output" if layer.name in graph.last_layers else ""


def _plain_width(graph: Graph, operand: Operand, weight: int, activation: int) -> int:
    if operand.kind == "weight":
        return weight
    if operand.tensor in graph.inputs:
        return FULL_BITS
    return activation if operand.layers else operand.fixed_bits or FULL_BITS


def _at_least(widths: tuple[int, ...], asked: int) -> int:
    return next((width for width in widths if width >= asked), widths[-1])


Fits = Callable[[Bits, Bits], bool]


def _pairs(layer: Layer, weights: tuple[int, ...], activations: tuple[int, ...], precision: Precision) -> list[Bits]:
    """Gives the allowed pairs of one layer; a product of a tensor with itself has one width for both."""
    is_square = layer.weight == layer.activation
    return [
        Bits(weight, activation)
        for weight in weights
        for activation in activations
        if precision.allows(weight, activation) and (weight == activation or not is_square)
    ]


def _covers(pair: Bits, bits: Bits) -> bool:
    return pair.weight >= bits.weight and pair.activation >= bits.activation


def _is_covered(pair: Bits, bits: Bits) -> bool:
    return _covers(bits, pair)


def _distance(bits: Bits, pair: Bits) -> tuple[int, int, int]:
    """Orders pairs by the bits that are added or taken, then by what they cost to multiply, then by weights."""
    moved = abs(pair.weight - bits.weight) + abs(pair.activation - bits.activation)
    return moved, pair.weight * pair.activation, pair.weight


def _texts(pairs: list[Bits]) -> str:
    return ", ".join(map(str, pairs)) or "no pair"
