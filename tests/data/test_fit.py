"""A stored array fits an input in exactly one way, or is refused with both shapes."""

from __future__ import annotations

import numpy as np
import pytest

from haqc.data.fit import fit
from haqc.data.split import InputSpec, Shape, Transform
from haqc.errors import DataError

F32 = np.dtype(np.float32)


def fitted(stored: np.ndarray, shape: Shape, transform: Transform | None = None, dtype: np.dtype = F32) -> Transform:
    return fit(stored, "x_train", InputSpec("image", dtype, shape), transform or Transform(), "d.npz")


def numbered(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.int64).reshape(shape)


@pytest.mark.parametrize(
    ("stored", "wanted", "axes"),
    [
        ((2, 28, 28), (None, 1, 28, 28), None),
        ((2, 28, 28), (None, 28, 28, 1), None),
        ((2, 28, 28), (None, 28, 28), None),
        ((2, 28, 28), (None, 784), None),
        ((2, 1, 28, 28), (None, 28, 28), None),
        ((2, 28, 28, 1), (None, 28, 28), None),
        ((2, 8, 9, 3), (None, 8, 9, 3), None),
        ((2, 8, 9, 3), (None, None, None, None), None),
        ((2, 8, 9, 3), (None, 3, 8, 9), (0, 3, 1, 2)),
        ((2, 8, 9, 3), (None, 3, None, None), (0, 3, 1, 2)),
        ((2, 3, 8, 9), (None, 8, 9, 3), (0, 2, 3, 1)),
        ((2, 28, 28, 1), (None, 1, 28, 28), (0, 3, 1, 2)),
        ((2, 16), (None, 1, 16), None),
        ((2,), (None, 1), None),
        ((2,), (None,), None),
    ],
)
def test_shapes_that_fit_in_one_way(stored: tuple[int, ...], wanted: Shape, axes: tuple[int, ...] | None) -> None:
    array = numbered(*stored)
    result = fitted(array, wanted).apply(array)
    expected = array if axes is None else array.transpose(axes)
    assert all(w in (None, length) for w, length in zip(wanted, result.shape, strict=True))
    np.testing.assert_array_equal(result, expected.reshape(result.shape))


@pytest.mark.parametrize(
    ("layout", "stored", "wanted", "axes"),
    [
        ("NHWC", (2, 8, 9, 3), (None, 3, 8, 9), (0, 3, 1, 2)),
        ("NHWC", (2, 8, 9, 3), (None, 8, 9, 3), (0, 1, 2, 3)),
        ("NCHW", (2, 3, 8, 9), (None, 8, 9, 3), (0, 2, 3, 1)),
        ("NCHW", (2, 3, 8, 9), (None, 3, None, None), (0, 1, 2, 3)),
        ("NHWC", (2, 4, 8, 8), (None, 8, None, None), (0, 3, 1, 2)),
    ],
)
def test_a_layout_says_which_axes_are_the_channels(
    layout: str, stored: tuple[int, ...], wanted: Shape, axes: tuple[int, ...]
) -> None:
    array = numbered(*stored)
    np.testing.assert_array_equal(fitted(array, wanted, Transform(layout)).apply(array), array.transpose(axes))


def test_a_grey_layout_gets_its_channel() -> None:
    assert fitted(numbered(2, 8, 8), (None, 1, 8, 8), Transform("HW")).sample_shape == (1, 8, 8)
    assert fitted(numbered(2, 8, 8, 1), (None, 8, 8), Transform("NHWC")).sample_shape == (8, 8)


def test_a_mismatch_names_both_shapes() -> None:
    with pytest.raises(DataError, match=r"'x_train' of shape \[2, 28, 28\] does not fit .*'image' of shape \[\?, 3"):
        fitted(numbered(2, 28, 28), (None, 3, 32, 32))
    with pytest.raises(DataError, match="correct the key 'layout'"):
        fitted(numbered(2, 28, 28, 3), (None, 3, 32, 32), Transform("NHWC"))


def test_two_readings_are_refused_and_named() -> None:
    with pytest.raises(DataError, match="as NHWC moved to NCHW or as NCHW moved to NHWC") as caught:
        fitted(numbered(2, 4, 8, 8), (None, 8, None, None))
    assert "the key 'layout'" in str(caught.value)
    with pytest.raises(DataError, match="one channel first or with one channel last"):
        fitted(numbered(2, 8, 8), (None, None, None, None))
    with pytest.raises(DataError, match="remove the key 'layout'"):
        fitted(numbered(2, 8, 8, 3), (None, None, None, None), Transform("NHWC"))


def test_a_layout_of_another_number_of_axes_is_refused() -> None:
    with pytest.raises(DataError, match=r"'HW' means 3 axes .* shape \[2, 8, 8, 3\]"):
        fitted(numbered(2, 8, 8, 3), (None, 3, 8, 8), Transform("HW"))


def test_mean_and_std_lie_along_the_channels() -> None:
    three = Transform(mean=(1.0, 2.0, 3.0))
    assert fitted(numbered(2, 8, 9, 3), (None, 8, 9, 3), three).channel_axis == 3
    assert fitted(numbered(2, 3, 8, 9), (None, 3, 8, 9), three).channel_axis == 1
    assert fitted(numbered(2, 8, 9, 3), (None, 3, 8, 9), three).channel_axis == 1
    assert fitted(numbered(2, 3), (None, 3), three).channel_axis == 1
    with pytest.raises(DataError, match="no axis of channels has that length"):
        fitted(numbered(2, 1, 8, 9), (None, 1, 8, 9), three)
    with pytest.raises(DataError, match="more than one axis could be the channels"):
        fitted(numbered(2, 3, 8, 3), (None, 3, 8, 3), three)
    with pytest.raises(DataError, match="no axis of channels has that length"):
        fitted(numbered(2), (None,), three)


def test_whole_numbers_are_cast_when_they_fit() -> None:
    int32 = np.dtype(np.int32)
    assert fitted(numbered(2, 4), (None, 4), dtype=int32).apply(numbered(2, 4)).dtype == int32
    assert fitted(np.zeros((2, 4), bool), (None, 4), dtype=np.dtype(bool)).dtype == np.dtype(bool)


@pytest.mark.parametrize(
    ("stored", "dtype"),
    [
        (np.full((2, 4), 300), np.uint8),
        (np.full((2, 4), -1), np.uint8),
        (np.full((2, 4), 2**40), np.int32),
        (np.ones((2, 4), np.float32), np.int64),
        (np.full((2, 4), 2), np.bool_),
    ],
)
def test_values_that_do_not_fit_an_integer_input_are_refused(stored: np.ndarray, dtype: type) -> None:
    with pytest.raises(DataError, match="store whole numbers from"):
        fitted(stored, (None, 4), dtype=np.dtype(dtype))


def test_an_input_of_text_is_refused() -> None:
    with pytest.raises(DataError, match="haqc feeds numbers only"):
        fitted(numbered(2, 4), (None, 4), dtype=np.dtype(object))


def test_integers_are_not_scaled() -> None:
    transform = Transform(scale=0.5, mean=(1.0,))
    np.testing.assert_array_equal(
        fitted(numbered(2, 4), (None, 4), transform, np.dtype(np.int64)).apply(numbered(2, 4)), numbered(2, 4)
    )
