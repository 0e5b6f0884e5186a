"""What a metric is: numbers per sample, and one value of them; two networks are compared on equal samples."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from haqc.errors import DataError

Rows = npt.NDArray[np.float64]
Shape = tuple[int, ...]

RESAMPLES = 400
"""Bootstrap resamples behind a standard error that has no closed form; their own error is then about 4 % of it."""

PARTS = 20
"""Parts that are left out in turn where a metric has one number for all samples only."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Some samples with what a network made of them.

    Attributes:
        inputs: one array per graph input, samples along the first axis; empty where no metric asks for them.
        outputs: the outputs that the metric reads, the scored one first.
        labels: what the data say of these samples, or ``None``.
        reference: the float network's scored output, or ``None`` where no metric asks for it.
    """

    inputs: tuple[np.ndarray, ...]
    outputs: tuple[np.ndarray, ...]
    labels: np.ndarray | None = None
    reference: np.ndarray | None = None

    def take(self, index: np.ndarray) -> Batch:
        """Gives the chosen samples."""
        labels, reference = (None if array is None else array[index] for array in (self.labels, self.reference))
        inputs, outputs = (tuple(array[index] for array in arrays) for arrays in (self.inputs, self.outputs))
        return Batch(inputs, outputs, labels, reference)


@dataclass(frozen=True, slots=True)
class Traits:
    """What the rest of haqc has to know of a metric.

    Attributes:
        unit: ``%``, or empty for a bare number.
        higher_is_better: whether larger values are better ones.
        needs_labels: whether the data must come with labels.
        is_agreement: whether it compares with the float network's output, and so is no accuracy.
        reads_inputs: whether it looks at the network's inputs.
        needs_all: whether it must see all samples at once, and every output of the graph.
        group: how many consecutive samples belong together, such as the two of a pair.
        is_mean: whether the value is the mean of one number per sample, times 100 where the unit is ``%``.
    """

    unit: str = ""
    higher_is_better: bool = True
    needs_labels: bool = False
    is_agreement: bool = False
    reads_inputs: bool = False
    needs_all: bool = False
    group: int = 1
    is_mean: bool = True


class Metric(Protocol):
    """A way to judge a network."""

    @property
    def name(self) -> str:
        """The name, as ``--metric`` spells it."""
        ...

    @property
    def traits(self) -> Traits:
        """What the rest of haqc has to know."""
        ...

    def refusal(self, labels: np.ndarray | None, shape: Shape, *, judges: bool) -> str:
        """Says why labels do not fit the metric, or an output of this shape does not; an empty string where they fit.

        Args:
            labels: those of one split, samples along the first axis, or ``None``.
            shape: that of the scored output, samples along the first axis.
            judges: whether networks are judged on these samples; otherwise they only train.
        """
        ...

    def rows(self, batch: Batch) -> Rows:
        """Gives what the value is computed from.

        Returns:
            Numbers of shape ``[samples, numbers]``; a single row where there are numbers for all samples only.

        Raises:
            DataError: outputs or labels do not fit the metric.
        """
        ...

    def value(self, rows: Rows) -> float:
        """Gives the value over all samples."""
        ...

    def targets(self, inputs: tuple[np.ndarray, ...], labels: np.ndarray | None, shape: Shape) -> np.ndarray | None:
        """Gives what outputs of this shape should be, to train on.

        Returns:
            Class numbers (int64, negative where none counts) of the shape without its axis of classes, or values
            (float32) of the shape itself; ``None`` where nothing but the float network says what should come out.
        """
        ...

    def class_axis(self, labels: np.ndarray | None, shape: Shape) -> int | None:
        """Gives the axis of an output of this shape along which scores of classes lie; ``None`` where none do."""
        ...


@runtime_checkable
class Counting(Metric, Protocol):
    """A metric that counts right answers, of which a network may be more or less sure."""

    def sureness(self, batch: Batch) -> Rows:
        """Gives the probability that each sample's right answer is given, shape ``[samples, 1]``; labels fit."""
        ...


def spread_rows(metric: Metric, batch: Batch) -> Rows:
    """Gives the rows of a batch, one per sample even where the metric has one number for all of them.

    Such rows are the jackknife's (Tukey, 1958): with part after part left out, what each part stands for, as numbers
    whose mean is the value and whose standard error is the jackknife's. Two networks are then compared like any other.

    Raises:
        DataError: outputs or labels do not fit the metric.
    """
    rows = metric.rows(batch)
    count = len(batch.outputs[0])
    if len(rows) == count:
        return rows
    parts = min(PARTS, count)
    part = np.arange(count) % parts
    whole = metric.value(rows)
    without = np.full(parts, whole)
    for number in range(parts):
        with contextlib.suppress(DataError):  # what is left may be too little for the metric
            without[number] = metric.value(metric.rows(batch.take(part != number)))
    stands_for = (parts - 1) * (whole - without)[part]
    return np.asarray(whole + (stands_for - stands_for.mean()) * math.sqrt(count / parts), np.float64)[:, None]


def standard_error(metric: Metric, rows: Rows) -> float:
    """Gives the standard error of a value, in the metric's unit."""
    if metric.traits.is_mean:
        return _mean_error(metric, rows[:, 0])
    return _spread([metric.value(rows[picked]) for picked in _resamples(len(rows), metric.traits.group)])


def paired_standard_error(metric: Metric, first: Rows, second: Rows) -> float:
    """Gives the standard error of the difference of two networks on the same samples, in the metric's unit."""
    if metric.traits.is_mean:
        return _mean_error(metric, first[:, 0] - second[:, 0])
    picks = _resamples(len(first), metric.traits.group)
    return _spread([metric.value(first[picked]) - metric.value(second[picked]) for picked in picks])


def _mean_error(metric: Metric, numbers: Rows) -> float:
    factor = 100.0 if metric.traits.unit == "%" else 1.0
    with np.errstate(invalid="ignore", over="ignore"):
        return factor * float(numbers.std(ddof=1)) / math.sqrt(len(numbers)) if len(numbers) > 1 else 0.0


def _resamples(count: int, group: int) -> list[npt.NDArray[np.int64]]:
    """Gives the samples of every bootstrap resample, drawn group by group; the same ones for the same count."""
    groups = count // group
    generator = np.random.default_rng(0)
    drawn = (generator.integers(0, groups, groups) for _ in range(RESAMPLES if groups > 1 else 0))
    return [(picked[:, None] * group + np.arange(group)).reshape(-1) for picked in drawn]


def _spread(values: list[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]  # a resample of one class has no area under its curve
    return float(np.std(finite, ddof=1)) if len(finite) > 1 else 0.0
