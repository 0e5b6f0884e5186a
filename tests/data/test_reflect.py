"""Images are mirrored along their width, however they are stored; nothing else is mirrored."""

from __future__ import annotations

import numpy as np
import pytest

from haqc.data.reflect import reflect
from haqc.data.split import Split, Transform


@pytest.mark.parametrize(
    ("shape", "transform", "width"),
    [
        ((5, 3, 6, 6), Transform(), 3),
        ((5, 6, 6, 3), Transform(), 2),
        ((5, 6, 6, 3), Transform(order=(0, 3, 1, 2)), 3),
        ((5, 6, 6), Transform(sample_shape=(1, 6, 6), scale=0.5, mean=(2.0,), std=(3.0,)), 3),
        ((5, 36), Transform(sample_shape=(1, 6, 6)), None),
        ((5, 6, 6), Transform(), None),
        ((5, 6, 6, 7), Transform(), None),
    ],
)
def test_images_are_mirrored(
    shape: tuple[int, ...], transform: Transform, width: int | None, rng: np.random.Generator
) -> None:
    split = Split((rng.integers(0, 255, shape, np.uint8),), np.arange(5), (transform,))
    found = reflect(split)
    if width is None:
        assert found is None
    else:
        assert found is not None
        (given,), (mirrored,) = split.inputs(slice(0, 5)), found.inputs(slice(0, 5))
        np.testing.assert_array_equal(mirrored, np.flip(given, width))
        assert (mirrored != given).any()


def test_two_inputs_are_not_mirrored(rng: np.random.Generator) -> None:
    images = rng.integers(0, 255, (4, 3, 6, 6), np.uint8)
    assert reflect(Split((images, images), None, (Transform(), Transform()))) is None
