"""Metrics of networks that tell the odd from the usual, and of those that name every pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from haqc.errors import DataError
from haqc.metrics.metric import Batch, Rows


@dataclass(frozen=True, slots=True)
class Auc:
    """The area under the receiver operating characteristic: the chance that an anomaly scores above a usual sample.

    A sample's score is its one output; the second of two; or, where the output has the shape of the first input, the
    mean squared error of the reconstruction. Labels are 0 (usual) and 1 (anomaly).
    """

    name: str = "auc"
    unit: str = "%"
    higher_is_better: bool = True
    needs_labels: bool = True
    group: int = 1
    is_mean: bool = False

    def rows(self, batch: Batch) -> Rows:
        """Gives score and label."""
        output = batch.outputs[0].reshape(len(batch.outputs[0]), -1).astype(np.float64)
        labels, given = batch.labels, batch.inputs[0]
        if labels is None or labels.size != len(output) or not np.isin(labels, (0, 1)).all():
            raise DataError("metric 'auc' needs one label per sample, 0 for usual and 1 for an anomaly; correct 'y'")
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


@dataclass(frozen=True, slots=True)
class MeanIou:
    """The mean over classes of intersection over union, of all pixels together (Everingham et al., 2015).

    Outputs are ``[N, classes, ...]`` and labels ``[N, ...]``, or the output has its classes last; labels that are
    negative or 255 do not count. Classes that occur neither in the labels nor in the output do not count.
    """

    name: str = "miou"
    unit: str = "%"
    higher_is_better: bool = True
    needs_labels: bool = True
    group: int = 1
    is_mean: bool = False

    def rows(self, batch: Batch) -> Rows:
        """Gives every class's pixels in the intersection, then in the union."""
        output, labels = batch.outputs[0], batch.labels
        shape = None if labels is None else labels.shape
        if output.ndim >= 3 and shape == (output.shape[0], *output.shape[2:]):
            axis = 1
        elif output.ndim >= 3 and shape == output.shape[:-1]:
            axis = output.ndim - 1
        else:
            raise DataError(
                f"metric 'miou' needs an output [samples, classes, ...] and labels [samples, ...], not "
                f"{list(output.shape)} and {None if shape is None else list(shape)}; correct 'y'"
            )
        assert labels is not None
        classes = output.shape[axis]
        found = output.argmax(axis=axis).reshape(len(output), -1)
        wanted = labels.reshape(len(output), -1).astype(np.int64)
        counts = (wanted >= 0) & (wanted != 255)
        if (wanted[counts] >= classes).any():
            raise DataError(f"metric 'miou': a label is above the output's {classes} classes; correct 'y'")
        both = [(found == c) & (wanted == c) & counts for c in range(classes)]
        either = [((found == c) | (wanted == c)) & counts for c in range(classes)]
        return np.stack([pixels.sum(axis=1) for pixels in (*both, *either)], axis=1).astype(np.float64)

    def value(self, rows: Rows) -> float:
        """Gives the mean in percent."""
        intersection, union = np.split(rows.sum(axis=0), 2)
        return float((intersection[union > 0] / union[union > 0]).mean() * 100) if union.any() else float("nan")
