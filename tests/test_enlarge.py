"""Mirror images join the training samples where the float network takes them for the same, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from haqc.data.split import Split, Transform
from haqc.enlarge import enlarge
from haqc.judge import Judge
from haqc.metrics import named
from haqc.runtime import Runtime
from tests.small_model import draw, small_model

TEXT = "(float[N,1,2,2] x) => (float[N,2] y) { flat = Flatten(x) y = MatMul(flat, w) }"
PIXELS = {"upper": (0, 1), "left": (0, 2)}
"""Pixels of each image that speak for class 0; the others speak for class 1."""


def enlarged(images: np.ndarray, side: str, metric: str = "top-1", *, has_labels: bool = True) -> tuple[Split, Split]:
    weight = np.zeros((4, 2), np.float32)
    weight[:, 1] = 1
    weight[list(PIXELS[side])] = (1, 0)
    labels = (images.reshape(len(images), 4) @ weight).argmax(axis=1) if has_labels else None
    split = Split((images,), labels, (Transform(),))
    runtime = Runtime(small_model(TEXT, {"w": weight}).SerializeToString())
    return split, enlarge(split, Judge(named(metric), ("y",), split, None, 100.0), runtime, 16)


def test_upper_and_lower_are_the_same_mirrored() -> None:
    split, found = enlarged(draw(50, 1, 2, 2), "upper")
    assert len(found) == 100
    (plain,), (images,) = split.inputs(slice(0, 50)), found.inputs(slice(0, 100))
    np.testing.assert_array_equal(images[:50], plain)
    np.testing.assert_array_equal(images[50:], plain[..., ::-1])
    assert split.labels is not None and found.labels is not None
    np.testing.assert_array_equal(found.labels, np.tile(split.labels, 2))


@pytest.mark.parametrize(("side", "metric", "has_labels"), [
    ("left", "top-1", True), ("upper", "agreement", True), ("upper", "top-1", False)
])  # fmt: skip
def test_left_and_right_are_not(side: str, metric: str, has_labels: bool) -> None:
    split, found = enlarged(draw(50, 1, 2, 2), side, metric, has_labels=has_labels)
    assert found is split


@pytest.mark.parametrize(("changing", "length"), [(2, 400), (3, 200)])
def test_a_point_may_be_lost(changing: int, length: int) -> None:
    """Of 200 images one point is two. The others are undecided, which is class 0 mirrored too."""
    images = np.ones((200, 1, 2, 2), np.float32)
    images[:changing, 0, :, 1] = 0  # more on the left: class 0, mirrored class 1
    assert len(enlarged(images, "left")[1]) == length
