"""Predicts what a policy will score, from the sensitivities and from what other policies scored."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from haqc.passes.search.problem import Problem
from haqc.policy import Policy
from haqc.result import Trial

Reals = npt.NDArray[np.float64]

EXPONENTS = (1.0, 0.5, 0.25)
"""Powers of the sensitivities whose sums are features."""

OWN_EXPONENT = 0.5
"""Power of a single operand's sensitivity that is a feature of its own."""

OWN_SHARE = 0.3
"""Standard deviation that an operand's own feature may have beside that of the sums, before anything is seen."""

FAR = 2.0
"""How far below the median a trial counts half, in distances from the median to the upper quartile."""

RIDGES = tuple(10.0**power for power in np.arange(-3.0, 2.1, 0.5))
"""Ratios of noise to prior that are tried."""


@dataclass(frozen=True)
class Predictor:
    """A linear model of the merit with a normal prior on its coefficients, and so with an error bar.

    Features are the sums of the sensitivities to several powers, for weights and data apart, the product of both sums,
    and each operand's own, which is held closer to zero. The ratio of noise to prior is the one with the
    least error of trials that are each left out (the closed form of Allen's PRESS, 1974).

    Trials count the less the further they lie below the median.

    Attributes:
        problem: gives the sensitivities.
        centre, scale: mean and deviation of each feature over the trials.
        mean: of the merits.
        coefficients: of the scaled features.
        spread: covariance of the coefficients.
        noise: standard deviation of a trial left out.
    """

    problem: Problem
    centre: Reals
    scale: Reals
    mean: float
    coefficients: Reals
    spread: Reals
    noise: float

    @classmethod
    def of(cls, problem: Problem, trials: Sequence[Trial]) -> Predictor:
        """Fits the model to trials, two at least."""
        raw = features(problem, [trial.policy for trial in trials])
        merit = np.array([trial.merit for trial in trials])
        share = _shares(merit)
        centre, mean = share @ raw, float(share @ merit)
        scale = np.sqrt(share @ np.square(raw - centre))
        scale = np.where(scale > 1e-9 * (1 + np.abs(centre)), scale, math.inf) / _prior(raw.shape[1], problem)
        root = np.sqrt(share * len(trials))
        x, y = root[:, None] * (raw - centre) / scale, root * (merit - mean)
        left, singular, right = np.linalg.svd(x, full_matrices=False)
        turned = left.T @ y
        fits = [_left_out(left, singular, turned, y, share, ridge) for ridge in RIDGES]
        best = int(np.argmin(fits))
        ridge, noise = RIDGES[best] * len(trials), math.sqrt(fits[best])
        shrunk = singular / (singular**2 + ridge)
        coefficients = right.T @ (shrunk * turned)
        inverse = np.eye(x.shape[1]) / ridge - right.T @ np.diag(1 / ridge - 1 / (singular**2 + ridge)) @ right
        return cls(problem, centre, scale, mean, coefficients, inverse * noise**2, noise)

    def predict(self, policies: Sequence[Policy]) -> tuple[Reals, Reals]:
        """Gives the expected merits of policies and their standard deviations, without a trial's own noise."""
        x = (features(self.problem, policies) - self.centre) / self.scale
        deviation = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", x, self.spread, x), 0.0))
        return self.mean + x @ self.coefficients, deviation


def features(problem: Problem, policies: Sequence[Policy]) -> Reals:
    """Gives the features of policies, shape ``[policies, 2 * powers + 1 + free operands]``."""
    free = problem.space.free
    errors = np.array(
        [[problem.sensitivity[c.operand.tensor, policy.widths[c.operand.tensor]] for c in free] for policy in policies]
    ).reshape(len(policies), len(free))
    is_weight = np.array([choice.operand.kind == "weight" for choice in free], np.bool_)
    sums = [np.power(errors, p)[:, kind].sum(axis=1) for p in EXPONENTS for kind in (is_weight, ~is_weight)]
    middle = EXPONENTS.index(OWN_EXPONENT) * 2
    return np.column_stack((*sums, sums[middle] * sums[middle + 1], np.power(errors, OWN_EXPONENT)))


def _prior(count: int, problem: Problem) -> Reals:
    """Gives the standard deviation that each scaled feature's coefficient has before anything is seen."""
    own = len(problem.space.free)
    return np.concatenate((np.ones(count - own), np.full(own, OWN_SHARE)))


def _shares(merit: Reals) -> Reals:
    """Gives how much each trial counts, in sum 1: the less the further it lies below the median.

    How bad a bad policy is tells little of good ones. With equal shares it would take most of the model's attention,
    and what it does not explain there would be taken for doubt everywhere.
    """
    median, upper = np.quantile(merit, (0.5, 0.75))
    below = np.maximum(median - merit, 0.0) / max(FAR * (upper - median), 1e-9 * (1 + abs(median)))
    counts = 1 / (1 + np.square(below))
    return np.asarray(counts / counts.sum(), np.float64)


def _left_out(left: Reals, singular: Reals, turned: Reals, y: Reals, share: Reals, ridge: float) -> float:
    """Gives the mean squared error of trials that are each predicted from all others, by their shares."""
    kept = singular**2 / (singular**2 + ridge * len(y))
    leverage = np.einsum("ij,j,ij->i", left, kept, left) + share  # the mean is fitted too
    residual = y - left @ (kept * turned)
    return float(np.mean(np.square(residual / np.maximum(1.0 - leverage, 1e-3)))) + 1e-12
