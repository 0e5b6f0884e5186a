"""One width for every operand of a graph."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from haqc.errors import PolicyError
from haqc.graph import FULL_BITS, Graph, Layer, Operand

POLICY_SCHEMA = 2
"""The ``schema`` of the policies this haqc writes (``docs/output-files.md``); it reads 1 as well."""


@dataclass(frozen=True, slots=True, order=True)
class Bits:
    """The widths of one layer: of its weights and of the data it reads."""

    weight: int
    activation: int

    @classmethod
    def parse(cls, text: str) -> Bits:
        """Reads ``8``, or ``W/A``.

        Raises:
            PolicyError: the text is neither.

        >>> Bits.parse("4/8").activation
        8
        """
        match = re.fullmatch(r"([1-8])(?:/([1-8]))?", text)
        if match is None:
            raise PolicyError(
                f"bits '{text}' are malformed; write a width such as 8, or weights/activations such as 4/8, "
                "each from 1 to 8"
            )
        return cls(int(match[1]), int(match[2] or match[1]))

    def __str__(self) -> str:
        return f"{self.weight}/{self.activation}"


@dataclass(frozen=True)
class Policy:
    """A width for every operand of a graph. Make one through :meth:`haqc.policy.Space.policy`.

    Attributes:
        graph: the graph it is for.
        widths: width by operand tensor, complete.
    """

    graph: Graph
    widths: Mapping[str, int]

    def bits(self, layer: Layer) -> Bits:
        """Gives the widths of one layer; what is kept in float counts as 8 bits wide, which is how it is priced."""
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
            | ({"float_data": layer.data_reason} if layer.data_reason else {})
            for layer, bits in zip(self.graph.layers, self.layer_bits, strict=True)
        ]
        others = {o.tensor: self.widths[o.tensor] for o in self.graph.operands if not o.layers}
        return {"schema": POLICY_SCHEMA, "model": self.graph.name, "layers": layers, "tensors": others}


def plain(graph: Graph, weight: int, activation: int) -> Policy:
    """Makes the policy of ``--bits W/A``: these widths everywhere, without pins; only graph inputs stay at 8 bits."""
    return Policy(graph, {o.tensor: _plain_width(graph, o, weight, activation) for o in graph.operands})


def baseline(graph: Graph) -> Policy:
    """Makes the 8/8 policy that every budget fraction refers to."""
    return plain(graph, FULL_BITS, FULL_BITS)


def _plain_width(graph: Graph, operand: Operand, weight: int, activation: int) -> int:
    if operand.kind == "weight":
        return weight if operand.fixed_bits is None else operand.fixed_bits
    if any(tensor in graph.inputs for tensor in graph.sharing(operand.tensor)):
        return FULL_BITS
    return activation if operand.fixed_bits is None else operand.fixed_bits
