"""Metrics of networks that tell the odd from the usual, and of those that name every pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from haqc.errors import DataError
from haqc.metrics.metric import Batch, Rows, Shape, Traits

IGNORED = 255
"""The label of pixels that belong to no class (Everingham et al., 2015)."""


@dataclass(frozen=True, slots=True)
class Auc:
    """The area under the receiver operating characteristic: the chance that an anomaly scores above a usual sample.

    A sample's score is its one output; the second of two less the first; or, where the output has the shape of the
    first input, the mean squared error of the reconstruction. Labels are 0 (usual) and 1 (anomaly).
    """

    name: str = "auc"
    traits: ClassVar[Traits] = Traits(unit="%", needs_labels=True, reads_inputs=True, is_mean=False)

    def refusal(self, labels: np.ndarray | None, shape: Shape, *, judges: bool) -> str:
        """Refuses labels other than 0 and 1, and samples of one kind only where networks are judged on them."""
        if labels is None:
            return ""
        if labels.size != len(labels) or not np.isin(labels, (0, 1)).all():
            return "metric 'auc' needs one label per sample, 0 for usual and 1 for an anomaly; correct 'y'"
        if judges and len(np.unique(labels)) < 2:
            kind = "an anomaly" if labels.any() else "usual"
            return (
                f"metric 'auc' needs usual samples and anomalies, and all {len(labels)} are {kind}; give both in the "
                "part that the search reads ('splits' in a data description says which)"
            )
        return ""

    def rows(self, batch: Batch) -> Rows:
        """Gives score and label."""
        output = batch.outputs[0].reshape(len(batch.outputs[0]), -1).astype(np.float64)
        labels, given = batch.labels, batch.inputs[0]
        refusal = self.refusal(labels, batch.outputs[0].shape, judges=False)
        if refusal or labels is None:
            raise DataError(refusal or "metric 'auc' needs labels; give 0 for usual and 1 for an anomaly")
        if given.size == output.size and output.shape[1] > 2:
            score = ((output - given.reshape(output.shape)) ** 2).mean(axis=1)
        elif output.shape[1] in (1, 2):
            score = output[:, -1] - (output[:, 0] if output.shape[1] == 2 else 0.0)
        else:
            raise DataError(
                f"metric 'auc' reads one score per sample, two classes, or a reconstruction of the input, and the "
                f"output is {list(batch.outputs[0].shape)}; choose another --metric"
            )
        return np.stack([score, labels.reshape(-1).astype(np.float64)], axis=1)

    def value(self, rows: Rows) -> float:
        """Gives the area in percent; equal scores count half. NaN where only one kind of sample is there."""
        score, is_odd = rows[:, 0], rows[:, 1] > 0
        odd, usual = int(is_odd.sum()), int((~is_odd).sum())
        if not odd or not usual:
            return float("nan")
        _, place, count = np.unique(score, return_inverse=True, return_counts=True)
        last = np.cumsum(count)
        rank = (last - (count - 1) / 2)[place]  # the mean rank of equal scores (Mann and Whitney, 1947)
        return float((rank[is_odd].sum() - odd * (odd + 1) / 2) / (odd * usual) * 100)

    def targets(self, inputs: tuple[np.ndarray, ...], labels: np.ndarray | None, shape: Shape) -> np.ndarray | None:
        """Gives the labels of an output of two classes; a score of its own or a reconstruction has no target."""
        return None if labels is None or self.class_axis(labels, shape) is None else labels.reshape(-1).astype(np.int64)

    def class_axis(self, labels: np.ndarray | None, shape: Shape) -> int | None:
        """Gives the second axis of an output of two classes."""
        return 1 if len(shape) == 2 and shape[1] == 2 else None


@dataclass(frozen=True, slots=True)
class MeanIou:
    """The mean over classes of intersection over union, of all pixels together (Everingham et al., 2015).

    Outputs are ``[N, classes, ...]`` and labels ``[N, ...]``, or the output has its classes last; labels that are
    negative or 255 do not count. Classes that occur neither in the labels nor in the output do not count.
    """

    name: str = "miou"
    traits: ClassVar[Traits] = Traits(unit="%", needs_labels=True, is_mean=False)

    def refusal(self, labels: np.ndarray | None, shape: Shape, *, judges: bool) -> str:
        """Refuses labels that are no class number of the output for every pixel."""
        if labels is None:
            return ""
        axis = _axis_beside(labels.shape, shape)
        if axis is None:
            return (
                f"metric 'miou' needs an output [samples, classes, ...] and labels [samples, ...], not {list(shape)} "
                f"and {list(labels.shape)}; correct 'y'"
            )
        if labels.dtype.kind not in "biu":
            return f"metric 'miou' needs class numbers, and 'y' holds {labels.dtype}; store them as integers"
        wanted = labels[_counts(labels)]
        if wanted.size and int(wanted.max()) >= shape[axis]:
            return (
                f"metric 'miou': label {int(wanted.max())} is above the output's {shape[axis]} classes; correct 'y', "
                f"where {IGNORED} and negative numbers stand for pixels that do not count"
            )
        return "metric 'miou': no pixel has a label that counts; correct 'y'" if judges and not wanted.size else ""

    def rows(self, batch: Batch) -> Rows:
        """Gives every class's pixels in the intersection, then in the union."""
        output, labels = batch.outputs[0], batch.labels
        refusal = self.refusal(labels, output.shape, judges=False)
        if refusal or labels is None:
            raise DataError(refusal or "metric 'miou' needs labels; give a class number for every pixel")
        axis = _axis_beside(labels.shape, output.shape) or 1
        classes = output.shape[axis]
        found = output.argmax(axis=axis).reshape(len(output), -1)
        wanted = labels.reshape(len(output), -1)
        counts = _counts(wanted)
        both = [(found == c) & (wanted == c) & counts for c in range(classes)]
        either = [((found == c) | (wanted == c)) & counts for c in range(classes)]
        return np.stack([pixels.sum(axis=1) for pixels in (*both, *either)], axis=1).astype(np.float64)

    def value(self, rows: Rows) -> float:
        """Gives the mean in percent."""
        intersection, union = np.split(rows.sum(axis=0), 2)
        return float((intersection[union > 0] / union[union > 0]).mean() * 100) if union.any() else float("nan")

    def targets(self, inputs: tuple[np.ndarray, ...], labels: np.ndarray | None, shape: Shape) -> np.ndarray | None:
        """Gives the labels, -1 where none counts."""
        return None if labels is None else np.where(_counts(labels), labels.astype(np.int64), -1)

    def class_axis(self, labels: np.ndarray | None, shape: Shape) -> int | None:
        """Gives the axis of the classes: the second, unless labels without the last one fit."""
        return (None if labels is None else _axis_beside(labels.shape, shape)) or 1


def _axis_beside(labels: Shape, shape: Shape) -> int | None:
    """Gives the axis of classes of an output, which labels of one class for every place lack; ``None`` if none is."""
    if len(shape) < 3:
        return None
    if labels[1:] == shape[2:]:
        return 1
    return len(shape) - 1 if labels[1:] == shape[1:-1] else None


def _counts(labels: np.ndarray) -> np.ndarray:
    """Tells which labels are class numbers."""
    return np.asarray((labels >= 0) & (labels != IGNORED))
