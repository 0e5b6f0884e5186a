"""Values written by index against onnxruntime: 1e-6 of the largest value."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

REDUCTIONS = ["none", "add", "mul", "max", "min"]


def at(values, kind=np.int64):
    return np.asarray(values, kind)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("axis", [0, 1, -2])
def test_scatter_elements(compare, draw, axis, reduction):
    inputs = [draw(3, 3), at([[1, 0, 2], [0, -1, 1]]), draw(2, 3)]
    compare("ScatterElements", inputs, {"axis": axis, "reduction": reduction}, tolerance=1e-6)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("indices", "updates"), [([[1], [-1]], (2, 3)), ([[0, 1], [2, -1]], (2,))])
def test_scatter_nd(compare, draw, indices, updates, reduction):
    inputs = [draw(3, 3), at(indices), draw(*updates)]
    compare("ScatterND", inputs, {"reduction": reduction}, tolerance=1e-6)


@settings(max_examples=30, derandomize=True, database=None, deadline=None)
@given(st.lists(st.integers(-4, 3), min_size=1, max_size=6), st.sampled_from(REDUCTIONS[1:]))
def test_scatter_joins_repeated_indices(compare, draw_numbers, indices, reduction):
    x, updates = draw_numbers(4, 2), draw_numbers(len(indices), 2)
    compare("ScatterND", [x, at(indices).reshape(-1, 1), updates], {"reduction": reduction}, trace=False)
    wide = np.repeat(at(indices).reshape(-1, 1), 2, 1)
    compare("ScatterElements", [x, wide, updates], {"reduction": reduction}, trace=False)


@pytest.mark.parametrize("mode", ["linear", "circular"])
def test_tensor_scatter(compare, draw, mode):
    start = at([1, 4]) if mode == "circular" else at([1, 3])
    compare("TensorScatter", [draw(2, 3, 5, 2), draw(2, 3, 2, 2), start], {"mode": mode}, opset=24, tolerance=0)
    compare("TensorScatter", [draw(2, 5, 4), draw(2, 2, 4)], {"mode": mode, "axis": 1}, opset=24, tolerance=0)
