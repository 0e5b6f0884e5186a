"""Arithmetic, comparison and logic against onnxruntime: 1e-5 of the largest value; integers and booleans exactly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto

UNARY = ["Neg", "Abs", "Exp", "Floor", "Ceil", "Round", "Sign", "Erf", "Sin", "Cos", "Tan", "Atan", "Sinh", "Cosh"]
POSITIVE = ["Sqrt", "Log", "Reciprocal"]
INNER = ["Asin", "Acos", "Atanh"]
BINARY = ["Add", "Sub", "Mul", "Div"]
COMPARISON = ["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"]
VARIADIC = ["Min", "Max", "Sum", "Mean"]


@pytest.mark.parametrize("op", [*UNARY, "Asinh", "Identity"])
def test_unary(compare, draw, op):
    compare(op, [draw(3, 4)])


@pytest.mark.parametrize("op", [*POSITIVE, "Acosh"])
def test_unary_of_positive(compare, draw, op):
    compare(op, [abs(draw(3, 4)) + np.float32(1.125)])


@pytest.mark.parametrize("op", INNER)
def test_unary_within_one(compare, draw, op):
    compare(op, [np.tanh(draw(3, 4))])


def test_round_takes_halves_to_even(compare):
    compare("Round", [np.float32([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5, 0.49999997])], tolerance=0)


@pytest.mark.parametrize("kind", [np.float32, np.int32, np.int64])
@pytest.mark.parametrize("op", BINARY)
def test_binary(compare, draw, op, kind):
    left, right = (8 * draw(2, 3, 4)).astype(kind), (8 * abs(draw(3, 1)) + 1).astype(kind)
    compare(op, [left, right])
    compare(op, [left, right], constants=(1,))


@settings(max_examples=25, derandomize=True, database=None, deadline=None)
@given(
    st.lists(st.integers(-(2**31) + 1, 2**31 - 1), min_size=1, max_size=6),
    st.integers(-50, 50).filter(lambda value: value != 0),
)
def test_integer_division_and_remainders(compare, values, divisor):
    inputs = [np.int32(values), np.int32([divisor])]
    compare("Div", inputs)
    compare("Mod", inputs)
    compare("Mod", inputs, {"fmod": 1})


def test_mod_of_floats(compare, draw):
    compare("Mod", [8 * draw(3, 4), np.float32([2.5])], {"fmod": 1})


@pytest.mark.parametrize("kind", [np.float32, np.int32, np.int64])
@pytest.mark.parametrize("op", COMPARISON)
def test_comparison(compare, op, kind):
    compare(op, [np.arange(6).reshape(2, 3).astype(kind), np.array([0, 2, 2]).astype(kind)])


@pytest.mark.parametrize("op", ["And", "Or", "Xor"])
def test_logic(compare, op):
    compare(op, [np.array([[True], [False]]), np.array([True, False])])


def test_not(compare):
    compare("Not", [np.array([True, False])])


@pytest.mark.parametrize("op", VARIADIC)
@pytest.mark.parametrize("shapes", [[(2, 3)], [(2, 3), (3,)], [(2, 1), (1, 3), (4, 1, 1)]])
def test_variadic(compare, draw, op, shapes):
    compare(op, [draw(*shape) for shape in shapes])


@pytest.mark.parametrize("op", ["Min", "Max"])
def test_extremes_of_integers(compare, op):
    compare(op, [np.int64([3, -4]), np.int64([2])])
    compare(op, [np.uint8([3, 200]), np.uint8([100])])


@pytest.mark.parametrize("constants", [(), (1,)])
@pytest.mark.parametrize("exponent", [np.float32(2), np.float32([0.5, 3, -1]), np.int64(3), np.float32([2])])
def test_pow(compare, draw, exponent, constants):
    compare("Pow", [abs(draw(2, 3)) + np.float32(0.5), np.asarray(exponent)], constants=constants)


def test_pow_of_integers(compare):
    compare("Pow", [np.int32([-3, 2, 5]), np.asarray(np.int32(3))], constants=(1,))


def test_pow_gradient_of_negative_base(check_gradient, one, draw):
    import torch

    case = one("Pow", [np.float32([-2, 0, 1.5]), np.asarray(np.float32(2))], constants=(1,))
    x = torch.tensor([-2.0, 0.0, 1.5], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda value: case.function()(value, None), [x])


def test_where(compare, draw):
    compare("Where", [np.array([[True], [False]]), draw(3), draw(2, 3)], tolerance=0)


ODD = np.float32([np.nan, np.inf, -np.inf, 1.5, -0.0])


def test_is_nan(compare):
    compare("IsNaN", [ODD])


@pytest.mark.parametrize(("positive", "negative"), [(1, 1), (1, 0), (0, 1), (0, 0)])
def test_is_inf(compare, positive, negative):
    compare("IsInf", [ODD], {"detect_positive": positive, "detect_negative": negative})


@pytest.mark.parametrize("opset", [21, 25])
@pytest.mark.parametrize(
    ("source", "code"),
    [
        (np.float32, TensorProto.INT64),
        (np.float32, TensorProto.INT8),
        (np.float32, TensorProto.BOOL),
        (np.float32, TensorProto.FLOAT16),
        (np.float32, TensorProto.DOUBLE),
        (np.int64, TensorProto.FLOAT),
        (np.int64, TensorProto.UINT8),
        (np.int32, TensorProto.INT8),
        (np.uint8, TensorProto.INT32),
    ],
)
def test_cast(compare, source, code, opset):
    x = np.array([0, 1, 3, 100, 127]).astype(source) + (np.float32(0.75) if source == np.float32 else source(0))
    compare("Cast", [x], {"to": code}, opset=opset)


def test_cast_wraps_integers(compare):
    compare("Cast", [np.int64([300, -1, 2**40 + 7])], {"to": TensorProto.UINT8})


def test_cast_like(compare):
    compare("CastLike", [np.float32([1.75, -1.75]), np.int32([0])])


def test_cast_to_strings(one):
    from haqc.errors import ModelError

    with pytest.raises(ModelError, match="asks for element type 8"):
        one("Cast", [np.float32([1])], {"to": TensorProto.STRING}).function()


@pytest.mark.parametrize("outputs", [1, 2])
def test_dropout(compare, draw, outputs):
    compare("Dropout", [draw(3, 4)], outputs=outputs, tolerance=0)
    rest = [np.asarray(np.float32(0.5)), np.asarray(False)]
    compare("Dropout", [draw(3, 4), *rest], constants=(1, 2), outputs=outputs, tolerance=0)


@pytest.mark.parametrize("constants", [(), (2,)])
def test_dropout_in_training(one, draw, constants):
    from haqc.errors import ModelError

    case = one("Dropout", [draw(3), np.asarray(np.float32(0.5)), np.asarray(True)], constants=constants)
    with pytest.raises(ModelError, match="is in training mode"):
        case.function()


@pytest.mark.parametrize("op", [*BINARY, "Min", "Max", "Mean"])
def test_binary_gradient(check_gradient, draw, op):
    check_gradient(op, [draw(2, 3), abs(draw(3)) + np.float32(1)])
