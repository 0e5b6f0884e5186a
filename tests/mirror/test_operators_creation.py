"""Made tensors against onnxruntime, exactly."""

import numpy as np
import pytest
from onnx import TensorProto, numpy_helper


@pytest.mark.parametrize("value", [None, np.float32([1.5]), np.int64([7]), np.array([True]), np.uint8([3])])
@pytest.mark.parametrize("shape", [(2, 3), (), (0,)])
def test_constant_of_shape(compare, shape, value):
    attributes = {} if value is None else {"value": numpy_helper.from_array(value)}
    compare("ConstantOfShape", [np.array(shape, np.int64)], attributes)


@pytest.mark.parametrize("kind", [np.int32, np.int64, np.float32])
@pytest.mark.parametrize("bounds", [(0, 5, 1), (2, 11, 3), (5, 0, -2), (3, 3, 1), (4, 1, 1)])
def test_range(compare, bounds, kind):
    compare("Range", [np.asarray(bound, kind) for bound in bounds])


def test_range_of_fractions(compare):
    compare("Range", [np.asarray(np.float32(bound)) for bound in (0.5, 2.0, 0.25)])


@pytest.mark.parametrize("attributes", [{}, {"k": 1}, {"k": -2}, {"dtype": TensorProto.INT64}])
def test_eye_like(compare, attributes):
    compare("EyeLike", [np.zeros((3, 4), np.float32)], attributes)
