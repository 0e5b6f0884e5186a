"""Order and positions against onnxruntime, exactly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

KNOWN_OR_NOT = pytest.mark.parametrize("constants", [(1,), ()])


def at(values, kind=np.int64):
    return np.asarray(values, kind)


@KNOWN_OR_NOT
@pytest.mark.parametrize("attributes", [{}, {"largest": 0}, {"axis": 0}, {"axis": 1, "largest": 0}])
def test_top_k(compare, draw, attributes, constants):
    compare("TopK", [draw(4, 5, 3), at([2])], attributes, constants=constants, outputs=2)


@pytest.mark.parametrize("largest", [0, 1])
def test_top_k_of_equals(compare, largest):
    compare("TopK", [np.float32([[2, 1, 2, 1, 2, 0]]), at([4])], {"largest": largest}, constants=(1,), outputs=2)


@pytest.mark.parametrize("last", [0, 1])
@pytest.mark.parametrize("attributes", [{}, {"axis": -1}, {"axis": 1, "keepdims": 0}])
@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
def test_argument(compare, op, attributes, last):
    x = np.random.default_rng(7).integers(0, 3, (3, 4, 5)).astype(np.float32)
    compare(op, [x], {**attributes, "select_last_index": last})


def test_non_zero(compare):
    compare("NonZero", [np.float32([[1, 0, 2], [0, 0, 3]])])
    compare("NonZero", [np.array([True, False, True])])


@settings(max_examples=30, derandomize=True, database=None, deadline=None)
@given(
    st.lists(st.integers(-3, 3), min_size=1, max_size=12),
    st.sampled_from([None, 0, -1]),
    st.booleans(),
    st.integers(1, 4),
)
def test_unique(compare, values, axis, ascending, outputs):
    attributes = {"sorted": int(ascending)} | ({} if axis is None else {"axis": axis})
    compare("Unique", [np.float32(values)], attributes, outputs=outputs, tolerance=0, trace=False)


@pytest.mark.parametrize("axis", [0, 1])
def test_unique_slices(compare, axis):
    x = np.float32([[1, 0, 1], [1, 0, 1], [2, 3, 2]])
    compare("Unique", [x], {"axis": axis}, outputs=4, tolerance=0)
