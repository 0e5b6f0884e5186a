"""Judges networks: runs of outputs in, one quality out, by one metric on one split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from haqc.data.split import Dataset, Split
from haqc.errors import DataError
from haqc.metrics import Batch, Counting, Metric, Rows, Shape, quality, value_at
from haqc.metrics.metric import spread_rows
from haqc.score import Score

Outputs = Iterable[tuple[np.ndarray, ...]]
"""What a network gave for run after run of a split's samples, in order: one array per output that the metric reads."""


@dataclass(frozen=True, slots=True, eq=False)
class Judge:
    """What the search judges networks by.

    Attributes:
        metric: what is measured.
        outputs: graph outputs that it reads, the scored one first.
        split: the samples.
        reference: the float network's scored output on them, shape ``[N, ...]``; ``None`` where no metric asks for it.
        float_value: the float network's value on them, in the metric's unit.
    """

    metric: Metric
    outputs: tuple[str, ...]
    split: Split
    reference: np.ndarray | None
    float_value: float

    def quality(self, outputs: Outputs) -> float:
        """Gives a network's quality, larger being better: its percentage, or 100 for one as good as the float one."""
        value = self.metric.value(rows_of(self.metric, self.split, outputs, self.reference))
        return quality(self.metric, value, self.float_value)

    def score(self, outputs: Outputs) -> Score:
        """Gives a network's quality, and what it is ranked by: where right answers are counted, how sure it is of them.

        Raises:
            DataError: outputs or labels do not fit the metric, or the user's function fails.
        """
        metric = self.metric
        if not isinstance(metric, Counting):
            found = self.quality(outputs)
            return Score(found, found)
        right, sure = [], []
        for batch in _batches(metric, self.split, outputs, self.reference):
            right.append(metric.rows(batch))
            sure.append(metric.sureness(batch))
        accuracy = quality(metric, metric.value(np.concatenate(right)), self.float_value)
        return Score(accuracy, 100.0 * float(np.concatenate(sure).mean()))

    @property
    def float_quality(self) -> float:
        """The quality of the float network."""
        return quality(self.metric, self.float_value, self.float_value)

    def value_at(self, points: float) -> float:
        """Gives the value, in the metric's unit, that has such a quality."""
        return value_at(self.metric, points, self.float_value)


def rows_of(metric: Metric, split: Split, outputs: Outputs, reference: np.ndarray | None) -> Rows:
    """Gives a metric's rows over a whole split; only a metric that needs all samples at once holds all outputs.

    Raises:
        DataError: outputs or labels do not fit the metric, or the user's function fails.
    """
    batches = _batches(metric, split, outputs, reference)
    if metric.traits.needs_all:
        return metric.rows(_joined(list(batches)))
    return np.concatenate([metric.rows(batch) for batch in batches])


def rows_by_sample(metric: Metric, split: Split, outputs: Outputs, reference: np.ndarray | None) -> Rows:
    """Gives a metric's rows over a whole split, one per sample, from which standard errors follow.

    Raises:
        DataError: outputs or labels do not fit the metric, or the user's function fails.
    """
    if metric.traits.needs_all:
        return spread_rows(metric, _joined(list(_batches(metric, split, outputs, reference))))
    return rows_of(metric, split, outputs, reference)


def check_labels(dataset: Dataset, metric: Metric, shape: Shape) -> None:
    """Checks that an output and all labels fit a metric, before anything is trained.

    Args:
        dataset: the data.
        metric: what is measured.
        shape: that of the scored output, samples along the first axis.

    Raises:
        DataError: something does not fit; the message says what.
    """
    if metric.traits.needs_labels and not dataset.has_labels:
        raise DataError(f"metric '{metric.name}' needs labels, and '{dataset.name}' has none; give 'y', or no --metric")
    if dataset.synthetic and not metric.traits.is_agreement:
        raise DataError(
            f"metric '{metric.name}' says nothing on inputs that are made up; give --data, or leave --metric out"
        )
    for split, judges in ((dataset.train, False), (dataset.search, True), (dataset.reported, True)):
        labels = None if metric.traits.is_agreement else split.labels
        refusal = metric.refusal(labels, shape, judges=judges)
        if refusal:
            raise DataError(f"{dataset.name}: {refusal}")


def _batches(metric: Metric, split: Split, outputs: Outputs, reference: np.ndarray | None) -> Iterator[Batch]:
    """Puts beside each run's outputs what belongs to the same samples."""
    start = 0
    for arrays in outputs:
        chosen = slice(start, start + len(arrays[0]))
        inputs = split.inputs(chosen) if metric.traits.reads_inputs else ()
        labels, expected = (None if array is None else array[chosen] for array in (split.labels, reference))
        yield Batch(inputs, arrays, labels, expected)
        start = chosen.stop


def _joined(batches: list[Batch]) -> Batch:
    """Makes one batch of many."""

    def join(arrays: list[np.ndarray | None]) -> np.ndarray | None:
        parts = [array for array in arrays if array is not None]
        return np.concatenate(parts) if parts else None

    return Batch(
        inputs=tuple(np.concatenate(arrays) for arrays in zip(*(batch.inputs for batch in batches), strict=True)),
        outputs=tuple(np.concatenate(arrays) for arrays in zip(*(batch.outputs for batch in batches), strict=True)),
        labels=join([batch.labels for batch in batches]),
        reference=join([batch.reference for batch in batches]),
    )
