"""Gemm, MatMul and Einsum against onnxruntime (1e-5 of the largest value) and finite differences."""

import numpy as np
import pytest

GEMM = {
    "plain": ((3, 4), (4, 5), None, {}),
    "bias": ((3, 4), (4, 5), (5,), {}),
    "linear": ((3, 4), (5, 4), (5,), {"transB": 1}),
    "transposed": ((4, 3), (5, 4), (3, 5), {"transA": 1, "transB": 1}),
    "alpha": ((3, 4), (4, 5), None, {"alpha": 0.5}),
    "alpha beta": ((3, 4), (4, 5), (1, 5), {"alpha": 0.5, "beta": -1.5}),
    "column": ((3, 4), (4, 5), (3, 1), {"beta": 2.0}),
    "scalar": ((3, 4), (4, 5), (), {}),
    "beta zero": ((3, 4), (4, 5), (5,), {"beta": 0.0}),
}


@pytest.mark.parametrize("name", GEMM)
def test_gemm(compare, draw, name):
    a, b, c, attributes = GEMM[name]
    inputs = [draw(*a), draw(*b)] + ([] if c is None else [np.asarray(draw(*c))])
    compare("Gemm", inputs, attributes)


def test_gemm_with_absent_bias(compare, draw):
    compare("Gemm", [draw(3, 4), draw(4, 5), None], {"alpha": 2.0})


def test_gemm_in_double_precision(compare):
    a = np.arange(12, dtype=np.float64).reshape(3, 4)
    compare("Gemm", [a, a.T.copy(), np.ones(3)], tolerance=0)


@pytest.mark.parametrize(
    ("left", "right"),
    [((3, 4), (4, 5)), ((2, 3, 4), (4, 5)), ((2, 1, 3, 4), (5, 4, 2)), ((4,), (4, 5)), ((2, 3, 4), (4,)), ((4,), (4,))],
)
def test_matmul(compare, draw, left, right):
    compare("MatMul", [draw(*left), draw(*right)])


def test_matmul_of_integers(compare):
    a = np.arange(-6, 6, dtype=np.int32).reshape(3, 4)
    compare("MatMul", [a, a.T.copy()])


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("ij,jk->ik", [(2, 3), (3, 4)]),
        ("bhqd,bhkd->bhqk", [(2, 2, 3, 4), (2, 2, 5, 4)]),
        ("ij->ji", [(2, 3)]),
        ("...ij, ...jk -> ...ik", [(2, 2, 3), (2, 3, 4)]),
        ("bij,bjk", [(2, 2, 3), (2, 3, 4)]),
        ("ii->i", [(3, 3)]),
    ],
)
def test_einsum(compare, draw, equation, shapes):
    compare("Einsum", [draw(*shape) for shape in shapes], {"equation": equation})


@pytest.mark.parametrize("name", ["bias", "transposed", "alpha beta", "column", "scalar"])
def test_gemm_gradient(check_gradient, draw, name):
    a, b, c, attributes = GEMM[name]
    check_gradient("Gemm", [draw(*a), draw(*b), np.asarray(draw(*c))], attributes)


def test_matmul_gradient(check_gradient, draw):
    check_gradient("MatMul", [draw(2, 1, 3, 4), draw(2, 4, 2)])
