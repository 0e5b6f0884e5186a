"""What stretches are run on: where a mirror is divided for a data set, its first samples, and runs over all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from haqc.data.split import Split
from haqc.mirror import Mirror
from haqc.mirror.module import Quantiser
from haqc.mirror.stretch import Stretch, carries_batch, divide

BATCH = 32
"""Samples that pass a stretch at a time where no gradient is needed: so few that caches hold what moves."""


def stretches(mirror: Mirror, logits: str, weights: Iterable[str], split: Split) -> tuple[Stretch, ...]:
    """Gives the stretches that are fitted one after the other: one in all where tensors do not carry the batch.

    Args:
        mirror: the mirror.
        logits: tensor at the end of the last.
        weights: the weights that are quantised.
        split: samples; a few are run.
    """
    parts = divide(mirror, logits, weights)
    if carries_batch(mirror, parts, first_inputs(mirror, split, 2)):
        return parts
    return (Stretch.of(mirror, mirror.inputs, logits),)


def first_inputs(mirror: Mirror, split: Split, count: int) -> tuple[Tensor, ...]:
    """Gives the first samples; where the model takes a fixed number at a time, whole runs, the last sample repeated."""
    each = split.samples_per_run
    wanted = min(count, len(split)) if each is None else max(each, min(count, len(split)) // each * each)
    arrays = split.inputs(np.minimum(np.arange(wanted), len(split) - 1))
    return mirror.tensors(arrays)


@torch.no_grad()
def over(
    stretch: Stretch, values: tuple[Tensor, ...], quantisers: Mapping[str, Quantiser], samples_per_run: int | None
) -> Tensor:
    """Runs a stretch over all samples, some at a time."""
    parts = zip(*(torch.split(value, samples_per_run or BATCH) for value in values), strict=True)
    return torch.cat([stretch.run(part, quantisers) for part in parts])


@dataclass(frozen=True)
class Original:
    """The float network beside a quantised one, stretch by stretch, on the same samples.

    Attributes:
        parts: the stretches, in order.
        given: the network's inputs, by name.
        floating: gives the float network's parameters, by name, whatever the mirror holds.
        samples_per_run: as many samples as the model takes at a time, ``None`` where any number will do.
    """

    parts: tuple[Stretch, ...]
    given: Mapping[str, Tensor]
    floating: Mapping[str, Quantiser]
    samples_per_run: int | None

    @classmethod
    def of(
        cls,
        mirror: Mirror,
        parameters: Mapping[str, np.ndarray],
        parts: tuple[Stretch, ...],
        inputs: tuple[Tensor, ...],
        samples_per_run: int | None,
    ) -> Original:
        """Takes the float network's parameters and its inputs."""
        floating = {name: _always(*mirror.tensors([array])) for name, array in parameters.items()}
        return cls(parts, dict(zip(mirror.inputs, inputs, strict=True)), floating, samples_per_run)

    def run(self, stretch: Stretch, known: Mapping[str, Tensor]) -> Tensor:
        """Gives what a stretch of the float network makes of what is known."""
        return over(stretch, stretch.start(known), self.floating, self.samples_per_run)

    def behind(self, part: Stretch, value: Tensor) -> Mapping[str, Tensor]:
        """Gives what is known behind a stretch that gave a value."""
        return {**self.given, part.wanted: value}

    def walk(self) -> Iterator[tuple[Stretch, Mapping[str, Tensor], Tensor]]:
        """Yields each stretch, what is known before it in the float network, and what that gives at its end."""
        known = self.given
        for part in self.parts:
            value = self.run(part, known)
            yield part, known, value
            known = self.behind(part, value)


def _always(tensor: Tensor) -> Quantiser:
    return lambda _: tensor
