"""Post-training reconstruction: weights and steps are adapted without labels so that a quantised network behaves like
the float one, stretch by stretch.

The form is that of BRECQ (Li et al., ICLR 2021): stretches between tensors that everything passes through, in order,
each fitted to the float network's output while it reads what the quantised stretches before it give; a random half of
its input values are the float ones (QDrop, Wei et al., ICLR 2022). Rounding, ranges and biases are learned together
with straight-through gradients (EfficientQAT, Chen et al., 2024) in place of AdaRound's relaxation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

import numpy as np
import torch
from torch import Tensor

from haqc.data.split import Split
from haqc.mirror import Mirror
from haqc.mirror.module import Quantiser
from haqc.mirror.quantised import QuantisedMirror
from haqc.mirror.stretch import Stretch, carries_batch, divide
from haqc.reconstruct.fit import Fitting, Sides, fit
from haqc.recovery import Reconstruction

__all__ = ["Fitting", "reconstruct", "stretches"]

LARGEST_BYTES = 256 * 2**20
"""Bound on each copy of a tensor between stretches; fewer samples are used where it would be passed."""

BATCH = 128
"""Samples that pass a stretch at a time where no gradient is needed."""

_SMALLEST_VARIANCE = 1e-12
"""Added to variances, so that a constant output has an error."""


def reconstruct(
    network: QuantisedMirror,
    original: Mapping[str, np.ndarray],
    logits: str,
    split: Split,
    fitting: Fitting,
    seed: int,
    advance: Callable[[int], None] = lambda samples: None,
) -> Reconstruction:
    """Fits the layers' weights and biases, and the steps, to the float network's outputs, in place.

    Args:
        network: the quantised mirror, at the float network's parameters.
        original: the float network's parameters, by name.
        logits: tensor at the end of the last stretch (the input of a final Softmax).
        split: samples, whose labels are not read; about a thousand do.
        fitting: how long and how fast.
        seed: of the order of the samples and of the values that are exchanged.
        advance: called with the number of samples after each step.
    """
    mirror = network.mirror
    parts = stretches(mirror, logits, {**network.weights, **network.codebooks}, split)
    each = split.samples_per_run
    exact = actual = _inputs(split, min(fitting.kept, _affordable(parts, _first(split))))
    floating = {name: _always(torch.from_numpy(array)) for name, array in original.items()}
    generator = torch.Generator().manual_seed(seed)
    ends, before, after = [], [], []
    for stretch in parts:
        target = _over(stretch, exact, floating, each)
        variance = float((target - target.mean(dim=0)).square().mean()) + _SMALLEST_VARIANCE
        sides = Sides(exact, actual, target, variance)
        plain, state = _over(stretch, actual, network.quantisers, each), network.state()
        fit(network, stretch, sides, fitting if each is None else fitting.of_batch(each), generator, advance)
        found = _over(stretch, actual, network.quantisers, each)
        if not sides.error(found) <= sides.error(plain):  # too few samples or steps for it: better as it was
            network.load(state)
            found = plain
        if math.isfinite(sides.error(plain)):
            ends.append(stretch.wanted)
            before.append(sides.error(plain))
            after.append(sides.error(found))
        exact, actual = (target,), (found,)
    return Reconstruction(tuple(ends), tuple(before), tuple(after), len(exact[0]))


def stretches(mirror: Mirror, logits: str, weights: Iterable[str], split: Split) -> tuple[Stretch, ...]:
    """Gives the stretches that are fitted one after the other: one in all where tensors do not carry the batch.

    Args:
        mirror: the mirror.
        logits: tensor at the end of the last.
        weights: the weights that are quantised.
        split: samples; a few are run.
    """
    parts = divide(mirror, logits, weights)
    return parts if carries_batch(mirror, parts, _first(split)) else (Stretch.of(mirror, mirror.inputs, logits),)


def _first(split: Split) -> tuple[Tensor, ...]:
    return _inputs(split, 2)


def _inputs(split: Split, count: int) -> tuple[Tensor, ...]:
    """Gives the first samples; where the model takes a fixed number at a time, whole runs, the last sample repeated."""
    each = split.samples_per_run
    wanted = min(count, len(split)) if each is None else max(each, min(count, len(split)) // each * each)
    arrays = split.inputs(np.minimum(np.arange(wanted), len(split) - 1))
    return tuple(torch.from_numpy(array) for array in arrays)


def _affordable(parts: tuple[Stretch, ...], inputs: tuple[Tensor, ...]) -> int:
    """Gives how many samples may be kept at the widest place between stretches."""
    sizes, values = [], inputs
    for stretch in parts:
        sizes.append(sum(value.nbytes // len(inputs[0]) for value in values))
        values = (_over(stretch, values, {}, None),)
    sizes.append(values[0].nbytes // len(inputs[0]))
    return max(1, LARGEST_BYTES // max(sizes))


def _always(tensor: Tensor) -> Quantiser:
    return lambda _: tensor


@torch.no_grad()
def _over(
    stretch: Stretch, values: tuple[Tensor, ...], quantisers: Mapping[str, Quantiser], samples_per_run: int | None
) -> Tensor:
    """Runs a stretch over all samples, some at a time."""
    parts = zip(*(torch.split(value, samples_per_run or BATCH) for value in values), strict=True)
    return torch.cat([stretch.run(part, quantisers) for part in parts])
