"""Metrics of networks that pick one of several classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from haqc.errors import DataError
from haqc.metrics.metric import Batch, Rows, Shape, Traits

_VALUES_TOGETHER = 1 << 22
"""Outputs that are turned into probabilities together: in 64 bits they need a few times this many bytes."""

_TOLERANCE = 1e-3
"""How far from 1 a row of probabilities may sum up, after 16-bit arithmetic."""


@dataclass(frozen=True, slots=True)
class TopK:
    """The share of samples whose label is among the ``k`` largest outputs. Labels ``[N]``, outputs ``[N, classes]``."""

    k: int = 1
    traits: ClassVar[Traits] = Traits(unit="%", needs_labels=True)

    @property
    def name(self) -> str:
        """``top-1`` or ``top-5``."""
        return f"top-{self.k}"

    def floor(self, classes: int) -> float:
        """Gives the percentage under which data and model do not fit: twice chance, or for few classes a quarter above.

        Args:
            classes: outputs of the network.
        """
        chance = self.chance(classes)
        return min(2 * chance, chance + (100 - chance) / 4)

    def chance(self, classes: int) -> float:
        """Gives what guessing reaches, in percent."""
        return 100.0 * self.k / classes

    def refusal(self, labels: np.ndarray | None, shape: Shape, *, judges: bool) -> str:
        """Says what is wrong with an output that is not ``[N, classes]``, and with labels that are no classes of it."""
        if len(shape) != 2 or shape[1] <= self.k:
            return (
                f"metric '{self.name}' needs an output [samples, classes] of more than {self.k} classes, not "
                f"{list(shape)}; choose another --metric, or leave the labels out"
            )
        return wrong_classes(labels, shape[1])

    def rows(self, batch: Batch) -> Rows:
        """Gives 1 where the label is among the largest; of equal outputs the first counts as larger."""
        output, labels = batch.outputs[0], batch.labels
        refusal = self.refusal(labels, output.shape, judges=True)
        if refusal or labels is None:
            raise DataError(refusal or f"metric '{self.name}' needs labels; give one class number per sample")
        if self.k == 1:
            return np.asarray(output.argmax(axis=1) == labels, np.float64)[:, None]
        largest = np.argsort(-output, axis=1, kind="stable")[:, : self.k]
        return np.asarray((largest == labels[:, None]).any(axis=1, keepdims=True), np.float64)

    def value(self, rows: Rows) -> float:
        """Gives the share in percent."""
        return float(rows[:, 0].mean() * 100)

    def targets(self, inputs: tuple[np.ndarray, ...], labels: np.ndarray | None, shape: Shape) -> np.ndarray | None:
        """Gives the labels."""
        return None if labels is None else labels.astype(np.int64, copy=False)

    def class_axis(self, labels: np.ndarray | None, shape: Shape) -> int | None:
        """Gives the second axis."""
        return 1

    def sureness(self, batch: Batch) -> Rows:
        """Gives the probability of the label."""
        assert batch.labels is not None
        return _probability(batch.outputs[0], batch.labels)[:, None]


@dataclass(frozen=True, slots=True)
class Agreement:
    """The share of samples whose largest output is that of the float network; no accuracy."""

    name: str = "agreement"
    traits: ClassVar[Traits] = Traits(unit="%", is_agreement=True)

    def refusal(self, labels: np.ndarray | None, shape: Shape, *, judges: bool) -> str:
        """Refuses an output without an axis of classes."""
        if len(shape) < 2 or shape[-1] < 2:
            return (
                f"metric 'agreement' needs an output [samples, ..., classes], not {list(shape)}; choose --metric cosine"
            )
        return ""

    def rows(self, batch: Batch) -> Rows:
        """Gives the share of a sample's positions that agree."""
        assert batch.reference is not None
        agrees = batch.outputs[0].argmax(axis=-1) == batch.reference.argmax(axis=-1)
        return np.asarray(agrees.reshape(len(agrees), -1).mean(axis=1, keepdims=True), np.float64)

    def value(self, rows: Rows) -> float:
        """Gives the share in percent."""
        return float(rows[:, 0].mean() * 100)

    def targets(self, inputs: tuple[np.ndarray, ...], labels: np.ndarray | None, shape: Shape) -> np.ndarray | None:
        """Gives nothing: the float network's output is the target."""
        return None

    def class_axis(self, labels: np.ndarray | None, shape: Shape) -> int | None:
        """Gives the last axis."""
        return len(shape) - 1

    def sureness(self, batch: Batch) -> Rows:
        """Gives the probability of what the float network picks, the mean over a sample's positions."""
        assert batch.reference is not None
        found = _probability(batch.outputs[0], batch.reference.argmax(axis=-1))
        return np.asarray(found.reshape(len(found), -1).mean(axis=1, keepdims=True), np.float64)


def _probability(output: np.ndarray, classes: np.ndarray) -> Rows:
    """Gives the probability that outputs give to classes, shape ``[samples, ...]``; 0 where outputs are not finite.

    Args:
        output: logits, logarithms of probabilities, or rows that are probabilities, shape ``[samples, ..., classes]``.
        classes: class numbers, shape ``[samples, ...]``.
    """
    together = max(1, _VALUES_TOGETHER // max(1, output[0].size))
    starts = range(0, len(output), together)
    return np.concatenate([_few(output[s : s + together], classes[s : s + together]) for s in starts])


def _few(output: np.ndarray, classes: np.ndarray) -> Rows:
    values = output.astype(np.float64)
    chosen = np.take_along_axis(values, classes[..., None].astype(np.int64), axis=-1)[..., 0]
    with np.errstate(invalid="ignore", over="ignore"):
        is_settled = (values >= 0).all(axis=-1) & (np.abs(values.sum(axis=-1) - 1) < _TOLERANCE)
        largest = values.max(axis=-1)
        total = np.exp(values - largest[..., None]).sum(axis=-1)
        found = np.where(is_settled, chosen, np.exp(chosen - largest) / total)
    return np.asarray(np.nan_to_num(found, nan=0.0), np.float64)


def wrong_classes(labels: np.ndarray | None, classes: int) -> str:
    """Says why labels are not one class number per sample, below ``classes``; an empty string where they are."""
    if labels is None:
        return ""
    if labels.dtype.kind not in "iu":
        return (
            f"labels hold {labels.dtype}; store class numbers of an integer type, or say with --metric what they are "
            "measured by"
        )
    if labels.ndim != 1:
        return (
            f"labels have shape {list(labels.shape)}; store one class number per sample, for one-hot rows their "
            "argmax, or say with --metric what they are measured by"
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        return (
            f"labels reach from {low} to {high}, but the model has {classes} outputs; number the classes from 0 to "
            f"{classes - 1}, or give the data this model is for"
        )
    return ""
