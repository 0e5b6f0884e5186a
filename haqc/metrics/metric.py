"""What a metric is: numbers per sample, and one value of them; two networks are compared on equal samples."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.float64]

RESAMPLES = 400
"""Bootstrap resamples behind a standard error that has no closed form; their own error is then about 4 % of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Some samples with what a network made of them.

    Attributes:
        inputs, outputs: one array per graph input and output, samples along the first axis.
        labels: what the data say of these samples, or ``None``.
        reference: the float network's first output, or ``None`` where no metric asks for it.
    """

    inputs: tuple[np.ndarray, ...]
    outputs: tuple[np.ndarray, ...]
    labels: np.ndarray | None = None
    reference: np.ndarray | None = None


class Metric(Protocol):
    """A way to judge a network."""

    @property
    def name(self) -> str:
        """The name, as ``--metric`` spells it."""
        ...

    @property
    def unit(self) -> str:
        """``%``, or empty for a bare number."""
        ...

    @property
    def higher_is_better(self) -> bool:
        """Whether larger values are better ones."""
        ...

    @property
    def needs_labels(self) -> bool:
        """Whether the data must come with labels."""
        ...

    @property
    def group(self) -> int:
        """How many consecutive samples belong together, such as the two of a pair."""
        ...

    @property
    def is_mean(self) -> bool:
        """Whether the value is the mean of one number per sample, times 100 where the unit is ``%``."""
        ...

    def rows(self, batch: Batch) -> Rows:
        """Gives what the value is computed from, shape ``[samples, numbers]``.

        Raises:
            DataError: outputs or labels do not fit the metric.
        """
        ...

    def value(self, rows: Rows) -> float:
        """Gives the value over all samples."""
        ...


def quality(metric: Metric, value: float, float_value: float) -> float:
    """Gives what a search maximises: about 100 for a network as good as the float one, and points of it lost.

    Percentages of which more is better stand for themselves. Any other value counts as its change relative to the
    float network's, in percent, off 100.

    Args:
        metric: what was measured.
        value: the network's value.
        float_value: the float network's value.
    """
    if metric.unit == "%" and metric.higher_is_better:
        return value
    if not math.isfinite(value):
        return -math.inf
    change = (value - float_value) / (abs(float_value) or 1.0)
    return 100.0 * (1.0 + (change if metric.higher_is_better else -change))


def standard_error(metric: Metric, rows: Rows) -> float:
    """Gives the standard error of a value, in the metric's unit."""
    if metric.is_mean:
        return _mean_error(metric, rows[:, 0])
    return _spread([metric.value(rows[picked]) for picked in _resamples(len(rows), metric.group)])


def paired_standard_error(metric: Metric, first: Rows, second: Rows) -> float:
    """Gives the standard error of the difference of two networks on the same samples, in the metric's unit."""
    if metric.is_mean:
        return _mean_error(metric, first[:, 0] - second[:, 0])
    picks = _resamples(len(first), metric.group)
    return _spread([metric.value(first[picked]) - metric.value(second[picked]) for picked in picks])


def _mean_error(metric: Metric, numbers: Rows) -> float:
    factor = 100.0 if metric.unit == "%" else 1.0
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
