"""Operators on bits against onnxruntime, exactly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto


@settings(max_examples=30, derandomize=True, database=None, deadline=None)
@given(
    st.lists(st.integers(-128, 127), min_size=3, max_size=3),
    st.integers(-128, 127),
    st.sampled_from([np.int8, np.int16, np.int32, np.int64]),
    st.sampled_from(["BitwiseAnd", "BitwiseOr", "BitwiseXor"]),
)
def test_bitwise(compare, left, right, kind, op):
    compare(op, [np.array(left, kind), np.array([[right]], kind)], trace=False)


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int64])
def test_bitwise_not(compare, kind):
    compare("BitwiseNot", [np.array([0, 1, 127], kind)])


@pytest.mark.parametrize("direction", ["LEFT", "RIGHT"])
def test_bit_shift(compare, direction):
    compare("BitShift", [np.uint8([1, 200, 77]), np.uint8([1, 3, 7])], {"direction": direction})


def test_bit_shift_to_nowhere(one):
    from haqc.errors import ModelError

    with pytest.raises(ModelError, match="shifts to 'UP'"):
        one("BitShift", [np.uint8([1]), np.uint8([1])], {"direction": "UP"}).function()


def test_bit_cast(one):
    # onnxruntime has no kernel; numpy reads the same bits.
    x = np.float32([1.5, -0.0, 3e38])
    (tensor,) = one("BitCast", [x], {"to": TensorProto.INT32}, opset=26).tensors()
    given = one("BitCast", [x], {"to": TensorProto.INT32}, opset=26).function()(tensor)
    np.testing.assert_array_equal(given, x.view(np.int32))
