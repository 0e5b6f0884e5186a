"""Fourier transforms and windows against onnxruntime (1e-5 of the largest value) and finite differences."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto

WINDOWS = ["HannWindow", "HammingWindow", "BlackmanWindow"]


def scalar(value, kind=np.int64):
    return np.asarray(kind(value))


@pytest.mark.parametrize("constants", [(0,), ()])
@pytest.mark.parametrize("periodic", [0, 1])
@pytest.mark.parametrize("size", [3, 5, 16])
@pytest.mark.parametrize("op", WINDOWS)
def test_window(compare, op, size, periodic, constants):
    compare(op, [scalar(size)], {"periodic": periodic}, constants=constants)


def test_window_of_doubles(compare):
    compare("HannWindow", [scalar(8)], {"output_datatype": TensorProto.DOUBLE})


@settings(max_examples=40, derandomize=True, database=None, deadline=None)
@given(
    st.integers(1, 2),
    st.sampled_from([None, 3, 8, 11]),
    st.sampled_from([None, 1, -3, 2, -2]),
    st.sampled_from([(0, 0), (0, 1), (1, 0)]),
)
def test_transform(compare, draw_numbers, parts, length, axis, form):
    inverse, half = form
    if half and parts == 2:
        parts = 1
    if inverse:
        parts = 2
    inputs = [draw_numbers(2, 6, 5, parts), None if length is None else scalar(length)]
    inputs += [] if axis is None else [scalar(axis)]
    constants = tuple(index for index in (1, 2) if index < len(inputs) and inputs[index] is not None)
    attributes = {"inverse": inverse, "onesided": half}
    compare("DFT", inputs, attributes, constants=constants, trace=False)


def test_transform_gradient(check_gradient, draw):
    check_gradient("DFT", [draw(1, 5, 1)], {"onesided": 1})


@pytest.mark.parametrize("half", [0, 1])
@pytest.mark.parametrize("weights", [None, 8])
@pytest.mark.parametrize("size", [None, 8])
def test_short_time_transform(compare, draw, half, weights, size):
    if weights is None and size is None:
        return
    inputs = [draw(2, 20, 1), scalar(4), None if weights is None else abs(draw(8))]
    inputs += [] if size is None else [scalar(size)]
    compare("STFT", inputs, {"onesided": half}, constants=(1,))


def test_mel_weights(compare):
    inputs = [scalar(8), scalar(64), scalar(8192), scalar(10.0, np.float32), scalar(4000.0, np.float32)]
    compare("MelWeightMatrix", inputs)
