"""Post-training reconstruction: weights and steps are adapted without labels so that a quantised network behaves like
the float one, stretch by stretch.

The form is that of BRECQ (Li et al., ICLR 2021): stretches between tensors that everything passes through, in order,
each fitted to the float network's output while it reads what the quantised stretches before it give; a random half of
its input values are the float ones (QDrop, Wei et al., ICLR 2022). Rounding, ranges and biases are learned together
with straight-through gradients (EfficientQAT, Chen et al., 2024) in place of AdaRound's relaxation. What merely fills
a sequence up counts for nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from haqc.data.split import Split
from haqc.mirror import Mirror
from haqc.mirror.quantised import QuantisedMirror
from haqc.mirror.stretch import Stretch
from haqc.reconstruct.biases import correct, level
from haqc.reconstruct.fit import Fitting, Sides, fit
from haqc.reconstruct.parts import BATCH, Original, first_inputs, over, stretches
from haqc.reconstruct.ranges import clip
from haqc.reconstruct.reach import reach
from haqc.recovery import Reconstruction

__all__ = ["Fitting", "clip", "correct", "level", "reconstruct", "stretches"]

LARGEST_BYTES = 256 * 2**20
"""Bound on each copy of a tensor between stretches; fewer samples are used where it would be passed."""

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
        split: samples, whose labels are not read; some thousands do.
        fitting: how long and how fast.
        seed: of the order of the samples and of the values that are exchanged.
        advance: called with the number of samples after each step.
    """
    mirror = network.mirror
    parts = stretches(mirror, logits, {**network.weights, **network.codebooks}, split)
    each = split.samples_per_run
    inputs = first_inputs(mirror, split, min(fitting.kept, _affordable(mirror, parts, first_inputs(mirror, split, 2))))
    teacher = Original.of(mirror, original, parts, inputs, each)
    weights = {name: reached / reached.mean() for name, reached in reach(teacher, seed).items()}
    actual = teacher.given
    generator = torch.Generator().manual_seed(seed)
    ends, before, after = [], [], []
    for stretch, exact, target in teacher.walk():
        start, weight = stretch.start(actual), weights.get(stretch.wanted)
        sides = Sides(stretch.start(exact), start, target, _variance(target), weight)
        plain, state = over(stretch, start, network.quantisers, each), network.state()
        fit(network, stretch, sides, fitting if each is None else fitting.of_batch(each), generator, advance)
        found = over(stretch, start, network.quantisers, each)
        was, now = sides.error(plain), sides.error(found)
        if not now <= was:  # too few samples or steps for it: better as it was
            network.load(state)
            found, now = plain, was
        if math.isfinite(was):
            ends.append(stretch.wanted)
            before.append(was)
            after.append(now)
        actual = teacher.behind(stretch, found)
    return Reconstruction(tuple(ends), tuple(before), tuple(after), len(inputs[0]))


def _variance(target: Tensor) -> float:
    """Gives the mean variance over the samples; some samples at a time, for temporary copies of all take longer."""
    mean = target.mean(dim=0)
    squares = sum(float((part - mean).square().sum(dtype=torch.float64)) for part in torch.split(target, BATCH))
    return squares / target.numel() + _SMALLEST_VARIANCE


def _affordable(mirror: Mirror, parts: tuple[Stretch, ...], inputs: tuple[Tensor, ...]) -> int:
    """Gives how many samples may be kept at the widest place between stretches."""
    known = given = dict(zip(mirror.inputs, inputs, strict=True))
    sizes = [1]
    for stretch in parts:
        value = over(stretch, stretch.start(known), {}, None)
        known = {**given, stretch.wanted: value}
        sizes.append(sum(one.nbytes // len(inputs[0]) for one in known.values()))
    return max(1, LARGEST_BYTES // max(sizes))
