"""One network of the zoo: how to build it, what it takes, what it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

Kind = Literal["image", "tokens", "mask"]


@dataclass(frozen=True, slots=True)
class Input:
    """One input of a network.

    Attributes:
        name: its name in the ONNX file.
        shape: extents; a string names a dynamic one.
        kind: image: float32, standard normal; tokens: int64 below ``vocabulary``; mask: int64, one up to each sample's
            own length and zero behind it.
        vocabulary: number of tokens; 0 for other kinds.
    """

    name: str
    shape: tuple[int | str, ...]
    kind: Kind = "image"
    vocabulary: int = 0

    def sample(self, sizes: Mapping[str, int], generator: torch.Generator) -> Tensor:
        """Draws one value of it, its dynamic extents taken from ``sizes``."""
        shape = [extent if isinstance(extent, int) else sizes[extent] for extent in self.shape]
        if self.kind == "image":
            return torch.randn(shape, generator=generator)
        if self.kind == "tokens":
            return torch.randint(self.vocabulary, shape, generator=generator)
        lengths = torch.randint(max(1, shape[1] // 2), shape[1] + 1, (shape[0], 1), generator=generator)
        return (torch.arange(shape[1])[None] < lengths).long()


@dataclass(frozen=True, slots=True)
class Specimen:
    """A network of the zoo.

    Attributes:
        build: makes the module, its weights drawn from torch's global generator.
        inputs, outputs: what it takes, and the names of what it gives.
        scored: whether it is a classifier or an encoder, which haqc compiles without data.
    """

    build: Callable[[], nn.Module]
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...] = ("logits",)
    scored: bool = False

    def network(self, seed: int = 0) -> nn.Module:
        """Builds the network in evaluation mode; normalisations have the statistics of one random batch.

        Without these, values fade from layer to layer and a comparison of outputs would compare biases.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = self.build()
            norms = [each for each in network.modules() if isinstance(each, nn.modules.batchnorm._BatchNorm)]
            if norms:
                for norm in norms:
                    norm.momentum = 1.0
                with torch.no_grad():
                    network.train()(*self.sample(seed, batch=4))
        return network.eval()

    def sample(self, seed: int, **sizes: int) -> tuple[Tensor, ...]:
        """Draws one value for every input; dynamic extents not named are 2 for the batch and 16 for others."""
        names = {extent for each in self.inputs for extent in each.shape if isinstance(extent, str)}
        every = {name: sizes.get(name, 2 if name == "batch" else 16) for name in names}
        generator = torch.Generator().manual_seed(seed)
        return tuple(each.sample(every, generator) for each in self.inputs)
