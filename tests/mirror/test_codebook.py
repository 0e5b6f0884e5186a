"""The codebook quantiser: what it hands on, what its centroids learn from, and what a state keeps of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from haqc.kmeans import kmeans
from haqc.mirror.codebook import CodebookQuantiser
from tests.passes.small_graphs import GRAPHS, Prepared


@pytest.mark.parametrize("bits", [1, 3, 8])
def test_every_weight_becomes_the_centroid_of_its_cluster(bits: int) -> None:
    weight = np.random.default_rng(0).standard_normal((6, 4, 3, 3)).astype(np.float32)
    book = kmeans(weight, 2**bits)
    quantiser = CodebookQuantiser(book.centroids, torch.from_numpy(weight), bits)
    np.testing.assert_array_equal(quantiser(torch.zeros(6, 4, 3, 3)).detach().numpy(), book.numbers)


def test_a_centroid_gets_the_sum_of_its_weights_gradients() -> None:
    weight = torch.tensor([-1.0, 0.9, 1.1, -0.9])
    quantiser = CodebookQuantiser(np.array([-1.0, 1.0], np.float32), weight, 1)
    (quantiser(weight) * torch.tensor([1.0, 10.0, 100.0, 1000.0])).sum().backward()
    assert quantiser.centroids.grad is not None
    assert quantiser.centroids.grad.tolist() == [1001.0, 110.0]


def test_what_is_trained_is_kept_and_indices_stay() -> None:
    prepared = Prepared.of_codebooks(GRAPHS["residual"]())
    quantised = prepared.quantise(prepared.random_policy(0))
    network, before = quantised.network, quantised.network.codes()
    for book in network.codebooks.values():
        book.centroids.data.mul_(1.5)
    state = network.state()
    other = prepared.quantise(quantised.policy).network
    other.load(state)
    after = other.codes()
    for tensor, codes in after.codebooks.items():
        np.testing.assert_array_equal(codes.indices, before.codebooks[tensor].indices)
        np.testing.assert_array_equal(codes.centroids, before.codebooks[tensor].centroids * np.float32(1.5))


def test_activations_and_biases_stay_float() -> None:
    prepared = Prepared.of_codebooks(GRAPHS["attention"]())
    codes = prepared.quantise(prepared.random_policy(0)).codes
    assert not codes.activations and not codes.biases and not codes.weights
    products = [layer for layer in prepared.graph.layers if layer.weight not in prepared.graph.operand]
    assert products and all("two activations" in layer.float_reason for layer in products)
    biases = {layer.bias for layer in prepared.graph.quantised_layers if layer.bias}
    assert biases <= set(codes.floats)
