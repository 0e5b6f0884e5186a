"""torch.fx, torch.compile and torch.export follow the mirror, and what they make of it computes the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.fx
from torch import Tensor

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
