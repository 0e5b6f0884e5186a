"""Quantisers against onnxruntime, exactly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

KINDS = [np.uint8, np.int8, np.uint16, np.int16]


@settings(max_examples=40, derandomize=True, database=None, deadline=None)
@given(
    st.lists(st.floats(-40, 40, width=32), min_size=6, max_size=6),
    st.sampled_from(KINDS),
    st.sampled_from([(), (3,)]),
    st.booleans(),
)
def test_quantize(compare, values, kind, shape, with_zero):
    if not with_zero:
        kind = np.uint8
    x, scale = np.float32(values).reshape(2, 3), np.full(shape, 0.25, np.float32)
    inputs = [x, scale] + ([np.full(shape, 3, kind)] if with_zero else [])
    compare("QuantizeLinear", inputs, {"axis": -1}, trace=False)


@pytest.mark.parametrize("kind", [*KINDS, np.int32])
@pytest.mark.parametrize("shape", [(), (3,)])
def test_dequantize(compare, draw, kind, shape):
    codes, scale = np.arange(6).reshape(2, 3).astype(kind), np.full(shape, 0.3, np.float32)
    inputs = [codes, scale] + ([] if kind == np.int32 else [np.full(shape, 2, kind)])
    compare("DequantizeLinear", inputs, {"axis": 1})


def test_blocks(compare, draw):
    scale, zero = abs(draw(2, 3)) + np.float32(0.1), np.int8([[0, 1, 2], [3, 4, 5]])
    attributes = {"axis": 1, "block_size": 2}
    compare("QuantizeLinear", [draw(2, 6), scale, zero], attributes)
    compare("DequantizeLinear", [np.arange(12).reshape(2, 6).astype(np.int8), scale, zero], attributes)
