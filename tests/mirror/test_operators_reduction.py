"""Reductions and running sums against onnxruntime: 1e-5 of the largest value; integers exactly."""

import numpy as np
import pytest
import torch

REDUCTIONS = [
    f"Reduce{name}" for name in ("Mean", "Sum", "Max", "Min", "Prod", "L1", "L2", "LogSum", "LogSumExp", "SumSquare")
]


def along(*axes):
    return np.array(axes, np.int64)


def values(op, draw, *shape):
    return abs(draw(*shape)) + np.float32(0.1) if op == "ReduceLogSum" else draw(*shape)


@pytest.mark.parametrize("keep", [0, 1])
@pytest.mark.parametrize("axes", [(1,), (-1,), (0, 2), (-1, 1), (0, 1, 2)])
@pytest.mark.parametrize("op", REDUCTIONS)
def test_reduction(compare, draw, op, axes, keep):
    compare(op, [values(op, draw, 3, 4, 5), along(*axes)], {"keepdims": keep}, constants=(1,))


@pytest.mark.parametrize("keep", [0, 1])
@pytest.mark.parametrize("op", REDUCTIONS)
def test_reduction_of_everything(compare, draw, op, keep):
    x = values(op, draw, 3, 4)
    compare(op, [x], {"keepdims": keep})
    compare(op, [x, along()], {"keepdims": keep}, constants=(1,))


@pytest.mark.parametrize("op", REDUCTIONS)
def test_reduction_of_nothing(compare, draw, op):
    x = values(op, draw, 3, 4)
    compare(op, [x], {"noop_with_empty_axes": 1})
    compare(op, [x, along()], {"noop_with_empty_axes": 1}, constants=(1,))


@pytest.mark.parametrize("op", ["ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd"])
@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_reduction_of_integers(compare, op, kind):
    compare(op, [np.arange(-6, 6).reshape(3, 4).astype(kind), along(1)], constants=(1,))


@pytest.mark.parametrize("op", REDUCTIONS)
def test_reduction_gradient(one, draw, op):
    function = one(op, [draw(2, 3, 2), along(0, 2)], constants=(1,)).function()
    x = torch.from_numpy(values(op, draw, 2, 3, 2)).double().requires_grad_()
    assert torch.autograd.gradcheck(function, [x])


def test_norm_of_nothing_has_a_gradient(one):
    x = torch.zeros(2, 3, requires_grad=True)
    one("ReduceL2", [np.zeros((2, 3), np.float32), along(1)], constants=(1,)).function()(x, None).sum().backward()
    assert torch.equal(x.grad, torch.zeros(2, 3))


@pytest.mark.parametrize("attributes", [{}, {"noop_with_empty_axes": 1}, {"keepdims": 0}])
@pytest.mark.parametrize("axes", [(1,), (-1, 0), ()])
@pytest.mark.parametrize("op", REDUCTIONS)
def test_reduction_over_axes_known_at_run_time(compare, draw, op, axes, attributes):
    compare(op, [abs(draw(2, 3, 4)) + np.float32(0.5), along(*axes)], attributes)


@pytest.mark.parametrize("op", ["ReduceMax", "ReduceMin", "ReduceSum", "ReduceProd"])
def test_reduction_of_an_empty_axis(one, op):
    expected = {"ReduceMax": -np.inf, "ReduceMin": np.inf, "ReduceSum": 0, "ReduceProd": 1}
    result = one(op, [np.zeros((2, 0, 3), np.float32), along(1)], {"keepdims": 0}, constants=(1,)).function()
    np.testing.assert_array_equal(result(torch.zeros(2, 0, 3), None), np.full((2, 3), expected[op]))


@pytest.mark.parametrize("constants", [(1,), ()])
@pytest.mark.parametrize("exclusive", [0, 1])
@pytest.mark.parametrize("reverse", [0, 1])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_cumulative_sum(compare, draw, axis, reverse, exclusive, constants):
    attributes = {"reverse": reverse, "exclusive": exclusive}
    compare("CumSum", [draw(3, 4, 2), np.asarray(np.int64(axis))], attributes, constants=constants)
    integers = np.arange(24, dtype=np.int32).reshape(3, 4, 2)
    compare("CumSum", [integers, np.asarray(np.int64(axis))], attributes, constants=constants)
