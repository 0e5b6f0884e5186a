"""Activations against onnxruntime (1e-5 of the largest value) and finite differences."""

import numpy as np
import pytest

CASES = {
    "Relu": [{}],
    "Sigmoid": [{}],
    "Tanh": [{}],
    "HardSwish": [{}],
    "Softplus": [{}],
    "Softsign": [{}],
    "Mish": [{}],
    "LeakyRelu": [{}, {"alpha": 0.3}],
    "Elu": [{}, {"alpha": 1.7}],
    "Selu": [{}, {"alpha": 1.2, "gamma": 2.0}],
    "Celu": [{}, {"alpha": 0.6}],
    "HardSigmoid": [{}, {"alpha": 0.4, "beta": 0.3}],
    "Gelu": [{}, {"approximate": "tanh"}],
    "ThresholdedRelu": [{}, {"alpha": 0.25}],
    "Softmax": [{}, {"axis": 1}, {"axis": 0}],
    "LogSoftmax": [{}, {"axis": 1}, {"axis": -3}],
    "Hardmax": [{}, {"axis": 1}],
}
EVERY = [(op, attributes) for op, cases in CASES.items() for attributes in cases]


@pytest.mark.parametrize(("op", "attributes"), EVERY)
def test_activation(compare, draw, op, attributes):
    compare(op, [4 * draw(3, 4, 5)], attributes)


@pytest.mark.parametrize("opset", [22, 25])
@pytest.mark.parametrize("op", ["Elu", "Selu", "HardSigmoid", "Softplus"])
def test_activation_of_later_opsets(compare, draw, op, opset):
    compare(op, [4 * draw(3, 4)], opset=opset)


@pytest.mark.parametrize("alpha", [1.0, 1.5])
def test_swish(one, draw, alpha):
    # onnxruntime's own kernel is not asked for: the definition is one line.
    x = 4 * draw(3, 4)
    case = one("Swish", [x], {"alpha": alpha}, opset=24)
    expected = x / (1 + np.exp(-alpha * x))
    np.testing.assert_allclose(case.function()(*case.tensors()).numpy(), expected, rtol=0, atol=1e-5 * abs(x).max())


@pytest.mark.parametrize("slope", [(3, 1, 1), (1,), (2, 3, 4, 4)])
def test_prelu(compare, draw, slope):
    compare("PRelu", [draw(2, 3, 4, 4), draw(*slope)])


def test_hardmax_takes_the_first_of_equals(compare):
    compare("Hardmax", [np.float32([[1, 3, 3, 2], [0, 0, 0, 0]])])


LOW, HIGH = np.float32(-0.5), np.float32(0.75)


@pytest.mark.parametrize("constants", [(1, 2), (), (1,), (2,)])
@pytest.mark.parametrize("bounds", [(LOW, HIGH), (LOW,), (None, HIGH), (HIGH, LOW), (LOW, None), ()])
def test_clip(compare, draw, bounds, constants):
    inputs = [draw(4, 5), *[None if bound is None else np.asarray(bound) for bound in bounds]]
    known = [index for index in constants if index < len(inputs) and inputs[index] is not None]
    compare("Clip", inputs, constants=known)


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.int32, np.int64])
def test_clip_of_integers(compare, kind):
    x = np.arange(60, 90, dtype=kind)
    compare("Clip", [x, np.asarray(65, kind), np.asarray(80, kind)], constants=(1, 2))


@pytest.mark.parametrize(("op", "attributes"), [case for case in EVERY if case[0] != "Hardmax"])
def test_activation_gradient(check_gradient, draw, op, attributes):
    check_gradient(op, [2 * draw(2, 3, 2)], attributes)


def test_prelu_gradient(check_gradient, draw):
    check_gradient("PRelu", [draw(2, 3, 2), draw(3, 1)])


@pytest.mark.parametrize("alpha", [1.0, 0.5])
def test_swish_gradient(check_gradient, draw, alpha):
    check_gradient("Swish", [draw(2, 3)], {"alpha": alpha})


def test_gelu_of_another_approximation(one, draw):
    from haqc.errors import ModelError

    with pytest.raises(ModelError, match="approximates by 'erf'"):
        one("Gelu", [draw(2)], {"approximate": "erf"}).function()
