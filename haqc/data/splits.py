"""The definition of the train, search and reported splits. None of them depends on a run's seed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from haqc.data.split import Split
from haqc.errors import DataError

SPLIT_SEED = 181108886
"""The constant behind every shuffle, so that all runs agree on what is held out."""

LARGEST_SEARCH = 5_000
SMALLEST_DATA = 10

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Ranges:
    """Splits as a data description states them: ``[start, stop)`` in stored order, or ``None`` for the usual rule.

    ``train`` and ``search`` count in ``x_train`` and ``reported`` in ``x_test``; in undivided data all count in ``x``.
    """

    train: Range | None = None
    search: Range | None = None
    reported: Range | None = None


def divide(stored: Split, test: Split | None, ranges: Ranges, where: str, group: int = 1) -> tuple[Split, Split, Split]:
    """Gives the train, search and reported splits.

    Args:
        stored: the train part, or all samples when ``test`` is ``None``.
        test: the test part.
        ranges: what the description states.
        where: the data's path, for messages.
        group: how many consecutive samples stay together, unless the ranges say otherwise.

    Raises:
        DataError: there are fewer than 10 samples to divide, or the ranges are incomplete, overlap or lie outside.
    """
    if (ranges.train is None) != (ranges.search is None):
        raise DataError(f"{where}: 'splits' has only one of train and search; give both ranges, or neither")
    if test is None and ranges != Ranges():
        return _divide_by_ranges(stored, ranges, where)
    if test is None:
        return divide_single(stored, where, group)
    reported = test if ranges.reported is None else test.take(_slice(ranges.reported, "reported", len(test), where))
    if ranges.train is None or ranges.search is None:
        return *divide_train(stored, where, group), reported
    _check_disjoint({"train": ranges.train, "search": ranges.search}, where)
    train, search = (
        stored.take(_slice(limits, name, len(stored), where))
        for name, limits in (("train", ranges.train), ("search", ranges.search))
    )
    return train, search, reported


def divide_train(stored: Split, where: str, group: int = 1) -> tuple[Split, Split]:
    """Gives the train and the search split, the last min(5,000, 10 %), after one shuffle if classes stand in blocks.

    Raises:
        DataError: there are fewer than 10 samples.
    """
    _check_count(len(stored), where)
    count, classes = len(stored) // group, _classes(stored, group)
    if classes is not None and is_sorted_by_class(classes):
        stored = stored.take(_members(np.random.default_rng(SPLIT_SEED).permutation(count), group))
    first = (count - max(1, min(LARGEST_SEARCH, len(stored) // 10) // group)) * group
    return stored.take(slice(None, first)), stored.take(slice(first, count * group))


def divide_single(stored: Split, where: str, group: int = 1) -> tuple[Split, Split, Split]:
    """Gives 70 % to train, 10 % to search and 20 % to report; stratified by class when there are labels.

    Raises:
        DataError: there are fewer than 10 samples.
    """
    _check_count(len(stored), where)
    count, classes = len(stored) // group, _classes(stored, group)
    order = np.random.default_rng(SPLIT_SEED).permutation(count)
    if classes is not None:
        order = _spread_classes(order, classes)
    first, second = count * 7 // 10, count * 7 // 10 + max(1, count // 10)
    train, search, reported = (_members(part, group) for part in (order[:first], order[first:second], order[second:]))
    return stored.take(train), stored.take(search), stored.take(reported)


def _classes(stored: Split, group: int) -> np.ndarray | None:
    """Gives each group's label, where there is one number for each sample; ``None`` otherwise."""
    if stored.labels is None or stored.labels.size != len(stored):
        return None
    return stored.labels.reshape(-1)[: len(stored) // group * group : group]


def _members(groups: np.ndarray, group: int) -> np.ndarray:
    """Gives the samples of groups, in the order of the groups."""
    samples: np.ndarray = (groups[:, None] * group + np.arange(group)).reshape(-1)
    return samples


def is_sorted_by_class(labels: np.ndarray) -> bool:
    """Whether each class stands in one block, so that the last samples would show only some classes.

    >>> is_sorted_by_class(np.array([2, 2, 0, 0, 1]))
    True
    >>> is_sorted_by_class(np.array([0, 1, 0]))
    False
    """
    classes = len(np.unique(labels))
    return classes > 1 and int(np.count_nonzero(np.diff(labels))) == classes - 1


def _spread_classes(order: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Gives the samples in an order in which every stretch holds each class in its overall share."""
    _, place, count = np.unique(labels[order], return_inverse=True, return_counts=True)
    by_class = np.argsort(place, kind="stable")
    position = np.empty(len(order))
    start = np.cumsum(count) - count
    position[by_class] = (np.arange(len(order)) - start[place[by_class]] + 0.5) / count[place[by_class]]
    return order[np.argsort(position, kind="stable")]


def _divide_by_ranges(stored: Split, ranges: Ranges, where: str) -> tuple[Split, Split, Split]:
    if ranges.train is None or ranges.search is None or ranges.reported is None:
        raise DataError(f"{where}: without a test part, 'splits' needs train, search and reported; give all three")
    named = {"train": ranges.train, "search": ranges.search, "reported": ranges.reported}
    _check_disjoint(named, where)
    train, search, reported = (stored.take(_slice(r, name, len(stored), where)) for name, r in named.items())
    return train, search, reported


def _slice(limits: Range, name: str, count: int, where: str) -> slice:
    start, stop = limits
    if not 0 <= start < stop <= count:
        raise DataError(
            f"{where}: split {name} = [{start}, {stop}] does not lie within the {count} samples; "
            f"give [start, stop] with 0 <= start < stop <= {count}"
        )
    return slice(start, stop)


def _check_disjoint(named: dict[str, Range], where: str) -> None:
    ordered = sorted(named.items(), key=lambda item: item[1])
    for (name, limits), (next_name, next_limits) in pairwise(ordered):
        if next_limits[0] < limits[1]:
            raise DataError(
                f"{where}: splits {name} = {list(limits)} and {next_name} = {list(next_limits)} overlap; "
                "give ranges that share no sample"
            )


def _check_count(count: int, where: str) -> None:
    if count < SMALLEST_DATA:
        raise DataError(f"{where}: {count} samples cannot be divided into splits; give at least {SMALLEST_DATA}")
