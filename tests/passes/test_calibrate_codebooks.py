"""Codebooks for every weight and width: least squared error, the lengths that are counted, odd tensors."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from onnx import numpy_helper

from haqc.errors import ModelError
from haqc.kmeans import kmeans
from haqc.mirror import from_onnx
from haqc.packing import entries
from haqc.passes.calibrate import calibrate_codebooks
from haqc.passes.clean import clean
from haqc.passes.verify import verify
from tests.passes.small_graphs import GRAPHS, Prepared

BITS = range(1, 9)


def with_weight(array: np.ndarray) -> Prepared:
    """The small Gemm network with other values for its first weight, of shape [24, 16]."""
    proto = GRAPHS["gemm"]()
    (tensor,) = (tensor for tensor in proto.graph.initializer if tensor.name == "w1")
    tensor.CopyFrom(numpy_helper.from_array(np.broadcast_to(array, tuple(tensor.dims)).astype(np.float32), "w1"))
    return Prepared.of_codebooks(proto)


@pytest.mark.parametrize(
    "bits", [pytest.param(bits, marks=() if bits in (1, 3) else pytest.mark.slow) for bits in BITS]
)
def test_a_codebook_has_the_least_squared_error(bits: int) -> None:
    prepared = Prepared.of_codebooks(GRAPHS["residual"]())
    mirror, books = from_onnx(prepared.model), prepared.calibration.codebooks
    network = prepared.quantise(prepared.space.uniform(bits, 8)).network
    for choice in prepared.space.choices:
        tensor = choice.operand.tensor
        weight = mirror.value(tensor).detach().numpy()
        size = entries(weight.size, bits)
        assert books[tensor, bits].shape == (size,) and books[tensor, bits].dtype == np.float32
        found = network.codebooks[tensor](mirror.value(tensor)).detach().numpy()
        least = np.square(kmeans(weight, size).numbers - weight).sum()
        assert np.square(found - weight).sum() == pytest.approx(least, rel=1e-5, abs=1e-12)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(1),
        np.full(1, 0.3),
        np.resize([-1.0, 0.5, 2.0], (24, 16)),
        np.geomspace(1e-30, 1e30, 384).reshape(24, 16),
    ],
    ids=["zeros", "one value", "three values", "wide"],
)
def test_odd_weights_hold_in_the_runtime(array: np.ndarray) -> None:
    prepared = with_weight(array)
    for bits in (1, 3, 8):
        quantised = prepared.quantise(prepared.space.uniform(bits, 8))
        book = quantised.codes.codebooks["w1"]
        assert np.isfinite(book.centroids).all()
        if bits == 8:
            few = len(np.unique(array)) < 256
            assert not few or np.array_equal(
                book.centroids[book.indices], np.broadcast_to(array, (24, 16)).astype("f4")
            )
        if array.max() < 1e20:  # beyond, products overflow in the float network too
            verification = verify(quantised.emit(), quantised.network.probe(quantised.inputs()))
            assert verification.ok, verification.first_difference


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(value: float) -> None:
    array = np.ones((24, 16))
    array[3, 5] = value
    proto = GRAPHS["gemm"]()
    (tensor,) = (tensor for tensor in proto.graph.initializer if tensor.name == "w1")
    prepared = Prepared.of_codebooks(proto)
    tensor.CopyFrom(numpy_helper.from_array(array.astype(np.float32), "w1"))
    with pytest.raises(ModelError, match="weight 'w1' holds infinities or NaN; repair or retrain the model"):
        calibrate_codebooks(from_onnx(clean(ir.from_proto(proto))), prepared.space)
