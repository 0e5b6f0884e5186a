"""Sampling at computed positions against onnxruntime (1e-5 of the largest value) and finite differences."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


@settings(max_examples=60, derandomize=True, database=None, deadline=None)
@given(
    st.sampled_from(["linear", "nearest", "cubic"]),
    st.sampled_from(["zeros", "border", "reflection"]),
    st.booleans(),
    st.tuples(st.integers(1, 6), st.integers(2, 6)),
)
def test_grid_sample(compare, draw_numbers, mode, outside, corners, size):
    attributes = {"mode": mode, "padding_mode": outside, "align_corners": int(corners)}
    compare("GridSample", [draw_numbers(2, 3, *size), draw_numbers(2, 4, 5, 2)], attributes, trace=False)


@pytest.mark.parametrize("mode", ["linear", "nearest"])
@pytest.mark.parametrize("outside", ["zeros", "border", "reflection"])
def test_grid_sample_of_volumes(compare, draw, mode, outside):
    compare("GridSample", [draw(1, 2, 3, 4, 5), draw(1, 2, 3, 4, 3)], {"mode": mode, "padding_mode": outside})


def test_grid_sample_gradient(check_gradient, draw):
    check_gradient("GridSample", [draw(1, 2, 4, 4), np.float32(0.3) * draw(1, 2, 3, 2)], {"align_corners": 1})


def test_grid_sample_of_an_unknown_mode(one, draw):
    from haqc.errors import ModelError

    with pytest.raises(ModelError, match="samples by 'bicubic-ish'"):
        one("GridSample", [draw(1, 1, 2, 2), draw(1, 1, 1, 2)], {"mode": "bicubic-ish"}).function()


@pytest.mark.parametrize("constants", [(1,), ()])
@pytest.mark.parametrize("corners", [0, 1])
@pytest.mark.parametrize("size", [(2, 3, 4, 5), (2, 1, 2, 3, 4)])
def test_affine_grid(compare, draw, size, corners, constants):
    theta = draw(2, len(size) - 2, len(size) - 1)
    compare("AffineGrid", [theta, np.int64(size)], {"align_corners": corners}, constants=constants)


FORMS = {
    "plain": ((1, 1), {}),
    "padded": ((1, 1), {"pads": [1, 0, 1, 2]}),
    "strided": ((1, 2), {"strides": [2, 1], "pads": [1, 1, 1, 1]}),
    "dilated": ((1, 1), {"dilations": [2, 1]}),
    "groups": ((2, 1), {}),
    "groups and offsets": ((2, 2), {"pads": [1, 1, 1, 1]}),
}


def moved(draw, name, mask):
    (groups, offsets), attributes = FORMS[name]
    kernel, size = (2, 3), (6, 5)
    pads, strides = attributes.get("pads", [0] * 4), attributes.get("strides", [1, 1])
    spans = [(extent - 1) * step + 1 for extent, step in zip(kernel, attributes.get("dilations", [1, 1]), strict=True)]
    out = [(size[i] + pads[i] + pads[i + 2] - spans[i]) // strides[i] + 1 for i in (0, 1)]
    inputs = [draw(2, 4, *size), draw(6, 4 // groups, *kernel), draw(2, offsets * 12, *out), draw(6)]
    inputs += [abs(draw(2, offsets * 6, *out))] if mask else []
    return inputs, {**attributes, "group": groups, "offset_group": offsets}


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("name", FORMS)
def test_deform_conv(compare, draw, name, mask):
    compare("DeformConv", *moved(draw, name, mask))


def test_deform_conv_gradient(one, draw):
    import torch

    inputs, attributes = moved(draw, "padded", True)
    inputs = [inputs[0][:1, :2], inputs[1][:2, :2], inputs[2][:1], inputs[3][:2], inputs[4][:1]]
    tensors = [torch.from_numpy(np.array(value)).double().requires_grad_() for value in inputs]
    assert torch.autograd.gradcheck(one("DeformConv", inputs, attributes).function(), tensors, fast_mode=True)
