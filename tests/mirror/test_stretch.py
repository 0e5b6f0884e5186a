"""Stretches: where a network is divided, and that its parts compute what the whole does."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch

from haqc.mirror import Mirror, from_onnx
from haqc.mirror.module import Quantiser
from haqc.mirror.stretch import Stretch, carries_batch, divide
from tests.passes.small_graphs import EVERY_GRAPH, GRAPHS, Prepared, samples


def _divided(name: str) -> tuple[Prepared, Mirror, tuple[Stretch, ...]]:
    prepared = Prepared.of(GRAPHS[name]())
    mirror = from_onnx(prepared.model)
    weights = [layer.weight for layer in prepared.graph.layers if mirror.has(layer.weight)]
    return prepared, mirror, divide(mirror, mirror.outputs[0], weights)


def _inputs(prepared: Prepared) -> tuple[torch.Tensor, ...]:
    return tuple(torch.from_numpy(array) for array in samples(prepared.model, 3, seed=5))


def _one_after_the_other(
    mirror: Mirror,
    stretches: tuple[Stretch, ...],
    inputs: tuple[torch.Tensor, ...],
    quantisers: Mapping[str, Quantiser],
) -> torch.Tensor:
    known = given = dict(zip(mirror.inputs, inputs, strict=True))
    for stretch in stretches:
        known = {**given, stretch.wanted: stretch.run(stretch.start(known), quantisers)}
    return known[stretches[-1].wanted]


@pytest.mark.parametrize("name", EVERY_GRAPH)
def test_the_parts_compute_what_the_whole_does(name: str) -> None:
    prepared, mirror, stretches = _divided(name)
    inputs = _inputs(prepared)
    (expected,) = mirror.run(inputs, mirror.outputs[:1])
    found = _one_after_the_other(mirror, stretches, inputs, {})
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["conv_relu", "residual", "attention", "shared_input"])
def test_the_parts_compute_what_the_whole_does_under_a_policy(name: str) -> None:
    prepared, _, _ = _divided(name)
    network = prepared.quantise(prepared.random_policy(3)).network
    stretches = divide(network.mirror, network.mirror.outputs[0], network.weights)
    inputs = _inputs(prepared)
    (expected,) = network.run(inputs, network.mirror.outputs[:1])
    found = _one_after_the_other(network.mirror, stretches, inputs, network.quantisers)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_a_chain_is_divided_behind_every_activation() -> None:
    _, _, stretches = _divided("conv_relu")
    assert [stretch.given for stretch in stretches] == [("x",), ("r1",), ("r2",)]
    assert [stretch.wanted for stretch in stretches] == ["r1", "r2", "y"]
    assert [stretch.constants for stretch in stretches] == [("c1.b", "c1.w"), ("c2.b", "c2.w"), ("y.b", "y.w")]


def test_a_residual_block_is_not_divided() -> None:
    _, _, stretches = _divided("residual")  # ar is the ReLU behind the Add of a block that starts at r1
    assert [stretch.wanted for stretch in stretches] == ["r1", "ar", "flat", "y"]


def test_every_part_holds_a_layer() -> None:
    for name in GRAPHS:
        prepared, mirror, stretches = _divided(name)
        weights = {layer.weight for layer in prepared.graph.layers if mirror.has(layer.weight)}
        assert all(not weights.isdisjoint(stretch.constants) for stretch in stretches), name


def test_a_part_that_moves_the_batch_is_found() -> None:
    prepared, mirror, stretches = _divided("tokens_first")
    assert not carries_batch(mirror, stretches, _inputs(prepared))
    prepared, mirror, stretches = _divided("residual")
    assert carries_batch(mirror, stretches, _inputs(prepared))
