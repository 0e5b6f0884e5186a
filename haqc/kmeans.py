"""Exact k-means in one dimension: the codebook with the least squared error, not one that a random start leads to.

Clusters of sorted numbers are intervals, so the best k of them follow from the best k - 1 by dynamic programming, and
the place of the last cut moves only upwards (the cost obeys the quadrangle inequality), which leaves each step n log n
work: Gronlund et al., "Fast exact k-means, k-medians and Bregman divergence clustering in 1D", 2017, section 2.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Reals = npt.NDArray[np.float64]

GRID = 1 << 16
"""More different numbers than this are first gathered in :data:`STEPS` even steps of their range."""

STEPS = 1 << 14
"""A step is 1/64 of the distance of 256 evenly spread centroids; time and memory no longer grow with the numbers."""


@dataclass(frozen=True, slots=True, eq=False)
class Codebook:
    """Numbers as indices into a short list.

    Attributes:
        centroids: float32, ascending, shape ``[k]``; fewer than asked for where there are fewer different numbers.
        indices: int64, shaped like the numbers.
    """

    centroids: npt.NDArray[np.float32]
    indices: npt.NDArray[np.int64]

    @property
    def numbers(self) -> npt.NDArray[np.float32]:
        """The numbers, each replaced by its centroid."""
        found: npt.NDArray[np.float32] = self.centroids[self.indices]
        return found


def kmeans(numbers: npt.NDArray[np.floating], clusters: int) -> Codebook:
    """Gives the codebook of at most ``clusters`` entries with the least sum of squared distances.

    Exact for up to :data:`GRID` different numbers; beyond, exact for the means of the numbers in each step of a grid.

    Args:
        numbers: any shape; finite.
        clusters: entries of the codebook, at least 1.

    Raises:
        ValueError: there is no number, or one is not finite.
    """
    return codebooks(numbers, (clusters,))[0]


def codebooks(numbers: npt.NDArray[np.floating], sizes: Sequence[int]) -> tuple[Codebook, ...]:
    """Gives the codebooks of several sizes, each as :func:`kmeans` does, in the time that the largest takes.

    Args:
        numbers: any shape; finite.
        sizes: entries of each codebook, at least 1.

    Raises:
        ValueError: there is no number, or one is not finite.
    """
    flat = np.asarray(numbers, np.float64).reshape(-1)
    if not flat.size or not np.isfinite(flat).all() or min(sizes) < 1:
        raise ValueError("k-means needs finite numbers and at least one cluster")
    distinct, place, count = np.unique(flat, return_inverse=True, return_counts=True)
    whole = Codebook(distinct.astype(np.float32), place.reshape(np.shape(numbers)))
    wanted = [size for size in sizes if size < len(distinct)]
    if not wanted:
        return (whole,) * len(sizes)
    if len(distinct) > GRID:
        distinct, count, step = _gathered(distinct, count)
        place = step[place]
    begins = _begins(_Intervals.of(distinct, count), min(max(wanted), len(distinct)))

    def book(size: int) -> Codebook:
        bounds = [0, *_cuts(begins, min(size, len(distinct))), len(distinct)]
        cluster = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
        sums = np.add.reduceat(distinct * count, bounds[:-1])
        centroids = (sums / np.add.reduceat(count, bounds[:-1])).astype(np.float32)
        return Codebook(centroids, cluster[place].reshape(np.shape(numbers)))

    return tuple(book(size) if size in wanted else whole for size in sizes)


def _gathered(
    distinct: Reals, count: npt.NDArray[np.int64]
) -> tuple[Reals, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Gathers sorted numbers in even steps: their means, how many there are in each, and the step of each number."""
    width = (distinct[-1] - distinct[0]) / STEPS
    raw = np.minimum(((distinct - distinct[0]) / width).astype(np.int64), STEPS - 1)
    _, begins, step = np.unique(raw, return_index=True, return_inverse=True)
    counts = np.add.reduceat(count, begins)
    return np.add.reduceat(distinct * count, begins) / counts, counts, step


@dataclass(frozen=True, slots=True, eq=False)
class _Intervals:
    """Running sums of sorted numbers, from which the squared error of any interval follows."""

    weight: Reals
    first: Reals
    second: Reals

    @classmethod
    def of(cls, numbers: Reals, count: npt.NDArray[np.int64]) -> _Intervals:
        centred = numbers - np.average(numbers, weights=count)  # far from zero the sums would cancel
        moments = (count.astype(np.float64), centred * count, centred**2 * count)
        return cls(*(np.concatenate([[0.0], np.cumsum(moment)]) for moment in moments))

    def error(self, start: npt.NDArray[np.int64], end: npt.NDArray[np.int64]) -> Reals:
        """Gives the squared error of the numbers from ``start`` up to ``end``, about their mean."""
        weight = self.weight[end] - self.weight[start]
        first = self.first[end] - self.first[start]
        error: Reals = np.maximum(self.second[end] - self.second[start] - first**2 / np.maximum(weight, 1e-300), 0.0)
        return error


def _begins(intervals: _Intervals, clusters: int) -> npt.NDArray[np.int32]:
    """Gives where the last cluster begins, [clusters - 1, end], for every number of clusters and every end."""
    count = len(intervals.weight) - 1
    ends = np.arange(count + 1)
    best = intervals.error(np.zeros_like(ends), ends)
    begins = np.zeros((clusters, count + 1), np.int32)
    for cluster in range(1, clusters):
        best, begins[cluster] = _with_one_more(intervals, best, cluster)
    return begins


def _cuts(begins: npt.NDArray[np.int32], clusters: int) -> list[int]:
    """Gives where the clusters from the second on begin."""
    cuts, end = [], begins.shape[1] - 1
    for cluster in range(clusters - 1, 0, -1):
        end = int(begins[cluster, end])
        cuts.append(end)
    return cuts[::-1]


def _with_one_more(intervals: _Intervals, best: Reals, cluster: int) -> tuple[Reals, npt.NDArray[np.int32]]:
    """Adds a cluster: for every end, the least error with it, and where its last cluster begins.

    The ends are taken from coarse to fine. Where the last cluster of an end begins lies between where those of its two
    neighbours do, and all ends of one level are looked at together.
    """
    count = len(best) - 1
    found = np.full(count + 1, np.inf)
    begin = np.full(count + 1, cluster, np.int64)
    known = np.array([cluster - 1, count + 1])  # ends before which, and after which, nothing is sought
    low_of, high_of = np.array([cluster]), np.array([count])
    while len(known) > 1:
        middle = (known[:-1] + known[1:]) // 2
        is_open = middle > known[:-1]
        ends, low, high = middle[is_open], low_of[is_open], np.minimum(high_of[is_open], middle[is_open] - 1)
        if not len(ends):
            break
        low = np.minimum(low, high)
        found[ends], begin[ends] = _least(intervals, best, ends, low, np.maximum(high, low))
        known = np.sort(np.concatenate([known, ends]))
        inner = begin[known[1:-1]]
        low_of, high_of = np.concatenate([[cluster], inner]), np.concatenate([inner, [count]])
    return found, begin.astype(np.int32)


def _least(
    intervals: _Intervals,
    best: Reals,
    ends: npt.NDArray[np.int64],
    low: npt.NDArray[np.int64],
    high: npt.NDArray[np.int64],
) -> tuple[Reals, npt.NDArray[np.int64]]:
    """Gives, for each end, the least error over the places where its last cluster may begin, and that place."""
    lengths = high - low + 1
    offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    starts = np.arange(lengths.sum()) - np.repeat(offsets - low, lengths)
    errors = best[starts] + intervals.error(starts, np.repeat(ends, lengths))
    least = np.minimum.reduceat(errors, offsets)
    is_least = np.flatnonzero(errors == np.repeat(least, lengths))
    return least, starts[is_least[np.searchsorted(is_least, offsets)]]  # the first of each run, which has one
