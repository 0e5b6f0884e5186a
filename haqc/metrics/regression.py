"""Metrics of networks whose output is a quantity: regression, autoencoders, embeddings against the float network's."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from haqc.errors import DataError
from haqc.metrics.metric import Batch, Rows, Shape, Traits


@dataclass(frozen=True, slots=True)
class MeanError:
    """The mean absolute (``mae``) or squared (``mse``) difference of output and label.

    Where the data have no labels and the output has the shape of the first input, as an autoencoder's, the input is
    what should come out.
    """

    power: int = 1
    traits: ClassVar[Traits] = Traits(higher_is_better=False, reads_inputs=True)

    @property
    def name(self) -> str:
        """``mae`` or ``mse``."""
        return "mae" if self.power == 1 else "mse"

    def refusal(self, labels: np.ndarray | None, shape: Shape, *, judges: bool) -> str:
        """Refuses labels that are not as many numbers as the output."""
        if labels is not None and math.prod(labels.shape[1:]) != math.prod(shape[1:]):
            return self._unlike(shape, labels.shape, "the labels")
        return ""

    def rows(self, batch: Batch) -> Rows:
        """Gives the mean over each sample's values."""
        output = batch.outputs[0].astype(np.float64)
        wanted = batch.inputs[0] if batch.labels is None else batch.labels
        if wanted.size != output.size:
            source = "the first input (there are no labels)" if batch.labels is None else "the labels"
            raise DataError(self._unlike(output.shape, wanted.shape, source))
        gap = np.abs(output - wanted.reshape(output.shape).astype(np.float64)) ** self.power
        return np.asarray(gap.reshape(len(gap), -1).mean(axis=1, keepdims=True), np.float64)

    def value(self, rows: Rows) -> float:
        """Gives the mean over all samples."""
        return float(rows[:, 0].mean())

    def targets(self, inputs: tuple[np.ndarray, ...], labels: np.ndarray | None, shape: Shape) -> np.ndarray | None:
        """Gives the labels, or the first input."""
        wanted = inputs[0] if labels is None else labels
        return wanted.reshape(shape).astype(np.float32, copy=False) if wanted.size == math.prod(shape) else None

    def class_axis(self, labels: np.ndarray | None, shape: Shape) -> int | None:
        """Gives nothing: the values are no scores of classes."""
        return None

    def _unlike(self, shape: Shape, wanted: Shape, source: str) -> str:
        return (
            f"metric '{self.name}' compares the output of shape {list(shape)} with {source} of shape {list(wanted)}; "
            "give labels of the output's shape"
        )


@dataclass(frozen=True, slots=True)
class Cosine:
    """The cosine of a sample's whole output to the float network's; opposite directions count as 0.

    Attributes:
        least: magnitude that counts as nothing. Outputs far below it have no direction of their own and agree.
    """

    name: str = "cosine"
    least: float = 0.0
    traits: ClassVar[Traits] = Traits(unit="%", is_agreement=True)

    def refusal(self, labels: np.ndarray | None, shape: Shape, *, judges: bool) -> str:
        """Refuses nothing."""
        return ""

    def rows(self, batch: Batch) -> Rows:
        """Gives the cosine of each sample."""
        assert batch.reference is not None
        a, b = (self._vectors(outputs) for outputs in (batch.outputs[0], batch.reference))
        lengths = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
        norms = lengths[0] * lengths[1]
        cosines = np.clip((a * b).sum(axis=1) / np.where(norms > 0, norms, 1), 0, 1)
        # An output of nothing but zeros has no direction: it is right only where the reference is zero as well.
        return np.asarray(np.where(norms > 0, cosines, lengths[0] == lengths[1])[:, None], np.float64)

    def value(self, rows: Rows) -> float:
        """Gives the mean in percent."""
        return float(rows[:, 0].mean() * 100)

    def targets(self, inputs: tuple[np.ndarray, ...], labels: np.ndarray | None, shape: Shape) -> np.ndarray | None:
        """Gives nothing: the float network's output is the target."""
        return None

    def class_axis(self, labels: np.ndarray | None, shape: Shape) -> int | None:
        """Gives nothing: the values are no scores of classes."""
        return None

    def _vectors(self, outputs: np.ndarray) -> Rows:
        """Gives one vector for each sample: its values, and one as long as if each were the least that counts."""
        values = outputs.reshape(len(outputs), -1).astype(np.float64)
        length = self.least * math.sqrt(values.shape[1])
        return np.column_stack([values, np.full(len(values), length)]) if length else values
