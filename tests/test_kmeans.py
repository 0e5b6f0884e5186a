"""The codebook against every partition there is, and against scikit-learn's search from random starts."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from haqc.kmeans import GRID, codebooks, kmeans


def error(numbers: npt.NDArray[np.floating], clusters: int) -> float:
    found = kmeans(numbers, clusters)
    assert found.indices.shape == numbers.shape
    assert len(found.centroids) <= clusters
    assert (np.diff(found.centroids) > 0).all()
    return float(((found.centroids.astype(np.float64)[found.indices] - numbers) ** 2).sum())


def least_error(numbers: npt.NDArray[np.floating], clusters: int) -> float:
    """The least error over all partitions into intervals."""
    ordered = np.sort(numbers)
    splits = (
        [0, *cuts, len(ordered)]
        for cuts in itertools.combinations(range(1, len(ordered)), min(clusters, len(ordered)) - 1)
    )
    return min(
        sum(float(((ordered[i:j] - ordered[i:j].mean()) ** 2).sum()) for i, j in itertools.pairwise(bounds))
        for bounds in splits
    )


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(-40, 40), min_size=1, max_size=11), st.integers(1, 6), st.sampled_from([1.0, 0.01, 300.0]))
def test_no_partition_is_better(numbers: list[int], clusters: int, scale: float) -> None:
    values = np.array(numbers) * scale
    assert error(values, clusters) == pytest.approx(least_error(values, clusters), rel=1e-6, abs=1e-9 * scale**2)


def test_far_from_zero_it_is_as_exact() -> None:
    numbers = np.random.default_rng(0).normal(size=10)
    assert error(numbers + 1000.0, 3) == pytest.approx(least_error(numbers, 3), rel=1e-3)


@pytest.mark.parametrize("clusters", [2, 4, 16, 64])
def test_random_starts_are_never_better(clusters: int) -> None:
    numbers = np.random.default_rng(clusters).standard_normal(2000)
    searched = KMeans(clusters, n_init=3, random_state=0).fit(numbers[:, None]).inertia_
    assert error(numbers, clusters) <= searched * (1 + 1e-6)


def test_few_different_numbers_are_kept() -> None:
    numbers = np.array([[0.5, -1.0], [0.5, 2.0]], np.float32)
    found = kmeans(numbers, 4)
    np.testing.assert_array_equal(found.numbers, numbers)
    np.testing.assert_array_equal(found.centroids, np.array([-1.0, 0.5, 2.0], np.float32))


def test_many_numbers_cost_little_precision() -> None:
    numbers = np.random.default_rng(1).standard_normal(2 * GRID)
    half = error(numbers[:GRID], 8) / GRID
    assert error(numbers, 8) / (2 * GRID) == pytest.approx(half, rel=0.02)


@pytest.mark.parametrize("count", [3, 40, GRID + 100])
def test_several_sizes_at_once_are_those_found_alone(count: int) -> None:
    numbers = np.random.default_rng(2).standard_normal(count)
    for size, found in zip((2, 4, 16), codebooks(numbers, (2, 4, 16)), strict=True):
        alone = kmeans(numbers, size)
        np.testing.assert_array_equal(found.centroids, alone.centroids)
        np.testing.assert_array_equal(found.indices, alone.indices)


@pytest.mark.parametrize("numbers", [[], [1.0, np.nan], [np.inf, 0.0]])
def test_what_is_no_number_is_refused(numbers: list[float]) -> None:
    with pytest.raises(ValueError, match="finite numbers"):
        kmeans(np.array(numbers), 2)
