"""Fits one stretch: weights, biases and steps, by Adam on the error of its output."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from haqc.mirror.quantised import QuantisedMirror
from haqc.mirror.stretch import Stretch
from haqc.reconstruct.parts import BATCH

_SMALLEST_RMS = 1e-4
"""Root mean square assumed for tensors that are (nearly) zero, such as fresh biases."""


@dataclass(frozen=True, slots=True)
class Fitting:
    """How to fit a stretch.

    Attributes:
        samples: samples seen by each stretch, counted with repetition; 0 fits nothing.
        kept: distinct samples among which these are drawn, at most.
        batch: samples per step.
        relative_rate: Adam's learning rate for weights and biases, as a share of each tensor's root mean square.
        step_rate: Adam's learning rate for the logarithms of the quantisation steps.
        exact_share: share of the values of a stretch's input that are the float network's.
    """

    samples: int = 9_600
    kept: int = 2_560
    batch: int = 32
    relative_rate: float = 0.01
    step_rate: float = 0.003
    exact_share: float = 0.5

    @property
    def steps(self) -> int:
        """Optimiser steps for each stretch."""
        return math.ceil(self.samples / self.batch)

    def of_batch(self, batch: int) -> Fitting:
        """Gives the same in steps of so many samples, for a model that takes no other number."""
        return replace(self, batch=batch)


@dataclass(frozen=True)
class Sides:
    """What a stretch is fitted on: its input in the float and in the quantised network, and the output it should give.

    Attributes:
        exact, actual: given tensors, one entry per sample along the first axis.
        target: the float network's output.
        variance: its variance over the samples; errors are relative to it.
        weight: what each place of it counts, 1 in the mean, as it broadcasts; ``None`` where all count alike.
    """

    exact: tuple[Tensor, ...]
    actual: tuple[Tensor, ...]
    target: Tensor
    variance: float
    weight: Tensor | None = None

    def error(self, found: Tensor) -> float:
        """Gives the mean squared error of an output, relative to the variance; some samples at a time."""
        parts = [slice(first, first + BATCH) for first in range(0, len(found), BATCH)]
        return sum(float(self.loss(found[part], part)) * len(found[part]) for part in parts) / len(found)

    def loss(self, found: Tensor, index: Tensor | slice) -> Tensor:
        """Gives the same for the output of some samples, as one value."""
        squared = (found - self.target[index]).square()
        return (squared if self.weight is None else squared * self.weight[index]).mean() / self.variance

    def draw(self, index: Tensor, share: float, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Gives the chosen samples' input, a random share of its values from the float network."""
        drawn = []
        for exact, actual in zip(self.exact, self.actual, strict=True):
            chosen = index.to(exact.device)
            some = exact.index_select(0, chosen)
            is_same = exact is actual
            drawn.append(some if is_same else _mixed(some, actual.index_select(0, chosen), share, generator))
        return tuple(drawn)


def fit(
    network: QuantisedMirror,
    stretch: Stretch,
    sides: Sides,
    fitting: Fitting,
    generator: torch.Generator,
    advance: Callable[[int], None],
) -> None:
    """Trains what one stretch alone reads, in place."""
    optimiser = _optimiser(network, stretch, fitting)
    if optimiser is None or not stretch.is_differentiable or not math.isfinite(sides.variance):
        advance(fitting.steps * fitting.batch)
        return
    warmup = max(1, fitting.steps // 20)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda step: (step + 1) / warmup if step < warmup else 0.5 * (1 + math.cos(math.pi * step / fitting.steps)),
    )
    for _ in range(fitting.steps):
        index = torch.randint(len(sides.target), (fitting.batch,), generator=generator)
        found = stretch.run(sides.draw(index, fitting.exact_share, generator), network.quantisers)
        loss = sides.loss(found, index)
        if not loss.requires_grad:  # what the layers give passes an operator without a gradient, as ArgMax is
            advance(fitting.steps * fitting.batch)
            return
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        advance(len(index))


def _optimiser(network: QuantisedMirror, stretch: Stretch, fitting: Fitting) -> torch.optim.Optimizer | None:
    """Makes the optimiser of the parameters, steps and codebooks that no other stretch reads."""
    mirror, inner = network.mirror, stretch.inner
    mine = {id(step) for step in stretch.steps}
    elsewhere = {name for step in mirror.steps if id(step) not in mine for name in step.operands}
    own = [name for name in mirror.layer_parameters(network.policy.graph) if name in inner - elsewhere]
    groups = [{"params": [mirror.value(n)], "lr": fitting.relative_rate * _rms(mirror.value(n))} for n in own]
    quantisers: Mapping[str, nn.Module] = {**network.activations, **network.weights}
    steps = [
        p for name, q in quantisers.items() if name in inner - elsewhere for p in q.parameters() if p.requires_grad
    ]
    groups += [{"params": steps, "lr": fitting.step_rate}] if steps else []
    books = [book.centroids for name, book in network.codebooks.items() if name in inner - elsewhere]
    groups += [{"params": [book], "lr": fitting.relative_rate * _rms(book)} for book in books]
    return torch.optim.Adam(groups) if groups and fitting.steps else None


def _mixed(exact: Tensor, actual: Tensor, share: float, generator: torch.Generator) -> Tensor:
    if not exact.is_floating_point():
        return actual
    # torch.where is twenty times slower than masking bits, and a weighted sum would make NaN of what is infinite.
    bits = {2: torch.int16, 4: torch.int32, 8: torch.int64}[exact.itemsize]
    mask = (torch.rand(exact.shape, generator=generator) < share).to(exact.device, bits).neg_()
    one, other = exact.view(bits), actual.view(bits)
    return ((one ^ other).bitwise_and_(mask).bitwise_xor_(other)).view(exact.dtype)


def _rms(parameter: Tensor) -> float:
    return max(float(parameter.detach().square().mean().sqrt()), _SMALLEST_RMS)
