"""Splits convert one batch at a time and leave what is stored alone."""

from __future__ import annotations

import numpy as np
import pytest

from haqc.data.split import Dataset, InputSpec, Split, Transform
from haqc.errors import DataError

F32 = np.dtype(np.float32)


def pixels(count: int = 6) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, 4, 5, 3), np.uint8)


def test_values_are_scaled_and_normalised_channel_by_channel() -> None:
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    transform = Transform("NHWC", 1 / 255, mean, std, F32, (0, 3, 1, 2), (3, 4, 5), 1)
    stored = pixels()
    expected = ((stored / 255.0 - mean) / std).transpose(0, 3, 1, 2)
    result = transform.apply(stored)
    assert result.dtype == np.float32
    assert result.flags.c_contiguous
    np.testing.assert_allclose(result, expected, rtol=0, atol=5e-7)  # a few float32 roundings of values under 2


def test_float64_is_computed_in_float64() -> None:
    transform = Transform(scale=1 / 255, mean=(0.286,), std=(0.353,), dtype=np.dtype(np.float64))
    stored = pixels()
    np.testing.assert_array_equal(transform.apply(stored), (stored * (1 / 255) - 0.286) / 0.353)


def test_half_precision_is_rounded_once() -> None:
    stored = pixels()
    half = Transform(scale=1 / 255, dtype=np.dtype(np.float16)).apply(stored)
    single = Transform(scale=1 / 255, dtype=F32).apply(stored)
    np.testing.assert_array_equal(half, single.astype(np.float16))


def test_plain_values_are_only_cast_and_never_shared() -> None:
    stored = pixels().astype(np.float32)
    split = Split((stored,), None, (Transform(),))
    (batch,) = split.inputs(slice(0, 2))
    np.testing.assert_array_equal(batch, stored[:2])
    batch[...] = -1
    assert stored.min() >= 0


def test_taking_a_slice_shares_memory_and_keeps_the_stored_type() -> None:
    split = Split((pixels(),), np.arange(6), (Transform(),))
    part = split.take(slice(2, 5))
    assert len(part) == 3
    assert part.arrays[0].dtype == np.uint8
    assert np.shares_memory(part.arrays[0], split.arrays[0])
    np.testing.assert_array_equal(split.take(np.array([5, 0])).labels, [5, 0])


def test_batches_come_in_order_and_the_last_is_smaller() -> None:
    split = Split((pixels(), np.arange(6)), np.arange(6), (Transform(), Transform(dtype=np.dtype(np.int64))))
    batches = list(split.batches(4))
    assert [len(labels) for _, labels in batches if labels is not None] == [4, 2]
    np.testing.assert_array_equal(np.concatenate([inputs[1] for inputs, _ in batches]), np.arange(6))
    unlabelled = Split((pixels(),), None, (Transform(),))
    assert [labels for _, labels in unlabelled.batches(3)] == [None, None]
    with pytest.raises(ValueError, match="at least one sample"):
        next(split.batches(0))


@pytest.mark.parametrize(
    ("arrays", "labels", "transforms"),
    [
        ((np.zeros(3), np.zeros(2)), None, (Transform(), Transform())),
        ((np.zeros(3),), np.zeros(2, np.int64), (Transform(),)),
        ((np.zeros(3),), None, ()),
        ((), None, ()),
    ],
)
def test_unequal_lengths_are_refused(
    arrays: tuple[np.ndarray, ...], labels: np.ndarray | None, transforms: tuple[Transform, ...]
) -> None:
    with pytest.raises(DataError, match="as many samples"):
        Split(arrays, labels, transforms)


def test_a_data_set_has_labels_only_when_every_split_has() -> None:
    labelled, bare = (Split((np.zeros(2),), labels, (Transform(),)) for labels in (np.zeros(2, np.int64), None))
    assert Dataset(labelled, labelled, labelled, "d", "0", False).has_labels
    assert not Dataset(labelled, labelled, bare, "d", "0", False).has_labels


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((None, 3, 32, 32), 1),
        ((None, 32, 32, 3), 3),
        ((None, None, None, 3), 3),
        ((None, 1, 28, 1), None),
        ((None, None, None, None), None),
        ((None, 3, 32), None),
    ],
)
def test_the_channel_axis_of_an_image_input(shape: tuple[int | None, ...], axis: int | None) -> None:
    assert InputSpec("image", F32, shape).image_channel_axis == axis
