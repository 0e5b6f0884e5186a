"""Chooses the ranges of activations by what the tensors behind them lose, not by what they lose themselves.

A token of which one value is a hundred times the others decides the squared error of its tensor, but a normalisation
behind it takes most of that away: clipping that value costs little, and a step that reaches it rounds off all others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from torch import Tensor

from haqc.calibration import ActivationGrid, Calibration
from haqc.data.split import Split
from haqc.mirror import Mirror
from haqc.mirror.quantised import ActivationQuantiser
from haqc.mirror.stretch import Stretch
from haqc.reconstruct.parts import first_inputs, over, stretches

FACTORS = (0.7, 0.5, 0.35, 0.25, 0.18, 0.12, 0.09, 0.06, 0.04, 0.03)
"""Candidate steps, as shares of the step given, in descending order."""

_GAIN = 0.95
"""A smaller step is taken where it leaves at most this share of the error."""

_PATIENCE = 2
"""The search down the factors ends behind so many in a row that are no better."""


def clip(
    mirror: Mirror, logits: str, weights: Iterable[str], calibration: Calibration, split: Split, count: int
) -> Calibration:
    """Gives the calibration with ranges of activations cut where that serves the tensors behind them.

    Each activation alone is quantised at each width, and the squared error at the end of its stretch decides.

    Args:
        mirror: the float mirror.
        logits: tensor at the end of the last stretch.
        weights: the weights that are quantised.
        calibration: the grids to begin with.
        split: samples.
        count: how many are run, at most; 0 changes nothing.
    """
    if not count:
        return calibration
    grids, parts = dict(calibration.activations), stretches(mirror, logits, weights, split)
    each, known = split.samples_per_run, dict(zip(mirror.inputs, first_inputs(mirror, split, count), strict=True))
    readers = [part.inner for part in parts]
    for part in parts:
        start = part.start(known)
        target = over(part, start, {}, each)
        for tensor, bits in calibration.activations:
            if tensor in part.inner and sum(tensor in inner for inner in readers) == 1:
                error = _Error(part, start, target, tensor, bits, each)
                grids[tensor, bits] = _best(grids[tensor, bits], error)
        known |= {part.wanted: target}
    return replace(calibration, activations=grids)


@dataclass(frozen=True)
class _Error:
    """The squared error at the end of a stretch with one activation quantised."""

    part: Stretch
    start: tuple[Tensor, ...]
    target: Tensor
    tensor: str
    bits: int
    samples_per_run: int | None

    def __call__(self, grid: ActivationGrid) -> float:
        quantiser = ActivationQuantiser(grid, self.bits).to(self.part.mirror.device).fixed()
        found = over(self.part, self.start, {self.tensor: quantiser}, self.samples_per_run)
        return float((found - self.target).square().mean())


def _best(grid: ActivationGrid, error: Callable[[ActivationGrid], float]) -> ActivationGrid:
    """Gives the best of a grid and those with smaller steps and the same zero point."""
    best, least, behind = grid, error(grid), 0
    for factor in FACTORS if math.isfinite(least) else ():
        candidate = ActivationGrid(grid.scale * factor, grid.zero_point)
        now = error(candidate)
        behind = 0 if now <= _GAIN * least else behind + 1
        if behind == 0:
            best, least = candidate, now
        elif behind == _PATIENCE:
            break
    return best
