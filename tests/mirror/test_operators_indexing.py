"""Selection by index against onnxruntime, exactly."""

import numpy as np
import pytest

KNOWN_OR_NOT = pytest.mark.parametrize("constants", [(1,), ()])


def at(values, kind=np.int64):
    return np.asarray(values, kind)


@KNOWN_OR_NOT
@pytest.mark.parametrize("kind", [np.int32, np.int64])
@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2])
@pytest.mark.parametrize("indices", [1, -1, [0, -1], [[0, 1], [-2, 1]], [1]])
def test_gather(compare, draw, axis, indices, kind, constants):
    compare("Gather", [draw(3, 2, 4), at(indices, kind)], {"axis": axis}, constants=constants)


@KNOWN_OR_NOT
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_gather_elements(compare, draw, axis, constants):
    compare("GatherElements", [draw(3, 2), at([[0, -1], [1, 0]], np.int32)], {"axis": axis}, constants=constants)


@pytest.mark.parametrize(
    ("shape", "indices", "batch"),
    [
        ((2, 3), [[0, 0], [1, -1]], 0),
        ((2, 3, 4), [[1], [0], [-1]], 0),
        ((2, 3, 4), [[[0, 1]], [[1, 2]]], 0),
        ((2, 3, 4), [[1], [2]], 1),
        ((2, 3, 4), [[1, 3], [-1, 0]], 1),
        ((2, 3, 4), [[[1], [0], [3]], [[2], [-1], [0]]], 2),
    ],
)
def test_gather_nd(compare, draw, shape, indices, batch):
    compare("GatherND", [draw(*shape), at(indices)], {"batch_dims": batch})


@pytest.mark.parametrize("reduction", ["none", "add"])
@pytest.mark.parametrize("axis", [0, 1, -2])
def test_scatter_elements(compare, draw, axis, reduction):
    inputs = [draw(3, 3), at([[1, 0, 2], [0, -1, 1]]), draw(2, 3)]
    compare("ScatterElements", inputs, {"axis": axis, "reduction": reduction}, tolerance=1e-6)


@pytest.mark.parametrize("reduction", ["none", "add"])
@pytest.mark.parametrize(("indices", "updates"), [([[1], [-1]], (2, 3)), ([[0, 1], [2, -1]], (2,))])
def test_scatter_nd(compare, draw, indices, updates, reduction):
    inputs = [draw(3, 3), at(indices), draw(*updates)]
    compare("ScatterND", inputs, {"reduction": reduction}, tolerance=1e-6)


@pytest.mark.parametrize("op", ["ScatterElements", "ScatterND"])
def test_scatter_by_another_reduction(one, draw, op):
    from haqc.errors import ModelError

    with pytest.raises(ModelError, match="has reduction 'max'"):
        one(op, [draw(3), at([0]), draw(1)], {"reduction": "max"}).function()


@KNOWN_OR_NOT
@pytest.mark.parametrize("axis", [-1, 0, 1, -2])
def test_one_hot(compare, axis, constants):
    inputs = [at([[0, 2], [-1, 5]]), at([3]), np.float32([-1, 4])]
    compare("OneHot", inputs, {"axis": axis}, constants=constants)


@KNOWN_OR_NOT
@pytest.mark.parametrize("attributes", [{}, {"largest": 0}, {"axis": 0}, {"axis": 1, "largest": 0}])
def test_top_k(compare, draw, attributes, constants):
    compare("TopK", [draw(4, 5, 3), at([2])], attributes, constants=constants, outputs=2)


@pytest.mark.parametrize("largest", [0, 1])
def test_top_k_of_equals(compare, largest):
    compare("TopK", [np.float32([[2, 1, 2, 1, 2, 0]]), at([4])], {"largest": largest}, constants=(1,), outputs=2)


@pytest.mark.parametrize("last", [0, 1])
@pytest.mark.parametrize("attributes", [{}, {"axis": -1}, {"axis": 1, "keepdims": 0}])
@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
def test_argument(compare, op, attributes, last):
    x = np.random.default_rng(7).integers(0, 3, (3, 4, 5)).astype(np.float32)
    compare(op, [x], {**attributes, "select_last_index": last})


def test_non_zero(compare):
    compare("NonZero", [np.float32([[1, 0, 2], [0, 0, 3]])])
    compare("NonZero", [np.array([True, False, True])])


def test_gather_gradient(draw, one):
    import torch

    function = one("Gather", [draw(3, 2), at([0, 2, 0])], {"axis": 0}).function()
    x = torch.from_numpy(draw(3, 2)).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda value: function(value, torch.tensor([0, 2, 0])), [x])
