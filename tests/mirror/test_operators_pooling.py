"""Pooling against onnxruntime (1e-5 of the largest value; maxima exactly) and finite differences."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

WINDOWS = {
    "plain": ((2, 3, 8, 9), {"kernel_shape": [2, 3]}),
    "strided": ((2, 3, 8, 9), {"kernel_shape": [2, 3], "strides": [2, 2]}),
    "pads": ((1, 3, 8, 9), {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
    "ceil": ((1, 3, 8, 9), {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 1, 1, 1], "ceil_mode": 1}),
    "ceil alone": ((1, 3, 8, 8), {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
    "ceil dropped": ((1, 3, 6, 6), {"kernel_shape": [1, 1], "strides": [2, 3], "ceil_mode": 1}),
    "asymmetric": ((1, 3, 8, 9), {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [0, 1, 1, 0]}),
    "asymmetric ceil": (
        (1, 3, 8, 9),
        {"kernel_shape": [3, 3], "strides": [3, 2], "pads": [0, 0, 1, 1], "ceil_mode": 1},
    ),
    "wide": ((1, 3, 8, 9), {"kernel_shape": [3, 3], "pads": [2, 2, 2, 2]}),
    "upper": ((1, 3, 8, 9), {"kernel_shape": [3, 2], "strides": [2, 2], "auto_pad": "SAME_UPPER"}),
    "lower": ((1, 3, 8, 9), {"kernel_shape": [3, 2], "strides": [2, 2], "auto_pad": "SAME_LOWER"}),
    "valid": ((1, 3, 8, 9), {"kernel_shape": [3, 2], "strides": [2, 2], "auto_pad": "VALID"}),
    "dilated": ((1, 3, 9, 9), {"kernel_shape": [3, 2], "dilations": [2, 3], "pads": [1, 1, 1, 1]}),
    "dilated ceil": ((1, 3, 9, 9), {"kernel_shape": [3, 2], "strides": [2, 2], "dilations": [2, 3], "ceil_mode": 1}),
    "1-D": ((2, 3, 11), {"kernel_shape": [4], "strides": [3], "pads": [1, 2]}),
    "1-D even": ((2, 3, 11), {"kernel_shape": [4], "strides": [3], "pads": [2, 2], "ceil_mode": 1}),
    "3-D": ((1, 2, 5, 6, 7), {"kernel_shape": [2, 3, 2], "strides": [1, 2, 2], "pads": [0, 1, 0, 0, 1, 0]}),
    "3-D upper": ((1, 2, 5, 6, 7), {"kernel_shape": [2, 3, 2], "strides": [2, 2, 2], "auto_pad": "SAME_UPPER"}),
}


@pytest.mark.parametrize("opset", [21, 25])
@pytest.mark.parametrize("name", WINDOWS)
def test_max_pool(compare, draw, name, opset):
    shape, attributes = WINDOWS[name]
    compare("MaxPool", [draw(*shape)], attributes, opset=opset, tolerance=0)


@pytest.mark.parametrize("include", [0, 1])
@pytest.mark.parametrize("name", WINDOWS)
def test_average_pool(compare, draw, name, include):
    shape, attributes = WINDOWS[name]
    compare("AveragePool", [draw(*shape)], {**attributes, "count_include_pad": include})


@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize("name", WINDOWS)
def test_lp_pool(compare, draw, name, p):
    shape, attributes = WINDOWS[name]
    compare("LpPool", [draw(*shape)], {**attributes, "p": p})


@settings(max_examples=40, derandomize=True, database=None, deadline=None)
@given(
    st.integers(4, 10),
    st.integers(1, 4),
    st.integers(1, 4),
    st.tuples(st.integers(0, 3), st.integers(0, 3)),
    st.booleans(),
    st.booleans(),
)
def test_pooling_of_any_window(compare, length, extent, stride, pads, ceil, include):
    if max(pads) >= extent:
        pads = (0, extent - 1)
    x = np.random.default_rng(length).standard_normal((1, 2, length)).astype(np.float32)
    attributes = {"kernel_shape": [extent], "strides": [stride], "pads": list(pads), "ceil_mode": int(ceil)}
    compare("MaxPool", [x], attributes, tolerance=0, trace=False)
    compare("AveragePool", [x], {**attributes, "count_include_pad": int(include)}, trace=False)


@pytest.mark.parametrize("name", ["plain", "pads", "ceil", "dilated ceil", "1-D even", "3-D"])
def test_max_pool_indices(compare, draw, name):
    shape, attributes = WINDOWS[name]
    compare("MaxPool", [draw(*shape)], attributes, outputs=2, tolerance=0)


@pytest.mark.parametrize("name", ["asymmetric", "upper"])
def test_max_pool_indices_of_padding_torch_lacks(one, draw, name):
    from haqc.errors import ModelError

    shape, attributes = WINDOWS[name]
    with pytest.raises(ModelError, match="gives indices"):
        one("MaxPool", [draw(*shape)], attributes, outputs=2).function()


@pytest.mark.parametrize("shape", [(2, 3, 7), (2, 3, 4, 5), (1, 2, 3, 4, 2)])
@pytest.mark.parametrize("op", ["GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"])
def test_global_pool(compare, draw, op, shape):
    compare(op, [draw(*shape)])


def test_global_lp_pool_of_one(compare, draw):
    compare("GlobalLpPool", [draw(2, 3, 4, 5)], {"p": 1})


def test_pooling_over_four_axes(one, draw):
    from haqc.errors import ModelError

    with pytest.raises(ModelError, match="pools over 4 axes"):
        one("MaxPool", [draw(1, 1, 2, 2, 2, 2)], {"kernel_shape": [1, 1, 1, 1]}).function()


@pytest.mark.parametrize("name", ["pads", "ceil", "asymmetric", "upper", "dilated"])
@pytest.mark.parametrize("op", ["MaxPool", "AveragePool", "LpPool"])
def test_pooling_gradient(check_gradient, draw, op, name):
    shape, attributes = WINDOWS[name]
    check_gradient(op, [draw(1, 1, *shape[2:])], attributes)


@pytest.mark.parametrize("op", ["GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"])
def test_global_pooling_gradient(check_gradient, draw, op):
    check_gradient(op, [draw(1, 2, 3, 3)])
