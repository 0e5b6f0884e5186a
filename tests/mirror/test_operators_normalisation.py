"""Normalisations against onnxruntime (1e-5 of the largest value) and finite differences."""

import numpy as np
import pytest


@pytest.mark.parametrize("attributes", [{}, {"epsilon": 0.01}])
@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 5), (2, 3, 4, 5), (1, 3, 2, 3, 4)])
def test_batch_normalization(compare, draw, shape, attributes):
    parameters = [draw(3), draw(3), draw(3), abs(draw(3))]
    compare("BatchNormalization", [draw(*shape), *parameters], attributes)


def test_batch_normalization_in_training(one, draw):
    from haqc.errors import ModelError

    case = one("BatchNormalization", [draw(2, 3), *[draw(3)] * 4], {"training_mode": 1})
    with pytest.raises(ModelError, match="is in training mode"):
        case.function()


@pytest.mark.parametrize("opset", [21, 22])
@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 3, 4, 5), (1, 3, 2, 3, 4), (2, 3, 1, 1)])
def test_instance_normalization(compare, draw, shape, opset):
    compare("InstanceNormalization", [draw(*shape), draw(3), draw(3)], {"epsilon": 0.01}, opset=opset)


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("shape", [(2, 4, 5), (2, 4, 3, 5)])
def test_group_normalization(compare, draw, shape, groups):
    compare("GroupNormalization", [draw(*shape), draw(4), draw(4)], {"num_groups": groups})


@pytest.mark.parametrize("outputs", [1, 2, 3])
@pytest.mark.parametrize(("axis", "scale"), [(-1, (5,)), (1, (3, 5)), (-2, (3, 5)), (0, (4, 3, 5)), (2, (5,))])
def test_layer_normalization(compare, draw, axis, scale, outputs):
    compare("LayerNormalization", [draw(4, 3, 5), draw(*scale), draw(*scale)], {"axis": axis}, outputs=outputs)


def test_layer_normalization_without_bias(compare, draw):
    compare("LayerNormalization", [draw(4, 3, 5), draw(5)], {"epsilon": 0.1})
    compare("LayerNormalization", [draw(4, 3, 5), draw(5), None])


def test_layer_normalization_of_broadcast_scale(one, draw):
    import torch

    case = one("LayerNormalization", [draw(4, 3, 5), draw(3, 1), draw(5)], {"axis": 1})
    x, scale, bias = case.tensors()
    variance, mean = torch.var_mean(x, (1, 2), correction=0, keepdim=True)
    expected = (x - mean) / torch.sqrt(variance + 1e-5) * scale + bias
    torch.testing.assert_close(case.function()(x, scale, bias), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("op", ["LayerNormalization", "GroupNormalization"])
def test_statistics_in_another_type(one, draw, op):
    from haqc.errors import ModelError

    with pytest.raises(ModelError, match="computes in element type 11"):
        one(op, [draw(2, 4), draw(4), draw(4)], {"stash_type": 11, "num_groups": 2}).function()


@pytest.mark.parametrize(("axis", "scale"), [(-1, (5,)), (1, (3, 5)), (-2, (3, 5)), (0, (4, 3, 5))])
def test_rms_normalization(compare, draw, axis, scale):
    compare("RMSNormalization", [draw(4, 3, 5), draw(*scale)], {"axis": axis, "epsilon": 0.01}, opset=23)


@pytest.mark.parametrize("attributes", [{"size": 3}, {"size": 5, "alpha": 0.5, "beta": 0.6, "bias": 2.0}])
def test_lrn(compare, draw, attributes):
    compare("LRN", [draw(2, 7, 3, 4)], attributes)


def test_lrn_of_an_even_window(one, draw):
    # onnxruntime takes odd windows only; the definition reaches one channel further behind than in front.
    case = one("LRN", [draw(1, 6, 2, 2)], {"size": 4, "alpha": 0.5})
    (x,) = (value.numpy() for value in case.tensors())
    windows = [np.square(x[:, max(c - 1, 0) : c + 3]).sum(1) for c in range(6)]
    expected = x / (1 + 0.5 / 4 * np.stack(windows, 1)) ** 0.75
    np.testing.assert_allclose(case.function()(*case.tensors()).numpy(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("attributes", [{}, {"axes": [1, 2]}])
def test_mean_variance_normalization(compare, draw, attributes):
    compare("MeanVarianceNormalization", [draw(2, 3, 4, 5)], attributes)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_lp_normalization(compare, draw, axis, p):
    compare("LpNormalization", [draw(3, 4, 5)], {"axis": axis, "p": p})


@pytest.mark.parametrize("p", [1, 2])
def test_lp_normalization_of_nothing(compare, p):
    compare("LpNormalization", [np.float32([[0, 0], [3, 4]])], {"p": p})


def test_normalisation_gradients(check_gradient, draw):
    check_gradient("InstanceNormalization", [draw(2, 3, 4), draw(3), draw(3)])
    check_gradient("GroupNormalization", [draw(2, 4, 3), draw(4), draw(4)], {"num_groups": 2})
    check_gradient("LayerNormalization", [draw(2, 3, 4), draw(3, 4), draw(3, 4)], {"axis": 1})
    check_gradient("RMSNormalization", [draw(2, 3, 4), draw(4)])
    check_gradient("LRN", [draw(1, 5, 2, 2)], {"size": 3, "alpha": 0.5})
    check_gradient("LpNormalization", [draw(2, 3)])


def test_batch_normalization_gradient(one, draw):
    import torch

    function = one("BatchNormalization", [draw(2, 3, 2), *[draw(3)] * 4]).function()
    x, scale, bias, mean = (torch.from_numpy(draw(*shape)).double() for shape in [(2, 3, 2), (3,), (3,), (3,)])
    variance = mean.abs() + 1
    given = [value.requires_grad_() for value in (x, scale, bias)]
    # Whatever asks for a gradient of the statistics gets none, and the others theirs.
    mean.requires_grad_()
    assert torch.autograd.gradcheck(lambda *values: function(*values, mean, variance), given)
    function(x, scale, bias, mean, variance).sum().backward()
    assert mean.grad is None
