"""Changes of shape against onnxruntime, exactly."""

import numpy as np
import pytest


def numbers(*shape):
    return np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)


def wanted(*values):
    return np.array(values, np.int64)


KNOWN_OR_NOT = pytest.mark.parametrize("constants", [(1,), ()])


@KNOWN_OR_NOT
@pytest.mark.parametrize(
    ("shape", "target"),
    [
        ((2, 3, 4), (6, 4)),
        ((2, 3, 4), (0, -1)),
        ((2, 3, 4), (4, 0, -1)),
        ((1,), ()),
        ((2, 3), (0, 0, 1)),
        ((6,), (-1, 2)),
    ],
)
def test_reshape(compare, shape, target, constants):
    compare("Reshape", [numbers(*shape), wanted(*target)], constants=constants)


@KNOWN_OR_NOT
@pytest.mark.parametrize("target", [(0, 5), (3, 0)])
def test_reshape_to_nothing(compare, target, constants):
    compare("Reshape", [numbers(0, 4), wanted(*target)], {"allowzero": 1}, constants=constants)


@pytest.mark.parametrize("opset", [21, 25])
@pytest.mark.parametrize(
    ("shape", "axis"), [((2, 3, 4), 1), ((2, 3, 4), 0), ((2, 3, 4), 3), ((2, 3, 4), -1), ((5,), 1), ((0, 3), 1)]
)
def test_flatten(compare, shape, axis, opset):
    compare("Flatten", [numbers(*shape)], {"axis": axis}, opset=opset)


@pytest.mark.parametrize("attributes", [{}, {"perm": [0, 2, 1]}, {"perm": [2, 0, 1]}])
def test_transpose(compare, attributes):
    compare("Transpose", [numbers(2, 3, 4)], attributes)


@KNOWN_OR_NOT
@pytest.mark.parametrize("axes", [(1,), (1, -1), (-3,)])
def test_squeeze(compare, axes, constants):
    compare("Squeeze", [numbers(2, 1, 3, 1), wanted(*axes)], constants=constants)


def test_squeeze_of_all(compare):
    compare("Squeeze", [numbers(2, 1, 3, 1)])


@KNOWN_OR_NOT
@pytest.mark.parametrize("axes", [(0,), (2, 0), (-1,), (-1, -4), (-2, 1), (-4, 3), (1, 2)])
def test_unsqueeze(compare, axes, constants):
    compare("Unsqueeze", [numbers(2, 3), wanted(*axes)], constants=constants)


@KNOWN_OR_NOT
@pytest.mark.parametrize(
    ("shape", "target"), [((3, 1), (1, 4)), ((3,), (2, 3)), ((2, 3), (1,)), ((1, 3), (2, 1, 3)), ((), (2,))]
)
def test_expand(compare, shape, target, constants):
    compare("Expand", [numbers(*shape), wanted(*target)], constants=constants)


@pytest.mark.parametrize(
    "attributes",
    [{}, {"start": 1}, {"start": -2}, {"start": 1, "end": 3}, {"end": -1}, {"end": 9}, {"start": 3, "end": 1}],
)
def test_shape(compare, attributes):
    compare("Shape", [numbers(2, 3, 4, 5)], attributes)


def test_size(compare):
    compare("Size", [numbers(2, 3, 4)])


@pytest.mark.parametrize("attributes", [{}, {"mode": "DCR"}, {"mode": "CRD"}])
def test_depth_to_space(compare, attributes):
    compare("DepthToSpace", [numbers(2, 12, 2, 3)], {"blocksize": 2, **attributes})


def test_space_to_depth(compare):
    compare("SpaceToDepth", [numbers(2, 3, 4, 6)], {"blocksize": 2})
