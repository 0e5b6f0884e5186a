"""Every policy that a graph may have on a target."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from haqc.errors import PolicyError
from haqc.graph import Graph, Layer
from haqc.policy.choices import Choice, choose
from haqc.policy.pairs import Fits, combinations, covers, distance, is_covered, listed, pairs_of
from haqc.policy.policy import Bits, Policy, plain
from haqc.policy.ties import tied
from haqc.precision import Precision


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
        at_least: Mapping[str, Bits] | None = None,
        same_bits: Sequence[str] = (),
    ) -> Space:
        """Makes the space from what the target offers and what the user asks for.

        Args:
            precision: what the target offers.
            min_bits: the narrowest width searched.
            pins: widths by layer name or name pattern (``fnmatch``).
            default_pins: pin at 8/8 every layer that reads a graph input, and the last layer before each output.
            at_least: narrowest widths by layer name or name pattern.
            same_bits: name patterns of layers that have equal widths, which are a group of the space's graph then.

        Raises:
            PolicyError: a pin or pattern names no layer, or a width the target lacks; pins leave a layer no allowed
                pair, are below a narrowest width, or differ for operands of one group; or groups cannot be.
        """
        graph = tied(graph, same_bits, pins or {}, default_pins)
        choices = choose(graph, precision, min_bits, pins or {}, default_pins, at_least or {})
        space = cls(graph, choices, precision)
        space.policy({choice.operand.tensor: choice.widths[-1] for choice in space.free})  # refuses what pins rule out
        return space

    @cached_property
    def free(self) -> tuple[Choice, ...]:
        """The choices that are really open; a group of operands has one, that of its first."""
        return tuple(c for c in self.choices if c.is_free and c.operand.tensor == self.graph.leader(c.operand.tensor))

    @cached_property
    def free_widths(self) -> dict[str, tuple[int, ...]]:
        """The widths of each open choice, by the tensor of its operand."""
        return {choice.operand.tensor: choice.widths for choice in self.free}

    def policy(self, widths: Mapping[str, int]) -> Policy:
        """Makes the legal policy nearest above the given widths; pinned operands keep theirs, whatever is asked.

        A layer whose pair of widths the target does not allow is raised to the pair that covers it with the fewest
        bits, and so on until every layer has a pair that is allowed.

        Raises:
            PolicyError: a free operand is missing, or has a width outside its choice; or no pair covers what is asked.
        """
        complete = dict(self._pinned)
        for tensor, leader, allowed in self._open:
            if leader not in widths:
                raise PolicyError(f"the policy gives no width for '{leader}'")
            if widths[leader] not in allowed:
                raise PolicyError(f"'{leader}' cannot have {widths[leader]} bits; allowed are {allowed}")
            complete[tensor] = int(widths[leader])
        if not self.is_product:
            self._meet(complete, covers)
        return Policy(self.graph, complete)

    def lowered(self, policy: Policy, tensor: str, width: int) -> Policy | None:
        """Narrows one operand of a legal policy, and with it what cannot stay as it is.

        A layer whose pair is not allowed any more is lowered to the pair with the most bits that it covers, and so on.

        Returns:
            The legal policy, nowhere wider than ``policy``; ``None`` when there is none.
        """
        complete = {**policy.widths, **dict.fromkeys(self.graph.sharing(tensor), width)}
        if not self.is_product:
            try:
                self._meet(complete, is_covered)
            except PolicyError:
                return None
        return Policy(self.graph, complete)

    def allows(self, widths: Mapping[str, int]) -> bool:
        """Whether widths by operand tensor make a legal policy as they stand, without any being raised."""
        asked = {c.operand.tensor: widths.get(self.graph.leader(c.operand.tensor), c.widths[0]) for c in self.choices}
        if any(asked[choice.operand.tensor] not in choice.widths for choice in self.choices):
            return False
        asked_policy = Policy(self.graph, asked)
        bits = (asked_policy.bits(layer) for layer in self.graph.quantised_layers)
        return all(self.precision.allows(pair.weight, pair.activation) for pair in bits)

    @cached_property
    def is_product(self) -> bool:
        """Whether every layer may combine the widths of its operands freely, so that nothing is ever raised."""
        for layer in self.graph.quantised_layers:
            if len(self.pairs(layer)) != combinations(self.graph, layer, self._widths):
                return False
        return True

    @cached_property
    def _pinned(self) -> dict[str, int]:
        """The least width of every operand, by tensor in the graph's order: the only one where it is not free."""
        return {choice.operand.tensor: choice.widths[0] for choice in self.choices}

    @cached_property
    def _open(self) -> tuple[tuple[str, str, tuple[int, ...]], ...]:
        """The tensor of every free operand, the first of its group, and what it may have: searches ask very often."""
        free = [choice for choice in self.choices if choice.is_free]
        return tuple((c.operand.tensor, self.graph.leader(c.operand.tensor), c.widths) for c in free)

    @cached_property
    def _widths(self) -> dict[str, tuple[int, ...]]:
        return {choice.operand.tensor: choice.widths for choice in self.choices}

    def pairs(self, layer: Layer) -> list[Bits]:
        """Gives the pairs of widths that one layer may have, ascending."""
        return pairs_of(self.graph, layer, self._widths, self.precision)

    def with_bits(self, policy: Policy, layer: Layer, bits: Bits) -> Policy:
        """Gives one layer of a policy other widths, and with it all that share them.

        Raises:
            PolicyError: like :meth:`policy`.
        """
        return self.policy({**policy.widths, **self._widths_of(layer, bits)})

    def _widths_of(self, layer: Layer, bits: Bits) -> dict[str, int]:
        """Gives the widths of all operands that have to do with a layer's."""
        widths = dict.fromkeys(self.graph.sharing(layer.weight), bits.weight)
        if layer.activation in self.graph.operand:
            widths |= dict.fromkeys(self.graph.sharing(layer.activation), bits.activation)
        return widths

    def _meet(self, widths: dict[str, int], fits: Fits) -> None:
        """Moves the widths of layers in place until each has an allowed pair; all moves go the same way, so they end.

        Raises:
            PolicyError: a layer has no allowed pair that fits.
        """
        is_moved = True
        while is_moved:
            is_moved = False
            for layer in self.graph.quantised_layers:
                bits = Policy(self.graph, widths).bits(layer)
                if self.precision.allows(bits.weight, bits.activation):
                    continue
                pairs = self.pairs(layer)
                fitting = [pair for pair in pairs if fits(pair, bits)]
                if not fitting:
                    raise PolicyError(
                        f"layer '{layer.name}' cannot have {bits} bits (weights/activations) or more: the target "
                        f"offers {self.precision.describe()}, and pins leave it {listed(pairs)}; change the pins"
                    )
                met = min(fitting, key=functools.partial(distance, bits))
                widths.update(self._widths_of(layer, met))
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


def _at_least(widths: tuple[int, ...], asked: int) -> int:
    return next((width for width in widths if width >= asked), widths[-1])
