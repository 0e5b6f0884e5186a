"""Post-training reconstruction: weights and steps are adapted without labels so that a quantised network behaves like
the float one, stretch by stretch.

The form is that of BRECQ (Li et al., ICLR 2021): stretches between tensors that everything passes through, in order,
each fitted to the float network's output while it reads what the quantised stretches before it give; a random half of
its input values are the float ones (QDrop, Wei et al., ICLR 2022). Rounding, ranges and biases are learned together
with straight-through gradients (EfficientQAT, Chen et al., 2024) in place of AdaRound's relaxation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from haqc.data.split import Split
from haqc.errors import DataError
from haqc.mirror.module import Quantiser
from haqc.mirror.quantised import QuantisedMirror
from haqc.mirror.stretch import Stretch, carries_batch, divide
from haqc.passes.reconstruct.fit import Fitting, Sides, fit

LARGEST_BYTES = 256 * 2**20
"""Bound on each copy of a tensor between stretches; fewer samples are used where it would be passed."""

BATCH = 128
"""Samples that pass a stretch at a time where no gradient is needed."""

_SMALLEST_VARIANCE = 1e-12
"""Added to variances, so that a constant output has an error."""


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """What a reconstruction did.

    Attributes:
        stretches: the tensors at which stretches end, in order.
        before, after: squared error of each, relative to its variance, before and after the fit.
    """

    stretches: tuple[str, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]


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
        split: unlabelled samples; about a thousand do.
        fitting: how long and how fast.
        seed: of the order of the samples and of the values that are exchanged.
        advance: called with the number of samples after each step.

    Raises:
        DataError: an error became NaN or infinite.
    """
    mirror = network.mirror
    stretches = divide(mirror, logits, network.weights)
    inputs = tuple(torch.from_numpy(array) for array in split.inputs(slice(0, 2)))
    if not carries_batch(mirror, stretches, inputs):
        stretches = (Stretch.of(mirror, mirror.inputs, logits),)
    samples = split.take(slice(0, _affordable(stretches, inputs)))
    arrays = samples.inputs(slice(0, len(samples)))
    exact = actual = tuple(torch.from_numpy(array) for array in arrays)
    floating = {name: _always(torch.from_numpy(array)) for name, array in original.items()}
    generator = torch.Generator().manual_seed(seed)
    before, after = [], []
    for stretch in stretches:
        target = _over(stretch, exact, floating)
        variance = float((target - target.mean(dim=0)).square().mean()) + _SMALLEST_VARIANCE
        sides = Sides(exact, actual, target, variance)
        plain, state = _over(stretch, actual, network.quantisers), network.state()
        fit(network, stretch, sides, fitting, generator, advance)
        found = _over(stretch, actual, network.quantisers)
        before.append(sides.error(plain))
        if sides.error(found) > before[-1]:  # too few samples or steps for it: better as it was
            network.load(state)
            found = plain
        after.append(sides.error(found))
        if not np.isfinite(after[-1]):
            raise DataError(
                f"the error at '{stretch.wanted}' became infinite or NaN while reconstructing; check the data's scaling"
            )
        exact, actual = (target,), (found,)
    return Reconstruction(tuple(stretch.wanted for stretch in stretches), tuple(before), tuple(after))


def _affordable(stretches: tuple[Stretch, ...], inputs: tuple[Tensor, ...]) -> int:
    """Gives how many samples may be kept at the widest place between stretches."""
    sizes, values = [], inputs
    for stretch in stretches:
        sizes.append(sum(value.nbytes // len(inputs[0]) for value in values))
        values = (_over(stretch, values, {}),)
    sizes.append(values[0].nbytes // len(inputs[0]))
    return max(1, LARGEST_BYTES // max(sizes))


def _always(tensor: Tensor) -> Quantiser:
    return lambda _: tensor


@torch.no_grad()
def _over(stretch: Stretch, values: tuple[Tensor, ...], quantisers: Mapping[str, Quantiser]) -> Tensor:
    """Runs a stretch over all samples, some at a time."""
    parts = zip(*(torch.split(value, BATCH) for value in values), strict=True)
    return torch.cat([stretch.run(part, quantisers) for part in parts])
