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


@KNOWN_OR_NOT
@pytest.mark.parametrize("axis", [-1, 0, 1, -2])
def test_one_hot(compare, axis, constants):
    inputs = [at([[0, 2], [-1, 5]]), at([3]), np.float32([-1, 4])]
    compare("OneHot", inputs, {"axis": axis}, constants=constants)


def test_gather_gradient(draw, one):
    import torch

    function = one("Gather", [draw(3, 2), at([0, 2, 0])], {"axis": 0}).function()
    x = torch.from_numpy(draw(3, 2)).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda value: function(value, torch.tensor([0, 2, 0])), [x])


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_compress(compare, draw, axis):
    attributes = {} if axis is None else {"axis": axis}
    compare("Compress", [draw(3, 4), np.array([False, True, True])], attributes, tolerance=0)


@pytest.mark.parametrize("axes", [(0, 1), (1, 0)])
def test_reverse_sequence(compare, draw, axes):
    x, lengths = draw(4, 4, 2), at([1, 4, 2, 3])
    compare("ReverseSequence", [x, lengths], {"batch_axis": axes[0], "time_axis": axes[1]}, tolerance=0)
