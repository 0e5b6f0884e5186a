"""Fine-tuning and reconstruction of codebooks: entries are learned, indices and the weights behind them stay."""

from __future__ import annotations

import numpy as np
import pytest

from haqc.data.split import Split, Transform
from haqc.metrics import named
from haqc.mirror import from_onnx
from haqc.mirror.quantised import QuantisedMirror, State
from haqc.reconstruct import Fitting, reconstruct
from haqc.train import Recipe, fine_tune, outputs
from tests.passes.small_graphs import GRAPHS, Prepared


@pytest.fixture(scope="module")
def gemm() -> Prepared:
    return Prepared.of_codebooks(GRAPHS["gemm"]())


def split(count: int, seed: int = 0) -> Split:
    x = np.random.default_rng(seed).standard_normal((count, 16)).astype(np.float32)
    return Split((x,), None, (Transform(),))


def teacher(prepared: Prepared, samples: Split) -> np.ndarray:
    return outputs(from_onnx(prepared.model), "y", samples)


def network(prepared: Prepared, bits: int = 2) -> QuantisedMirror:
    return prepared.quantise(prepared.space.uniform(bits, 8)).network


def error(prepared: Prepared, tuned: QuantisedMirror) -> float:
    fresh = split(256, seed=9)
    return float(np.square(outputs(tuned, "y", fresh) - teacher(prepared, fresh)).mean())


def tuned(prepared: Prepared, student: QuantisedMirror, samples: int) -> State:
    data = split(256)
    recipe = Recipe(samples)
    fine_tune(student, prepared.graph, "y", data, teacher(prepared, data), named("agreement"), recipe, seed=0)
    return student.state()


def test_fine_tuning_learns_the_entries(gemm: Prepared) -> None:
    student = network(gemm)
    before, codes, first = student.state(), student.codes(), error(gemm, student)
    after = tuned(gemm, student, 6400)
    assert error(gemm, student) < 0.6 * first
    for tensor, book in student.codes().codebooks.items():
        np.testing.assert_array_equal(book.indices, codes.codebooks[tensor].indices)
        assert (after.centroids[tensor] != before.centroids[tensor]).any()
        np.testing.assert_array_equal(after.parameters[tensor], before.parameters[tensor])


def test_it_is_the_same_every_time(gemm: Prepared) -> None:
    first, again = (tuned(gemm, network(gemm), 640) for _ in range(2))
    for tensor, centroids in first.centroids.items():
        np.testing.assert_array_equal(again.centroids[tensor], centroids)


def test_reconstruction_learns_them_too(gemm: Prepared) -> None:
    student = network(gemm)
    first, before = error(gemm, student), student.state()
    original = dict(before.parameters)
    reconstruct(student, original, "y", split(96, seed=3), Fitting(60 * 32), seed=0)
    assert error(gemm, student) < 0.9 * first
    assert any((student.state().centroids[tensor] != array).any() for tensor, array in before.centroids.items())
