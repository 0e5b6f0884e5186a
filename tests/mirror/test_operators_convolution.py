"""Conv and ConvTranspose against onnxruntime (1e-5 of the largest value) and finite differences."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

CONV = {
    "plain": ((2, 3, 9, 8), (4, 3, 3, 3), {}),
    "kernel_shape": ((1, 2, 6, 6), (4, 2, 3, 1), {"kernel_shape": [3, 1]}),
    "pads": ((1, 3, 9, 8), (4, 3, 3, 3), {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
    "asymmetric": ((1, 3, 9, 8), (4, 3, 3, 3), {"pads": [0, 1, 2, 3], "strides": [2, 1]}),
    "dilated": ((1, 3, 12, 11), (4, 3, 3, 3), {"dilations": [2, 3], "pads": [2, 0, 2, 0]}),
    "depthwise": ((2, 6, 7, 7), (6, 1, 3, 3), {"group": 6, "pads": [1, 1, 1, 1]}),
    "groups": ((1, 6, 7, 7), (4, 3, 1, 1), {"group": 2}),
    "upper": ((1, 2, 9, 8), (3, 2, 3, 4), {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    "lower": ((1, 2, 9, 8), (3, 2, 3, 4), {"auto_pad": "SAME_LOWER", "strides": [2, 3]}),
    "upper stride 1": ((1, 2, 9, 8), (3, 2, 2, 4), {"auto_pad": "SAME_UPPER"}),
    "lower stride 1": ((1, 2, 9, 8), (3, 2, 2, 4), {"auto_pad": "SAME_LOWER"}),
    "valid": ((1, 2, 9, 8), (3, 2, 3, 3), {"auto_pad": "VALID", "strides": [2, 1]}),
    "1-D": ((2, 3, 11), (4, 3, 5), {"pads": [4, 0]}),
    "1-D strided": ((2, 3, 11), (4, 3, 5), {"pads": [2, 2], "strides": [2], "dilations": [2]}),
    "3-D": ((1, 2, 5, 6, 7), (3, 2, 3, 2, 3), {"pads": [1, 0, 1, 1, 1, 1], "strides": [1, 2, 1]}),
    "3-D upper": ((1, 2, 5, 6, 7), (3, 2, 3, 2, 3), {"auto_pad": "SAME_UPPER", "strides": [2, 2, 2]}),
}
TRANSPOSED = {
    "plain": ((1, 3, 4, 5), (3, 2, 3, 3), {}),
    "strided": ((2, 3, 4, 5), (3, 2, 3, 3), {"strides": [2, 3], "pads": [1, 1, 1, 1]}),
    "output_padding": ((1, 3, 4, 5), (3, 2, 3, 3), {"strides": [2, 2], "output_padding": [1, 1], "pads": [1] * 4}),
    "asymmetric": ((1, 3, 4, 5), (3, 2, 3, 3), {"strides": [2, 2], "pads": [0, 1, 2, 0], "output_padding": [1, 0]}),
    "dilated": ((1, 3, 4, 5), (3, 2, 3, 3), {"dilations": [2, 3]}),
    "groups": ((1, 4, 4, 5), (4, 3, 2, 2), {"group": 2, "strides": [2, 2]}),
    "output_shape": ((1, 3, 4, 5), (3, 2, 3, 3), {"strides": [3, 2], "output_shape": [10, 8]}),
    "output_shape upper": (
        (1, 3, 4, 5),
        (3, 2, 4, 4),
        {"strides": [3, 2], "output_shape": [10, 9], "auto_pad": "SAME_UPPER"},
    ),
    "output_shape beyond": ((1, 3, 4, 5), (3, 2, 3, 3), {"strides": [3, 2], "output_shape": [13, 12]}),
    "upper": ((1, 3, 4, 5), (3, 2, 3, 4), {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
    "lower": ((1, 3, 4, 5), (3, 2, 3, 4), {"strides": [2, 2], "auto_pad": "SAME_LOWER"}),
    "valid": ((1, 3, 4, 5), (3, 2, 3, 4), {"strides": [2, 2], "auto_pad": "VALID"}),
    "1-D": ((2, 3, 6), (3, 2, 4), {"strides": [3], "pads": [2, 1]}),
    "3-D": ((1, 2, 3, 4, 3), (2, 3, 2, 3, 2), {"strides": [2, 1, 2], "pads": [1, 0, 0, 0, 1, 1]}),
}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", CONV)
def test_conv(compare, draw, name, bias):
    x, weight, attributes = CONV[name]
    inputs = [draw(*x), draw(*weight)] + [draw(weight[0])] * bias
    compare("Conv", inputs, attributes, constants=(1, 2)[: 1 + bias])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", TRANSPOSED)
def test_conv_transpose(compare, draw, name, bias):
    x, weight, attributes = TRANSPOSED[name]
    channels = weight[1] * attributes.get("group", 1)
    compare("ConvTranspose", [draw(*x), draw(*weight)] + [draw(channels)] * bias, attributes)


@settings(max_examples=25, derandomize=True, database=None, deadline=None)
@given(
    st.tuples(*[st.integers(3, 9)] * 2),
    st.tuples(*[st.integers(1, 3)] * 2),
    st.lists(st.integers(1, 3), min_size=2, max_size=2),
    st.lists(st.integers(0, 2), min_size=4, max_size=4),
)
def test_conv_of_any_window(compare, size, kernel, strides, pads):
    source = np.random.default_rng(sum(size))
    x = source.standard_normal((1, 2, *size)).astype(np.float32)
    weight = source.standard_normal((3, 2, *kernel)).astype(np.float32)
    compare("Conv", [x, weight], {"strides": strides, "pads": pads}, trace=False)


@pytest.mark.parametrize("name", ["asymmetric", "upper", "depthwise", "1-D"])
def test_conv_gradient(check_gradient, draw, name):
    x, weight, attributes = CONV[name]
    check_gradient("Conv", [draw(*x), draw(*weight), draw(weight[0])], attributes)


@pytest.mark.parametrize("name", ["strided", "asymmetric", "lower", "output_shape", "1-D"])
def test_conv_transpose_gradient(check_gradient, draw, name):
    x, weight, attributes = TRANSPOSED[name]
    check_gradient("ConvTranspose", [draw(*x), draw(*weight), draw(weight[1])], attributes)


def test_auto_pad_that_onnx_lacks(one, draw):
    from haqc.errors import ModelError

    case = one("Conv", [draw(1, 1, 3, 3), draw(1, 1, 1, 1)], {"auto_pad": "FULL"})
    with pytest.raises(ModelError, match=r"node 'node' \(Conv, opset 21\) has auto_pad 'FULL'"):
        case.function()
