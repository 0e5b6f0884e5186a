"""Resize against onnxruntime: nearest exactly, linear and cubic to 1e-5 of the largest value."""

import numpy as np
import pytest

MODES = ["half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"]
# An odd count of outputs for an odd count of inputs would put the middle one of half_pixel_symmetric on a whole
# position but for the last bit, and floor would turn on that bit.
SCALES = [(2.0, 2.0), (1.5, 0.9), (0.5, 3.2), (1.0, 2.45)]
SIZES = [(8, 10), (7, 4), (2, 16), (4, 1), (4, 5)]


def scaled(*factors):
    return [None, np.array((1.0, 1.0, *factors), np.float32)]


def sized(*extents):
    return [None, None, np.array((1, 2, *extents), np.int64)]


WAYS = [
    *(pytest.param(scaled(*scales), marks=pytest.mark.slow) for scales in SCALES[2:]),
    *(scaled(*scales) for scales in SCALES[:2]),
    *(pytest.param(sized(*sizes), marks=pytest.mark.slow) for sizes in SIZES[2:]),
    *(sized(*sizes) for sizes in SIZES[:2]),
]
"""By factors and to sizes; two of each are quick."""

KNOWN_OR_NOT = pytest.mark.parametrize("known", [True, False])


@KNOWN_OR_NOT
@pytest.mark.parametrize("coordinates", MODES)
@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_resize(compare, draw, mode, how, coordinates, known):
    attributes = {"mode": mode, "coordinate_transformation_mode": coordinates}
    compare("Resize", [draw(1, 2, 4, 5), *how], attributes, constants=(len(how),) if known else ())


@pytest.mark.parametrize("rounding", ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
@pytest.mark.parametrize("coordinates", MODES)
@pytest.mark.parametrize("how", WAYS)
def test_resize_to_nearest(compare, draw, how, coordinates, rounding):
    attributes = {"mode": "nearest", "coordinate_transformation_mode": coordinates, "nearest_mode": rounding}
    compare("Resize", [draw(1, 2, 4, 5), *how], attributes, constants=(len(how),))


@pytest.mark.parametrize("attributes", [{"cubic_coeff_a": -0.5}, {"exclude_outside": 1}])
@pytest.mark.parametrize("scales", SCALES)
def test_cubic_variants(compare, draw, scales, attributes):
    compare("Resize", [draw(1, 2, 4, 5), *scaled(*scales)], {"mode": "cubic", **attributes}, constants=(2,))


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("shape", [(1, 2, 6), (1, 1, 3, 4, 5)])
def test_resize_of_other_ranks(compare, draw, shape, mode):
    factors = np.array((1.0, 1.0, *[1.5] * (len(shape) - 2)), np.float32)
    compare("Resize", [draw(*shape), None, factors], {"mode": mode}, constants=(2,))


def test_resize_of_some_axes(compare, draw):
    inputs = [draw(1, 2, 4, 5), None, None, np.array([7, 3], np.int64)]
    compare("Resize", inputs, {"mode": "nearest", "axes": [3, 2]}, constants=(3,))


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"antialias": 1, "mode": "linear"}, "smooths before it shrinks"),
        ({"keep_aspect_ratio_policy": "not_larger"}, "has keep_aspect_ratio_policy 'not_larger'"),
        ({"coordinate_transformation_mode": "tf_crop_and_resize"}, "has coordinate_transformation_mode 'tf_crop"),
    ],
)
def test_refused_forms(one, draw, attributes, reason):
    from haqc.errors import ModelError

    with pytest.raises(ModelError, match=reason):
        one("Resize", [draw(1, 2, 4, 5), *sized(8, 8)], attributes, constants=(3,)).function()


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_resize_gradient(one, draw, mode):
    import torch

    function = one("Resize", [draw(1, 1, 2, 3), *scaled(1.5, 2.0)], {"mode": mode}, constants=(2,)).function()
    x = torch.from_numpy(draw(1, 1, 2, 3)).double().requires_grad_()
    assert torch.autograd.gradcheck(function, [x])
