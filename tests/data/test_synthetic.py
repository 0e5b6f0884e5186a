"""Made-up inputs are seeded, standard normal, and smooth where they are images."""

from __future__ import annotations

import numpy as np
import pytest

from haqc.data.split import InputSpec
from haqc.data.synthetic import Counts, Role, make_inputs, words_for
from haqc.errors import DataError

F32 = np.dtype(np.float32)


def made(*shape: int | None, seed: int = 0, dtype: np.dtype = F32) -> np.ndarray:
    return make_inputs((InputSpec("image", dtype, (None, *shape)),), seed)["image"]


def neighbours(samples: np.ndarray, axis: int) -> float:
    """Gives the correlation of values with their neighbours along an axis."""
    moved = np.moveaxis(samples, axis, -1)
    return float(np.corrcoef(moved[..., 1:].ravel(), moved[..., :-1].ravel())[0, 1])


def test_the_same_seed_gives_the_same_inputs() -> None:
    np.testing.assert_array_equal(made(3, 8, 8), made(3, 8, 8))
    assert not np.array_equal(made(3, 8, 8), made(3, 8, 8, seed=1))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_values_are_standard_normal(dtype: type) -> None:
    samples = made(3, 16, 16, dtype=np.dtype(dtype))
    assert samples.shape == (1792, 3, 16, 16)
    assert samples.dtype == dtype
    assert abs(samples.mean(dtype=np.float64)) < 0.01  # its deviation is 4 / sqrt(1792 * 768) = 0.0034
    assert abs(samples.std(dtype=np.float64) - 1) < 0.01


@pytest.mark.parametrize(("shape", "spatial", "channel"), [((3, 16, 16), (2, 3), 1), ((16, 16, 3), (1, 2), 3)])
def test_images_are_smooth_in_space_and_not_over_channels(
    shape: tuple[int, ...], spatial: tuple[int, int], channel: int
) -> None:
    samples = made(*shape)
    for axis in spatial:
        assert neighbours(samples, axis) == pytest.approx(0.75, abs=0.01)  # averages of 4 share 3
    assert neighbours(samples, channel) == pytest.approx(0, abs=0.01)


def test_other_inputs_are_independent_noise() -> None:
    assert neighbours(made(64), 1) == pytest.approx(0, abs=0.02)
    assert made(2, 1, 1).std() == pytest.approx(1, abs=0.05)


def test_inputs_of_one_model_differ() -> None:
    specs = tuple(InputSpec(name, F32, (None, 4)) for name in ("a", "b"))
    members = make_inputs(specs, 0)
    assert not np.array_equal(members["a"], members["b"])


def test_counts_are_those_asked_for() -> None:
    specs = (InputSpec("a", F32, (None, 4)),)
    assert make_inputs(specs, 0, counts=Counts(5, 3, 2))["a"].shape == (10, 4)


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8, np.float32])
def test_indices_cover_their_table_and_no_more(dtype: type) -> None:
    spec = InputSpec("ids", np.dtype(dtype), (None, 50))
    ids = make_inputs((spec,), 0, {"ids": Role("index", 30)})["ids"]
    assert ids.dtype == dtype
    assert set(np.unique(ids)) == set(range(30))
    assert np.bincount(ids.ravel().astype(int)).std() < 4 * np.sqrt(ids.size / 30)
    assert words_for(spec, Role("index", 30)).startswith("whole numbers from 0 to 29, drawn evenly")


def test_an_index_stays_within_its_own_type() -> None:
    spec = InputSpec("ids", np.dtype(np.int8), (None, 500))
    ids = make_inputs((spec,), 0, {"ids": Role("index", 30_000)})["ids"]
    assert (ids.min(), ids.max()) == (0, 127)
    assert "from 0 to 127" in words_for(spec, Role("index", 30_000))


@pytest.mark.parametrize(
    ("dtype", "role"),
    [(np.bool_, Role("mask")), (np.int64, Role("mask")), (np.float32, Role("mask")), (np.int64, Role())],
)
def test_masks_and_other_whole_numbers_are_ones(dtype: type, role: Role) -> None:
    spec = InputSpec("mask", np.dtype(dtype), (None, 5))
    mask = make_inputs((spec,), 0, {"mask": role})["mask"]
    assert mask.dtype == dtype
    assert (mask == 1).all()
    assert words_for(spec, role).startswith("ones: ")


def test_what_cannot_be_made_up_is_refused() -> None:
    with pytest.raises(DataError, match=r"open axis besides the batch.*--shape image=1,3,128,8, or give data"):
        made(3, None, 8)
    with pytest.raises(DataError, match="would take"):
        made(3, 2**20, 2**20)
