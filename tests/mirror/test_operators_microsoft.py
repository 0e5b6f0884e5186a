"""Operators of onnxruntime's optimiser against onnxruntime: 1e-5 of the largest value."""

import numpy as np
import pytest

DOMAIN = "com.microsoft"


@pytest.mark.parametrize("op", ["Gelu", "FastGelu", "QuickGelu"])
def test_gelu(compare, draw, op):
    compare(op, [draw(3, 4)], domain=DOMAIN)


@pytest.mark.parametrize("op", ["BiasGelu", "FastGelu"])
def test_gelu_with_a_bias(compare, draw, op):
    compare(op, [draw(2, 3, 4), draw(4)], domain=DOMAIN)


@pytest.mark.parametrize("turns", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_fused_matmul(compare, draw, turns):
    left, right = draw(2, 3, 4), draw(2, 4, 5)
    inputs = [
        np.ascontiguousarray(x.swapaxes(1, 2)) if turn else x for x, turn in zip((left, right), turns, strict=True)
    ]
    compare("FusedMatMul", inputs, {"transA": turns[0], "transB": turns[1], "alpha": 0.5}, domain=DOMAIN)


def test_fused_matmul_of_turned_batches(one, draw):
    from haqc.errors import ModelError

    with pytest.raises(ModelError, match="transposes a batch axis"):
        one("FusedMatMul", [draw(2, 2, 2)] * 2, {"transBatchA": 1}, domain=DOMAIN).function()


@pytest.mark.parametrize("count", [3, 4, 5])
def test_skip_layer_norm(compare, draw, count):
    inputs = [draw(2, 3, 4), draw(2, 3, 4), draw(4), draw(4), draw(4)][:count]
    compare("SkipLayerNormalization", inputs, {"epsilon": 1e-5}, domain=DOMAIN)


@pytest.mark.parametrize("count", [3, 4])
def test_skip_root_mean_square_norm(compare, draw, count):
    inputs = [draw(2, 3, 4), draw(2, 3, 4), draw(4), draw(4)][:count]
    compare("SkipSimplifiedLayerNormalization", inputs, {"epsilon": 1e-5}, domain=DOMAIN)
