"""What stretches are run on: where a mirror is divided for a data set, its first samples, and runs over all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor

from haqc.data.split import Split
from haqc.mirror import Mirror
from haqc.mirror.module import Quantiser
from haqc.mirror.stretch import Stretch, carries_batch, divide

BATCH = 128
"""Samples that pass a stretch at a time where no gradient is needed."""


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


def always(tensor: Tensor) -> Quantiser:
    """Makes a quantiser that gives one tensor, whatever it reads."""
    return lambda _: tensor
