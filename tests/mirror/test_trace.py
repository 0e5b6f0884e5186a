"""torch.fx, torch.compile and torch.export follow the mirror, and what they make of it computes the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch._dynamo
import torch.fx
from torch import Tensor

from benchmarks.zoo.catalogue import SMALL
from benchmarks.zoo.exporters import export
from benchmarks.zoo.specimen import Specimen
from haqc.mirror import Mirror, from_onnx

NETWORKS = {
    "resnet8": ("resnet8-cifar10/resnet8.onnx", (32, 32, 3)),
    "fashion-mobilenet": ("fashion-mobilenet/fashion_mobilenet.onnx", (1, 28, 28)),
}


def _draw(*shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng([1, *shape]).standard_normal(shape, dtype=np.float32))


@pytest.fixture(scope="module", params=NETWORKS)
def network(request: pytest.FixtureRequest, shared: Path) -> tuple[Mirror, tuple[int, ...]]:
    name, shape = NETWORKS[request.param]
    return from_onnx(shared / name), shape


def test_torch_fx_traces_a_mirror_as_it_is(network: tuple[Mirror, tuple[int, ...]]) -> None:
    mirror, shape = network
    traced = torch.fx.symbolic_trace(mirror)
    for batch in (3, 1):
        images = _draw(batch, *shape)
        assert torch.equal(traced(images)[0], mirror(images)[0])


def test_a_traced_mirror_shares_the_parameters(root: Path) -> None:
    mirror = from_onnx(root / "models" / "digits.onnx")
    traced = torch.fx.symbolic_trace(mirror)
    assert {name for name, _ in traced.named_parameters()} <= {name for name, _ in mirror.named_parameters()}
    traced(_draw(2, 1, 8, 8))[0].sum().backward()
    assert all(parameter.grad is not None for parameter in mirror.parameters())


@pytest.mark.slow
def test_torch_compile_follows_in_one_graph(network: tuple[Mirror, tuple[int, ...]]) -> None:
    mirror, shape = network
    compiled = torch.compile(mirror, backend="eager", fullgraph=True, dynamic=True)
    for batch in (3, 4):
        images = _draw(batch, *shape)
        assert torch.equal(compiled(images)[0], mirror(images)[0])


@pytest.fixture(scope="module", params=["bert-mini", "llama"])
def transformer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Mirror, Specimen]:
    """A transformer with open batch and length, whose shape arithmetic stands in the graph."""
    specimen, path = SMALL[request.param], tmp_path_factory.mktemp("trace") / "model.onnx"
    export(specimen, "script", path)
    return from_onnx(path), specimen


SIZES = ((2, 16), (3, 11))


def _inputs(specimen: Specimen, batch: int, length: int) -> tuple[Tensor, ...]:
    return tuple(torch.as_tensor(value) for value in specimen.sample(0, batch=batch, length=length))


def _same(first: tuple[Tensor, ...], second: tuple[Tensor, ...]) -> None:
    for given, expected in zip(first, second, strict=True):
        torch.testing.assert_close(given, expected, rtol=0, atol=1e-6)


def test_its_shape_arithmetic_stands_in_the_graph(transformer: tuple[Mirror, Specimen]) -> None:
    steps = [step for step in transformer[0].steps if step.outputs[0] in transformer[0]._wholes]
    assert len(steps) > 10


def test_fx_traces_a_transformer(transformer: tuple[Mirror, Specimen]) -> None:
    mirror, specimen = transformer
    traced = torch.fx.symbolic_trace(mirror)
    for size in SIZES:
        _same(traced(*_inputs(specimen, *size)), mirror(*_inputs(specimen, *size)))


@pytest.mark.slow
def test_torch_compiles_a_transformer_in_one_graph(transformer: tuple[Mirror, Specimen]) -> None:
    mirror, specimen = transformer
    graphs: list[torch.fx.GraphModule] = []

    def keep(module: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., Any]:
        graphs.append(module)
        return module.forward

    torch._dynamo.reset()
    compiled = torch.compile(mirror, backend=keep, fullgraph=True, dynamic=True)
    for size in SIZES:
        _same(compiled(*_inputs(specimen, *size)), mirror(*_inputs(specimen, *size)))
    assert len(graphs) == 1  # the second size needs no graph of its own


@pytest.mark.slow
def test_gradients_are_compiled_too(root: Path) -> None:
    mirror = from_onnx(root / "models" / "digits.onnx")
    compiled = torch.compile(mirror, backend="aot_eager", fullgraph=True)
    gradients = []
    for module in (compiled, mirror):
        mirror.zero_grad()
        module(_draw(2, 1, 8, 8))[0].square().sum().backward()
        gradients.append({name: parameter.grad for name, parameter in mirror.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_torch_exports_a_transformer_for_any_batch_and_length(transformer: tuple[Mirror, Specimen]) -> None:
    mirror, specimen = transformer
    inputs = _inputs(specimen, *SIZES[0])
    open_ = tuple(dict.fromkeys(range(value.ndim), torch.export.Dim.AUTO) for value in inputs)
    program = torch.export.export(mirror, inputs, dynamic_shapes=(open_,)).module()
    for size in SIZES:
        _same(program(*_inputs(specimen, *size)), mirror(*_inputs(specimen, *size)))
