"""How the effects of single operands are weighed against each other, by the allocators that add them up."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from haqc.passes.search.problem import Problem
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


def telling(problem: Problem, trials: Sequence[Trial]) -> Weighing:
    """Gives the weighing by which the sum of all errors ranks some trials best, the first of equal ones.

    Ranks are compared by Spearman's correlation, so that policies far below all others count no more than they should.
    """
    merits = _ranks(np.array([trial.merit for trial in trials]))

    def tells(weighing: Weighing) -> float:
        weighed = weighing.of(problem)
        tensors = [choice.operand.tensor for choice in problem.space.free]
        sums = np.array([sum(weighed[t, trial.policy.widths[t]] for t in tensors) for trial in trials])
        return float(np.dot(_ranks(-sums), merits))

    return max(WEIGHINGS, key=tells)


def _ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Gives each value's place in the order of all, about the middle; equal ones share theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    ranks = np.asarray((last - (count - 1) / 2)[place], np.float64)
    return ranks - float(ranks.mean())
