"""How a model's outputs are scored: per sample, in [0, 1], so that two models can be compared on the same samples."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from haqc.errors import DataError

Metric = Literal["top-1", "agreement", "cosine"]


@dataclass(frozen=True, slots=True)
class Scoring:
    """What a score means.

    Attributes:
        metric: ``top-1`` against labels, ``agreement`` of the arg max with the float model's, or the ``cosine`` of
            the whole output to the float model's, where opposite directions score 0.
        classes: width of the output that classifies; 0 for ``cosine``.
    """

    metric: Metric
    classes: int = 0

    @property
    def is_accuracy(self) -> bool:
        """Whether the score is an accuracy; agreement with the float model never is."""
        return self.metric == "top-1"

    @property
    def chance(self) -> float:
        """The score of guessing, in percent; 0 where there is none."""
        return 100.0 / self.classes if self.is_accuracy else 0.0

    @property
    def floor(self) -> float:
        """The score under which data and model do not fit: twice chance, or for few classes a quarter above it."""
        return min(2 * self.chance, self.chance + (100 - self.chance) / 4) if self.is_accuracy else 0.0

    def scores(self, output: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Gives one score per sample.

        Args:
            output: first output of the model, shape ``[N, ...]``.
            reference: labels ``[N]`` for ``top-1``; the float model's own output otherwise.
        """
        if self.metric == "top-1":
            return np.asarray(output.argmax(axis=-1) == reference, np.float64)
        if self.metric == "agreement":
            return np.asarray(output.argmax(axis=-1) == reference.argmax(axis=-1), np.float64)
        a, b = (values.reshape(len(values), -1).astype(np.float64) for values in (output, reference))
        lengths = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
        norms = lengths[0] * lengths[1]
        cosines = np.clip((a * b).sum(axis=1) / np.where(norms > 0, norms, 1), 0, 1)
        # An output of nothing but zeros has no direction: it is right only where the reference is zero as well.
        return np.asarray(np.where(norms > 0, cosines, lengths[0] == lengths[1]), np.float64)


def scoring_for(output_shape: tuple[int, ...], labelled: bool, *, is_embedding: bool = False) -> Scoring:
    """Picks the scoring for a model's output.

    Args:
        output_shape: shape of the output for one batch, the batch first.
        labelled: whether there are labels.
        is_embedding: whether rows of the output are directions rather than scores of classes; labels overrule it.

    Raises:
        DataError: there are labels, but the output is not one row of classes a sample.
    """
    classifies = len(output_shape) == 2 and output_shape[1] > 1
    if labelled and not classifies:
        raise DataError(
            f"labels do not fit the model's output of shape {list(output_shape)}; class labels need an output "
            "[batch, classes]: leave the labels out to compile label-free"
        )
    if classifies and (labelled or not is_embedding):
        return Scoring("top-1" if labelled else "agreement", output_shape[1])
    return Scoring("cosine")


def percent(scores: np.ndarray) -> float:
    """Gives the mean score in percent."""
    return float(scores.mean() * 100)


def standard_error(scores: np.ndarray) -> float:
    """Gives the standard error of the mean score, in percentage points."""
    return float(scores.std(ddof=1) / math.sqrt(len(scores)) * 100) if len(scores) > 1 else 0.0


def paired_standard_error(first: np.ndarray, second: np.ndarray) -> float:
    """Gives the standard error of the difference of two models on the same samples, in percentage points."""
    return standard_error(first - second)
