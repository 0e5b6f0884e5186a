"""Inference gives what the mirror gives, and the same floats whatever part of the network is run."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from haqc.mirror import from_onnx
from haqc.mirror.inference import Inference
from tests.passes.small_graphs import EVERY_GRAPH, GRAPHS, Prepared, Quantised, samples


def _given(prepared: Prepared, names: tuple[str, ...]) -> dict[str, Tensor]:
    return dict(zip(names, map(torch.from_numpy, samples(prepared.model, 5, seed=5)), strict=True))


def _quantised(name: str) -> Quantised:
    prepared = Prepared.of(GRAPHS[name]())
    return prepared.quantise(prepared.random_policy(4))


@pytest.mark.parametrize("name", EVERY_GRAPH)
def test_it_gives_what_the_mirror_gives(name: str) -> None:
    prepared = Prepared.of(GRAPHS[name]())
    mirror = from_onnx(prepared.model)
    given = _given(prepared, mirror.inputs)
    found = Inference(mirror, {}, {}).run(given, mirror.outputs)
    for output, expected in zip(mirror.outputs, mirror.run(tuple(given.values()), mirror.outputs), strict=True):
        torch.testing.assert_close(found[output], expected.detach(), rtol=1e-5, atol=1e-6)  # kernels sum otherwise


@pytest.mark.parametrize("name", ["gemm", "residual", "attention", "shared_weights", "tokens", "squeeze_excite"])
def test_it_gives_what_the_quantised_mirror_gives(name: str) -> None:
    network = _quantised(name).network
    mirror = network.mirror
    given = _given(_quantised(name).prepared, mirror.inputs)
    found = Inference(mirror, network.quantisers, {}).run(given, mirror.outputs)
    for output, expected in zip(mirror.outputs, network(*given.values()), strict=True):
        torch.testing.assert_close(found[output], expected.detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", EVERY_GRAPH)
def test_the_rest_of_a_network_gives_the_same_floats_as_the_whole(name: str) -> None:
    quantised = _quantised(name)
    network = quantised.network
    mirror, inference = network.mirror, Inference(network.mirror, network.quantisers, {})
    given = _given(quantised.prepared, mirror.inputs)
    moving = tuple(dict.fromkeys(n for step in mirror.steps for n in step.outputs if n))
    trace = inference.run(given, moving)
    for tensor in (*mirror.inputs, *moving):
        later = inference.downstream([tensor])
        known = {name: value for name, value in (given | trace).items() if name not in later}
        rest = inference.run(known, mirror.outputs)
        assert all(torch.equal(rest[output], trace[output]) for output in mirror.outputs)


def test_only_what_is_missing_is_run() -> None:
    quantised = _quantised("residual")
    mirror = quantised.network.mirror
    inference = Inference(mirror, {}, {})
    given = _given(quantised.prepared, mirror.inputs)
    (output,) = mirror.outputs
    marked = torch.full((1,), 7.0)
    assert inference.run({**given, output: marked}, (output,))[output] is marked
    before_last = next(name for name in mirror.steps[-1].inputs if name and not mirror.has(name))
    shifted = inference.run(given, (before_last,))[before_last] + 1
    assert not torch.equal(
        inference.run({before_last: shifted}, (output,))[output], inference.run(given, (output,))[output]
    )


def test_what_was_quantised_before_is_taken_as_it_is() -> None:
    quantised = _quantised("gemm")
    network = quantised.network
    given = _given(quantised.prepared, network.mirror.inputs)
    first = Inference(network.mirror, network.quantisers, {})
    again = Inference(network.mirror, network.activations, first.stored)
    output = network.mirror.outputs[0]
    assert torch.equal(again.run(given, (output,))[output], first.run(given, (output,))[output])


def test_no_gradient_is_kept() -> None:
    quantised = _quantised("gemm")
    network = quantised.network
    found = Inference(network.mirror, network.quantisers, {}).run(
        _given(quantised.prepared, network.mirror.inputs), network.mirror.outputs
    )
    assert not any(tensor.requires_grad for tensor in found.values())
