"""Pad against onnxruntime, exactly."""

import numpy as np
import pytest


def numbers(*shape):
    return np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)


def wanted(*values):
    return np.array(values, np.int64)


MODES = ["constant", "reflect", "edge", "wrap"]


@pytest.mark.parametrize("constants", [(1,), ()])
@pytest.mark.parametrize("pads", [(0, 1, 2, 0, 2, 1), (0, 0, 3, 0, 0, 3), (1, 0, 0, 0, 0, 0), (0, 0, 0, 0, 0, 0)])
@pytest.mark.parametrize("mode", MODES)
def test_pad(compare, mode, pads, constants):
    compare("Pad", [numbers(2, 3, 4), wanted(*pads)], {"mode": mode}, constants=constants)


@pytest.mark.parametrize("constants", [(1, 2), (1, 2, 3), (1, 3), ()])
@pytest.mark.parametrize("axes", [(1,), (-1, 0), (2, -2)])
def test_pad_of_some_axes(compare, axes, constants):
    pads = wanted(*range(1, 2 * len(axes) + 1))
    compare("Pad", [numbers(2, 3, 4), pads, np.asarray(np.float32(-7)), wanted(*axes)], constants=constants)


@pytest.mark.parametrize("mode", MODES[1:])
def test_pad_of_some_axes_without_a_value(compare, mode):
    compare("Pad", [numbers(2, 3, 4), wanted(1, 2), None, wanted(-1)], {"mode": mode}, constants=(1, 3))


def test_pad_crops(compare):
    compare("Pad", [numbers(4, 5), wanted(-1, 1, 1, -2)], constants=(1,))


def test_pad_of_integers(compare):
    compare("Pad", [np.arange(6).reshape(2, 3), wanted(1, 0, 0, 1), np.asarray(9)], constants=(1, 2))
    compare("Pad", [np.arange(6, dtype=np.uint8), wanted(1, 1), np.asarray(np.uint8(128))], constants=(1, 2))


@pytest.mark.parametrize("mode", MODES)
def test_pad_gradient(check_gradient, mode, one):
    import torch

    function = one("Pad", [numbers(2, 3), wanted(0, 1, 1, 2)], {"mode": mode}, constants=(1,)).function()
    x = torch.arange(6.0, dtype=torch.float64).reshape(2, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda value: function(value, None), [x])


def test_pad_in_another_mode(one):
    from haqc.errors import ModelError

    with pytest.raises(ModelError, match="has mode 'mirror', not one of constant, reflect"):
        one("Pad", [numbers(2), wanted(1, 1)], {"mode": "mirror"}).function()
