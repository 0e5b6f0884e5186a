"""How the effects of single operands are weighed against each other, by the allocators that add them up."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from haqc.passes.search.problem import Problem


@dataclass(frozen=True, slots=True)
class Weighing:
    """How sensitivities are weighed: ``factor x sensitivity ** exponent``, the factor for activations only.

    Sensitivities rank the widths of one operand well, but weights against activations, and large errors against small
    ones, only roughly; so several weighings are tried and the accuracy decides.
    """

    exponent: float
    activation_factor: float

    def of(self, problem: Problem) -> dict[tuple[str, int], float]:
        """Gives the weighed sensitivities of a problem, by (tensor, bits)."""
        kinds = {choice.operand.tensor: choice.operand.kind for choice in problem.space.free}
        return {
            (tensor, bits): (self.activation_factor if kinds[tensor] == "activation" else 1.0)
            * math.pow(error, self.exponent)
            for (tensor, bits), error in problem.sensitivity.items()
            if tensor in kinds
        }


WEIGHINGS = (
    *(Weighing(exponent, factor) for exponent, factor in itertools.product((1.0, 0.5), (1.0, 4.0, 0.25))),
    Weighing(2.0, 1.0),
    Weighing(0.25, 1.0),
)
"""What is tried, the plain one first."""
