"""Cutting and joining against onnxruntime, exactly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


def numbers(*shape):
    return np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)


def wanted(*values):
    return np.array(values, np.int64)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_concat(compare, axis):
    compare("Concat", [numbers(2, 3), 10 + numbers(2, 3), 20 + numbers(2, 3)], {"axis": axis})


@pytest.mark.parametrize("constants", [(1,), ()])
def test_split_into_lengths(compare, constants):
    compare("Split", [numbers(2, 7), wanted(2, 4, 1)], {"axis": 1}, constants=constants, outputs=3)


@pytest.mark.parametrize(("length", "count"), [(6, 3), (7, 3), (7, 4), (4, 1)])
def test_split_into_equal_parts(compare, length, count):
    compare("Split", [numbers(length, 2)], {"num_outputs": count}, outputs=count)
    compare("Split", [numbers(2, length)], {"num_outputs": count, "axis": -1}, outputs=count)


LARGE = 2**63 - 1
SLICES = [
    ((0, 1), (2, 3), None, None),
    ((1,), (LARGE,), (1,), None),
    ((-3,), (-1,), (-1,), None),
    ((0,), (LARGE,), (2,), (2,)),
    ((-1,), (-LARGE,), (1,), (-1,)),
    ((3,), (0,), (2,), (-2,)),
    ((10, -1), (-LARGE, 1), (2, 1), (-3, -1)),
    ((2,), (1,), (0,), None),
    ((0,), (2,), (1,), (-1,)),
]


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("bounds", SLICES)
def test_slice(compare, bounds, known):
    inputs = [numbers(3, 4, 5), *[None if values is None else wanted(*values) for values in bounds]]
    while inputs[-1] is None:
        inputs.pop()
    constants = [index for index in range(1, len(inputs)) if inputs[index] is not None]
    compare("Slice", inputs, constants=constants if known else ())


@settings(max_examples=50, derandomize=True, database=None, deadline=None)
@given(
    st.integers(0, 6),
    st.integers(-9, 9),
    st.integers(-9, 9),
    st.integers(-4, 4).filter(lambda step: step),
    st.booleans(),
)
def test_slice_of_any_bounds(compare, length, start, end, step, known):
    inputs = [numbers(2, length), wanted(start), wanted(end), wanted(1), wanted(step)]
    compare("Slice", inputs, constants=(1, 2, 3, 4) if known else (), trace=False)


@pytest.mark.parametrize("constants", [(1,), ()])
def test_tile(compare, constants):
    compare("Tile", [numbers(2, 3), wanted(2, 3)], constants=constants)


@pytest.mark.parametrize("upper", [0, 1])
@pytest.mark.parametrize("diagonal", [None, -1, 0, 2, 9])
def test_trilu(compare, upper, diagonal):
    inputs = [numbers(2, 4, 3)] + ([] if diagonal is None else [np.asarray(np.int64(diagonal))])
    compare("Trilu", inputs, {"upper": upper}, constants=(1,)[: len(inputs) - 1])


@pytest.mark.parametrize("upper", [0, 1])
@pytest.mark.parametrize("diagonal", [-2, 0, 1, 9])
def test_trilu_of_a_diagonal_known_at_run_time(compare, diagonal, upper):
    compare("Trilu", [numbers(2, 3, 4), np.asarray(np.int64(diagonal))], {"upper": upper})
