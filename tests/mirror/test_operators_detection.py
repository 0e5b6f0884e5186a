"""Detectors' operators against onnxruntime: boxes exactly, pooled regions to 1e-5 of the largest value."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


def one_of(value, kind=np.float32):
    return np.array([value], kind)


@settings(max_examples=40, derandomize=True, database=None, deadline=None)
@given(
    st.integers(0, 9),
    st.integers(0, 5),
    st.floats(0, 1, width=32),
    st.one_of(st.none(), st.floats(-1, 1, width=32)),
    st.booleans(),
    st.integers(0, 1000),
)
def test_non_max_suppression(compare, boxes, most, overlap, least, centred, seed):
    random = np.random.default_rng(seed)
    places = random.uniform(0, 1, (2, boxes, 4)).astype(np.float32)
    scores = random.integers(-4, 4, (2, 3, boxes)).astype(np.float32) / 4  # with equal ones
    inputs = [places, scores, one_of(most, np.int64), one_of(overlap)] + ([] if least is None else [one_of(least)])
    compare("NonMaxSuppression", inputs, {"center_point_box": int(centred)}, trace=False)


def test_non_max_suppression_without_limits(compare, draw):
    compare("NonMaxSuppression", [abs(draw(1, 4, 4)), draw(1, 2, 4)])


@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize("pixel", ["half_pixel", "output_half_pixel"])
@pytest.mark.parametrize("samples", [0, 1, 3])
def test_roi_align(compare, draw, mode, pixel, samples):
    boxes = np.float32([[0, 0, 9, 9], [2.5, 1, 7, 12], [-3, -2, 4, 3], [8, 8, 20, 20]])
    attributes = {
        "mode": mode,
        "coordinate_transformation_mode": pixel,
        "sampling_ratio": samples,
        "output_height": 2,
        "output_width": 3,
        "spatial_scale": 0.7,
    }
    compare("RoiAlign", [draw(2, 3, 8, 9), boxes, np.int64([0, 1, 1, 0])], attributes)


def test_roi_align_gradient(one, draw):
    import torch

    boxes, samples = torch.tensor([[0.5, 0.5, 5, 4]], dtype=torch.float64), torch.tensor([0])
    x = torch.from_numpy(draw(1, 2, 6, 6)).double().requires_grad_()
    for mode in ("avg", "max"):
        attributes = {"mode": mode, "output_height": 2, "output_width": 2, "sampling_ratio": 2}
        function = one(
            "RoiAlign", [draw(1, 2, 6, 6), np.zeros((1, 4), np.float32), np.int64([0])], attributes
        ).function()
        assert torch.autograd.gradcheck(lambda value, function=function: function(value, boxes, samples), [x])


def test_max_roi_pool(compare, draw):
    boxes = np.float32([[0, 0, 0, 9, 9], [1, 2, 1, 7, 6], [1, 1, 3, 1, 3], [0, 5, 5, 30, 30]])
    attributes = {"pooled_shape": [3, 2], "spatial_scale": 0.6}
    compare("MaxRoiPool", [draw(2, 3, 8, 9), boxes], attributes, tolerance=0)


def test_roi_align_of_an_unknown_mode(one, draw):
    from haqc.errors import ModelError

    with pytest.raises(ModelError, match="pools by 'median'"):
        one("RoiAlign", [draw(1, 1, 2, 2), draw(1, 4), np.int64([0])], {"mode": "median"}).function()
