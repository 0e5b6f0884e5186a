"""Blocks and planes put into larger ones, against onnxruntime: 1e-5 of the largest value; cropping exactly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


def extents(*values):
    return np.array(values, np.int64)


KNOWN_OR_NOT = pytest.mark.parametrize("constants", [(1, 2), ()])


@KNOWN_OR_NOT
@pytest.mark.parametrize(
    ("image", "block", "attributes"),
    [
        ((5, 6), (2, 3), {}),
        ((5, 6), (2, 3), {"strides": [2, 1]}),
        ((5, 6), (3, 2), {"pads": [1, 0, 2, 1]}),
        ((7, 6), (2, 3), {"dilations": [3, 2], "pads": [0, 1, 0, 1]}),
        ((3, 4, 5), (2, 2, 2), {"strides": [1, 2, 3]}),
    ],
)
def test_columns_to_image(compare, draw, image, block, attributes, constants):
    rank = len(image)
    steps = 1
    for axis in range(rank):
        pads = attributes.get("pads", [0] * 2 * rank)
        span = (block[axis] - 1) * attributes.get("dilations", [1] * rank)[axis] + 1
        length = image[axis] + pads[axis] + pads[axis + rank]
        steps *= (length - span) // attributes.get("strides", [1] * rank)[axis] + 1
    x = draw(2, 3 * int(np.prod(block)), steps)
    compare("Col2Im", [x, extents(*image), extents(*block)], attributes, constants=constants)


def test_columns_to_image_gradient(one, draw):
    import torch

    case = one("Col2Im", [draw(1, 8, 9), extents(4, 4), extents(2, 2)], constants=(1, 2))
    x = torch.from_numpy(draw(1, 8, 9)).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda value: case.function()(value, None, None), [x])


@settings(max_examples=40, derandomize=True, database=None, deadline=None)
@given(st.tuples(*[st.integers(1, 7)] * 2), st.tuples(*[st.integers(1, 7)] * 2), st.booleans())
def test_center_crop_pad(compare, draw_numbers, shape, wanted, known):
    constants = (1,) if known else ()
    compare("CenterCropPad", [draw_numbers(*shape), extents(*wanted)], constants=constants, tolerance=0, trace=False)


@pytest.mark.parametrize("axes", [[1], [-1, 0], [2, 1]])
def test_center_crop_pad_of_some_axes(compare, draw, axes):
    compare("CenterCropPad", [draw(3, 4, 5), extents(*[2, 7][: len(axes)])], {"axes": axes}, tolerance=0)


@pytest.mark.parametrize("shape", [None, (1, 2, 6, 6), (1, 2, 7, 8)])
def test_max_unpool(compare, draw, shape):
    x = draw(1, 2, 3, 3)
    rows = 2 * np.arange(3).reshape(3, 1) + [0, 1, 0]
    columns = 2 * np.arange(3) + [1, 0, 1]
    indices = (rows * 6 + columns).reshape(1, 1, 3, 3) + 36 * np.arange(2).reshape(1, 2, 1, 1)
    inputs = [x, indices.astype(np.int64)] + ([] if shape is None else [extents(*shape)])
    attributes = {"kernel_shape": [2, 2], "strides": [2, 2]}
    compare("MaxUnpool", inputs, attributes, constants=(2,)[: len(inputs) - 2], tolerance=0)
