"""Which arrays go together, and every way in which they may not."""

from __future__ import annotations

import numpy as np
import pytest

from haqc.data.members import arrange
from haqc.data.split import InputSpec
from haqc.errors import DataError

IMAGE = (InputSpec("image", np.dtype(np.float32), (None, 4)),)
PAIR = (
    InputSpec("ids", np.dtype(np.int64), (None, 4)),
    InputSpec("mask", np.dtype(np.int64), (None, 4)),
)
X = np.zeros((3, 4), np.float32)
Y = np.array([0, 1, 2], np.uint8)


def refused(members: dict[str, np.ndarray], message: str, inputs: tuple[InputSpec, ...] = IMAGE) -> None:
    with pytest.raises(DataError, match=message) as caught:
        arrange(members, inputs, "d.npz")
    assert str(caught.value).startswith("d.npz: ")
    assert "\n" not in str(caught.value)


def test_train_and_test() -> None:
    train, test = arrange({"x_train": X, "y_train": Y, "x_test": X[:2], "y_test": Y[:2]}, IMAGE, "d.npz")
    assert test is not None
    assert train.labels is not None
    assert train.labels.dtype == np.int64
    assert (len(train.arrays[0]), len(test.arrays[0])) == (3, 2)


def test_one_part_and_one_array_per_input() -> None:
    assert arrange({"x": X, "y": Y}, IMAGE, "d.npz")[1] is None
    assert arrange({"image": X}, IMAGE, "d.npz")[0].labels is None
    part, test = arrange({"mask": X + 1, "ids": X, "y": Y}, PAIR, "d.npz")
    assert test is None
    assert part.names == ("ids", "mask")
    np.testing.assert_array_equal(part.arrays[1], X + 1)
    named = (InputSpec("x", np.dtype(np.float32), (None, 4)), InputSpec("z", np.dtype(np.float32), (None, 4)))
    assert arrange({"x": X, "z": X, "y": Y}, named, "d.npz")[0].names == ("x", "z")


def test_an_input_named_like_the_labels_is_an_input() -> None:
    named = (InputSpec("x", np.dtype(np.float32), (None, 4)), InputSpec("y", np.dtype(np.float32), (None, 4)))
    part, _ = arrange({"x": X, "y": X}, named, "d.npz")
    assert part.labels is None


def test_names() -> None:
    refused({"x_trian": X, "x_test": X}, r"unknown array 'x_trian' \(did you mean 'x_train'\?\)")
    refused({"imgae": X}, r"did you mean 'image'")
    refused({"x_train": X}, "array 'x_test' is missing beside x_train")
    refused({"y": Y}, "array 'image' is missing beside y")
    refused({}, "is missing beside nothing")
    refused({"ids": X}, "array 'mask' is missing", PAIR)
    refused({"x": X, "y": Y, "y_test": Y}, "'y_test' does not go with x")
    refused({"x_train": X, "x_test": X, "x": X}, "'x' does not go with x_train, x_test")
    refused({"x_train": X, "y_train": Y, "x_test": X}, "only one of y_train and y_test")
    refused({"x": X}, r"one array, but the model has 2 inputs \(ids, mask\)", PAIR)


def test_samples() -> None:
    refused({"x": X[:0]}, r"'x' of shape \[0, 4\] is empty")
    refused({"x": np.array(1, np.float32)}, r"'x' of shape \[\] is empty")
    refused({"x": np.zeros((3, 0))}, "is empty")
    refused({"x": np.array(["a", "b"])}, "holds <U1; store real numbers")
    refused({"x": X.astype(np.complex64)}, "holds complex64")
    refused({"x": np.array([[1.0, np.nan]])}, "holds NaN or infinity")
    refused({"x": np.array([[1.0, -np.inf]])}, "holds NaN or infinity")
    refused({"ids": X, "mask": X[:2]}, "'ids' has 3 samples and 'mask' has 2", PAIR)


def test_labels() -> None:
    refused({"x": X, "y": Y[:2]}, "'x' has 3 samples and 'y' has 2")
    refused({"x": X, "y": np.array(["a", "b", "c"])}, "labels 'y' hold <U1; store class numbers or other real numbers")
    refused({"x": X, "y": np.array([0.5, np.nan, 2])}, "labels 'y' hold NaN or infinity; correct them")
    refused({"x": X, "y": np.full((3, 2), np.inf, np.float32)}, "labels 'y' hold NaN or infinity; correct them")
    refused({"x": X, "y": np.float32(3)}, r"labels 'y' of shape \[\] are empty; store one per sample")
    refused({"x": X, "y": np.zeros((3, 0))}, r"labels 'y' of shape \[3, 0\] are empty; store one per sample")
    refused({"x_train": X, "y_train": Y, "x_test": X, "y_test": Y * np.nan}, "labels 'y_test' hold NaN or infinity")


@pytest.mark.parametrize(
    ("labels", "kept"),
    [
        (Y.astype(np.uint8), np.int64),
        (Y.astype(np.float32), np.float32),
        (np.array([-1, 0, 2**40]), np.int64),
        (np.array([0, 1, 2**64 - 1], np.uint64), np.uint64),
        (np.eye(3, dtype=np.int32), np.int32),
        (np.zeros((3, 4, 5), np.uint8), np.uint8),
        (np.array([True, False, True]), np.bool_),
    ],
)
def test_labels_of_any_shape_are_kept(labels: np.ndarray, kept: type) -> None:
    found = arrange({"x": X, "y": labels}, IMAGE, "d.npz")[0].labels
    assert found is not None
    assert found.dtype == kept
    np.testing.assert_array_equal(found, labels)
