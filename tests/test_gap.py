"""How far two results lie apart."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from haqc.gap import LEAST_OF_BOUNDED, gap_between, least_magnitude
from tests.small_model import small_model


def test_gap_between() -> None:
    inf, nan = float("inf"), float("nan")
    a = np.array([1.0, -4.0, inf, nan], np.float32)
    assert gap_between(a, a) == 0
    assert gap_between(np.array([1.0, -4.4, inf, nan], np.float32), a) == pytest.approx(0.1)
    assert gap_between(np.array([1.0, -4.0, 9.0, nan], np.float32), a) == inf
    assert gap_between(a[:2], a) == inf
    assert gap_between(a.astype(np.float64), a) == inf
    assert gap_between(np.zeros(0, np.float32), np.zeros(0, np.float32)) == 0
    numbers = np.arange(200)
    assert gap_between(numbers, numbers) == 0
    assert gap_between(np.where(numbers == 7, 8, numbers), numbers) == 0
    assert gap_between(np.where(numbers % 50 == 7, 0, numbers), numbers) == 1
    assert gap_between(np.array(True), np.array(False)) == 1


def test_what_is_small_is_compared_with_the_least_that_is_assumed() -> None:
    a, b = np.array([1e-6, 3e-6]), np.array([1e-6, 2e-6])
    assert gap_between(a, b) == pytest.approx(0.5)
    assert gap_between(a, b, 0.01) == pytest.approx(1e-4)
    assert gap_between(a * 1e6, b * 1e6, 0.01) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("nodes", "least"),
    [
        ("y = Sigmoid (x)", LEAST_OF_BOUNDED),
        ("s = Softmax (x) t = Transpose <perm=[1, 0]> (s) y = Identity (t)", LEAST_OF_BOUNDED),
        ("s = Sigmoid (x) y = Mul (s, s)", 0.0),
        ("y = Relu (x)", 0.0),
    ],
)
def test_bounded_functions_are_seen_behind_what_moves_values(nodes: str, least: float) -> None:
    model = ir.from_proto(small_model(f"(float[4,4] x) => (float[4,4] y) {{ {nodes} }}", {}))
    assert least_magnitude(model.graph.outputs[0]) == least
