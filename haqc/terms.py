"""The cost of a policy as a sum of terms, each of the widths of a few operands: what an integer program can read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from haqc.budget import Cost
from haqc.policy import Choice, Space

Reals = npt.NDArray[np.float64]

FIGURES = 3
"""Energy in joules, latency in seconds, weight bytes: what a term holds for each combination of widths."""


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """What the widths of some free operands together cost for one batch.

    Attributes:
        tensors: the operands, each the first of its group.
        costs: one axis for each operand, over the widths of its choice, and one of :data:`FIGURES`; infinite where the
            target lacks the combination, not a number where a figure is not priced.
    """

    tensors: tuple[str, ...]
    costs: Reals


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """The activations that are stored during one operation.

    Attributes:
        fixed_bytes: bytes of those whose width is not open.
        stored_bytes: bytes of the others, by the first operand of the group, over the widths of its choice.
    """

    fixed_bytes: float
    stored_bytes: Mapping[str, Reals]


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """The cost of every policy of a space: ``constant`` and the sum of ``terms``, and the largest of ``moments``.

    Attributes:
        choices: the free choices.
        constant: costs that no free width changes: energy in joules, latency in seconds, weight bytes.
        terms: the others.
        moments: what may be the peak of memory.
    """

    choices: tuple[Choice, ...]
    constant: tuple[float, float, float]
    terms: tuple[Term, ...]
    moments: tuple[Moment, ...]

    def cost(self, widths: Mapping[str, int]) -> Cost:
        """Prices widths of the free operands; infinite where the target lacks a combination."""
        place = {c.operand.tensor: c.widths.index(widths[c.operand.tensor]) for c in self.choices}
        figures = np.array(self.constant)
        for term in self.terms:
            figures = figures + term.costs[tuple(place[tensor] for tensor in term.tensors)]
        energy_j, latency_s, weight_bytes = map(float, figures)
        peak_bytes = max((_stored(moment, place) for moment in self.moments), default=0.0)
        return Cost(energy_j, latency_s, weight_bytes, peak_bytes)


@dataclass(frozen=True)
class Axis:
    """Reads a space's open widths as array axes, so that one indexing gives a whole term.

    Attributes:
        space: the space.
        tensors: the free operands that a term has, each the first of its group.
    """

    space: Space
    tensors: tuple[str, ...]

    @classmethod
    def of(cls, space: Space, tensors: Sequence[str]) -> Axis:
        """Takes the free ones among some tensors, each once."""
        leaders = [space.graph.leader(tensor) for tensor in tensors]
        return cls(space, tuple(dict.fromkeys(leader for leader in leaders if leader in space.free_widths)))

    def bits(self, tensor: str, otherwise: int) -> npt.NDArray[np.int64]:
        """Gives the widths of a tensor along its axis, or the one width that it has where it is not free."""
        leader = self.space.graph.leader(tensor)
        if leader not in self.tensors:
            return np.array(otherwise)
        shape = [1] * len(self.tensors)
        shape[self.tensors.index(leader)] = -1
        return np.array(self.space.free_widths[leader]).reshape(shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """How many widths each has."""
        return tuple(len(self.space.free_widths[tensor]) for tensor in self.tensors)


def gather(space: Space, parts: Sequence[tuple[tuple[str, ...], Reals]], moments: Sequence[Moment]) -> Terms:
    """Puts terms together; those of no operand make the constant, those of the same operands one term.

    Args:
        space: the space.
        parts: operands and costs of each, as in :class:`Term`.
        moments: what is stored during each operation.
    """
    summed: dict[tuple[str, ...], Reals] = {(): np.zeros(FIGURES)}
    for tensors, costs in parts:
        summed[tensors] = summed[tensors] + costs if tensors in summed else costs
    energy_j, latency_s, weight_bytes = map(float, summed.pop(()))
    terms = tuple(Term(tensors, costs) for tensors, costs in summed.items())
    return Terms(space.free, (energy_j, latency_s, weight_bytes), terms, tuple(moments))


def _stored(moment: Moment, place: Mapping[str, int]) -> float:
    return moment.fixed_bytes + math.fsum(float(stored[place[t]]) for t, stored in moment.stored_bytes.items())
