"""What the mirror's tests share: comparison with onnxruntime, one thread, seeded numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from haqc.mirror.node import Registry
from tests.mirror import one_node


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def compare() -> Callable[..., None]:
    """Compares one node in the mirror with onnxruntime; see :func:`one_node.compare`."""
    return one_node.compare


@pytest.fixture(scope="session")
def check_gradient() -> Callable[..., None]:
    """Compares gradients with finite differences; see :func:`one_node.check_gradient`."""
    return one_node.check_gradient


@pytest.fixture(scope="session")
def one() -> type[one_node.OneNode]:
    """A node with its inputs, to build and to run."""
    return one_node.OneNode


@pytest.fixture
def draw() -> Callable[..., np.ndarray]:
    """Draws seeded normal numbers, float32, of a shape."""
    source = np.random.default_rng(20181121)
    return lambda *shape: source.standard_normal(shape).astype(np.float32)


@pytest.fixture(scope="session")
def draw_numbers() -> Callable[..., np.ndarray]:
    """Draws normal numbers, float32, that depend on their shape alone, for tests whose examples share a fixture."""
    return lambda *shape: np.random.default_rng(list(shape)).standard_normal(shape).astype(np.float32)


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Takes operators out of the registry, so that these tests outlive whatever the mirror learns."""

    def forget(*names: str) -> None:
        build = Registry.build

        def lacking(self: Registry, node: object) -> object:
            if getattr(node, "op", "") in names:
                raise node.refuse("has no mirror")  # type: ignore[attr-defined]
            return build(self, node)  # type: ignore[arg-type]

        monkeypatch.setattr(Registry, "build", lacking)

    return forget
