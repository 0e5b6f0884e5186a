"""How the effects of single operands are weighed against each other, by the allocators that add them up."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from haqc.passes.search.problem import Problem, Sensitivity
from haqc.policy import Space
from haqc.result import Trial


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
        return self.weighed(problem.space, problem.sensitivity)

    def weighed(self, space: Space, sensitivity: Sensitivity) -> dict[tuple[str, int], float]:
        """Gives the weighed sensitivities of a space's free operands, by (tensor, bits)."""
        kinds = {choice.operand.tensor: choice.operand.kind for choice in space.free}
        return {
            (tensor, bits): (self.activation_factor if kinds[tensor] == "activation" else 1.0)
            * math.pow(error, self.exponent)
            for (tensor, bits), error in sensitivity.items()
            if tensor in kinds
        }


WEIGHINGS = (
    *(Weighing(exponent, factor) for exponent, factor in itertools.product((1.0, 0.5), (1.0, 4.0, 0.25))),
    Weighing(2.0, 1.0),
    Weighing(0.25, 1.0),
)
"""What is tried, the plain one first."""


def summed(weighed: Sensitivity, trials: Sequence[Trial]) -> list[float]:
    """Gives the sum of the weighed errors of all operands, for each trial."""
    tensors = list(dict.fromkeys(tensor for tensor, _ in weighed))
    return [sum(weighed[tensor, trial.policy.widths[tensor]] for tensor in tensors) for trial in trials]


def telling(problem: Problem, trials: Sequence[Trial]) -> Weighing:
    """Gives the weighing by which the sum of all errors ranks some trials best, the first of equal ones.

    Ranks are compared by Spearman's correlation, so that policies far below all others count no more than they should.
    """
    merits = _ranks(np.array([trial.merit for trial in trials]))

    def tells(weighing: Weighing) -> float:
        sums = np.array(summed(weighing.of(problem), trials))
        return float(np.dot(_ranks(-sums), merits))

    return max(WEIGHINGS, key=tells)


def _ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Gives each value's place in the order of all, about the middle; equal ones share theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    ranks = np.asarray((last - (count - 1) / 2)[place], np.float64)
    return ranks - float(ranks.mean())
