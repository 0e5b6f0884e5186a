"""Losses against onnxruntime (1e-5 of the largest value) and finite differences."""

import numpy as np
import pytest

REDUCTIONS = ["none", "mean", "sum"]
TARGETS = {"plain": ((4, 3), [0, 2, 1, 1]), "planes": ((2, 3, 2), [[0, 2], [1, 1]])}


def of(name, draw):
    shape, target = TARGETS[name]
    return draw(*shape), np.array(target, np.int64)


@pytest.mark.parametrize("ignored", [None, 1, -5])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("op", ["NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"])
def test_loss(compare, draw, op, reduction, name, weighted, ignored):
    x, target = of(name, draw)
    if ignored == -5:
        target.reshape(-1)[1] = -5
    inputs = [x, target] + ([abs(draw(3))] if weighted else [])
    attributes = {"reduction": reduction} | ({} if ignored is None else {"ignore_index": ignored})
    compare(op, inputs, attributes)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_cross_entropy_with_logarithms(compare, draw, reduction):
    compare("SoftmaxCrossEntropyLoss", [*of("planes", draw)], {"reduction": reduction}, outputs=2)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_loss_gradient(one, draw, reduction):
    import torch

    x, target = of("plain", draw)
    function = one("SoftmaxCrossEntropyLoss", [x, target], {"reduction": reduction}).function()
    scores = torch.from_numpy(x).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda value: function(value, torch.from_numpy(target)), [scores])


def test_unknown_reduction(one, draw):
    from haqc.errors import ModelError

    with pytest.raises(ModelError, match="has reduction 'product'"):
        one("NegativeLogLikelihoodLoss", [*of("plain", draw)], {"reduction": "product"}).function()
