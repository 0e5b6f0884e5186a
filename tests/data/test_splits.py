"""The splits are what their definition says, disjoint, and the same whatever the seed of a run."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haqc.data.split import Split, Transform
from haqc.data.splits import Ranges, divide, divide_single, divide_train, is_sorted_by_class
from haqc.errors import DataError


def numbered(count: int, labels: np.ndarray | None = None) -> Split:
    return Split((np.arange(count),), labels, (Transform(dtype=np.dtype(np.int64)),))


def samples(split: Split) -> list[int]:
    return [int(value) for value in split.arrays[0]]


@pytest.mark.parametrize(("count", "search"), [(10, 1), (19, 1), (1257, 125), (20_000, 2_000), (60_000, 5_000)])
def test_the_search_split_is_the_last_tenth_or_5000(count: int, search: int) -> None:
    train, held = divide_train(numbered(count, np.arange(count) % 3), "d")
    assert samples(train) == list(range(count - search))
    assert samples(held) == list(range(count - search, count))


@pytest.mark.parametrize("classes", [[0, 1, 2, 3], [3, 0, 2, 1]])
def test_data_in_blocks_of_classes_are_shuffled_once(classes: list[int]) -> None:
    labels = np.repeat(classes, 100)
    train, held = divide_train(numbered(400, labels), "d")
    assert sorted(samples(train) + samples(held)) == list(range(400))
    assert held.labels is not None
    assert set(held.labels.tolist()) == {0, 1, 2, 3}
    np.testing.assert_array_equal(held.labels, labels[held.arrays[0]])
    assert samples(held) == samples(divide_train(numbered(400, labels), "d")[1])


def test_what_is_sorted_by_class() -> None:
    assert is_sorted_by_class(np.array([0, 0, 1, 2, 2]))
    assert is_sorted_by_class(np.array([2, 1, 0]))
    assert not is_sorted_by_class(np.array([0, 1, 0, 1]))
    assert not is_sorted_by_class(np.zeros(5, np.int64))


def test_a_single_part_gives_70_10_20_of_every_class() -> None:
    labels = np.repeat([0, 1, 2], [100, 50, 10])
    splits = divide_single(numbered(160, labels), "d")
    assert [len(split) for split in splits] == [112, 16, 32]
    assert sorted(chain.from_iterable(map(samples, splits))) == list(range(160))
    for split, share in zip(splits, (0.7, 0.1, 0.2), strict=True):
        assert split.labels is not None
        assert np.all(np.abs(np.bincount(split.labels, minlength=3) - share * np.array([100, 50, 10])) <= 1)
        np.testing.assert_array_equal(split.labels, labels[split.arrays[0]])


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(10, 400), st.integers(1, 12), st.booleans())
def test_splits_partition_the_samples(count: int, classes: int, labelled: bool) -> None:
    labels = np.random.default_rng(count).integers(0, classes, count) if labelled else None
    splits = divide_single(numbered(count, labels), "d")
    assert min(len(split) for split in splits) >= 1
    assert sorted(chain.from_iterable(map(samples, splits))) == list(range(count))


def test_labels_of_several_numbers_are_no_classes() -> None:
    bare, masks = (divide_single(numbered(60, labels), "d") for labels in (None, np.zeros((60, 4, 4), np.uint8)))
    assert [samples(split) for split in bare] == [samples(split) for split in masks]
    train, held = divide_train(numbered(60, np.repeat(np.eye(3), 20, axis=0)), "d")
    assert samples(train) + samples(held) == list(range(60))


@pytest.mark.parametrize("dtype", [np.float32, np.bool_])
def test_kinds_in_blocks_are_spread_whatever_their_type(dtype: type) -> None:
    labels = np.repeat([0, 1], [90, 10]).astype(dtype)
    _, held = divide_train(numbered(100, labels), "d")
    assert held.labels is not None
    assert 0 < held.labels.sum() < len(held)
    for part in divide_single(numbered(100, labels[:, None]), "d"):
        assert part.labels is not None
        assert part.labels.sum() == pytest.approx(0.1 * len(part), abs=1)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(10, 200), st.integers(1, 5), st.booleans())
def test_groups_stay_together(count: int, group: int, labelled: bool) -> None:
    labels = np.repeat(np.arange(count) % 3, group)[:count] if labelled else None
    for splits in (
        divide_single(numbered(count, labels), "d", group),
        divide_train(numbered(count, labels), "d", group),
    ):
        for split in splits:
            parts = split.arrays[0].reshape(-1, group)
            np.testing.assert_array_equal(parts, parts[:, :1] // group * group + np.arange(group))
        assert sum(len(split) for split in splits) == count // group * group


def test_unlabelled_data_are_shuffled() -> None:
    splits = divide_single(numbered(100), "d")
    assert [len(split) for split in splits] == [70, 10, 20]
    assert samples(splits[0]) != sorted(samples(splits[0]))


def test_too_few_samples_are_refused() -> None:
    for attempt in (divide_train, divide_single):
        with pytest.raises(DataError, match=r"9 samples cannot be divided.*at least 10"):
            attempt(numbered(9), "d")


def test_ranges_of_a_description() -> None:
    train, search, reported = divide(numbered(30), numbered(8), Ranges((0, 20), (25, 30), (2, 5)), "d")
    assert samples(train) == list(range(20))
    assert samples(search) == list(range(25, 30))
    assert samples(reported) == [2, 3, 4]
    assert [len(split) for split in divide(numbered(30), numbered(8), Ranges(reported=(0, 4)), "d")] == [27, 3, 4]
    assert [len(split) for split in divide(numbered(30), numbered(8), Ranges((0, 3), (3, 5)), "d")] == [3, 2, 8]
    assert [len(split) for split in divide(numbered(30), None, Ranges((0, 3), (3, 5), (5, 9)), "d")] == [3, 2, 4]


@pytest.mark.parametrize(
    ("ranges", "has_test", "message"),
    [
        (Ranges(train=(0, 5)), True, "only one of train and search"),
        (Ranges(search=(0, 5)), False, "only one of train and search"),
        (Ranges((0, 5), (5, 9)), False, "give all three"),
        (Ranges(reported=(0, 5)), False, "give all three"),
        (Ranges((0, 20), (20, 31)), True, r"search = \[20, 31\] does not lie within the 30 samples"),
        (Ranges(reported=(0, 31)), True, "reported = "),
        (Ranges((0, 20), (19, 25)), True, r"train = \[0, 20\] and search = \[19, 25\] overlap"),
        (Ranges((5, 9), (0, 5), (8, 20)), False, "train = .* and reported = .* overlap"),
    ],
)
def test_wrong_ranges_are_refused(ranges: Ranges, has_test: bool, message: str) -> None:
    with pytest.raises(DataError, match=message):
        divide(numbered(30), numbered(30) if has_test else None, ranges, "d")
