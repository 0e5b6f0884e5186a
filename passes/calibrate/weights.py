"""Chooses the grid of a weight tensor: of the least squared error, per channel; or HAQ's, per tensor."""

from __future__ import annotations

import numpy as np

from haqc.calibration import WeightGrid
from haqc.errors import ModelError
from haqc.mirror import Mirror
from haqc.passes.calibrate.activations import SMALLEST_RANGE, symmetric_grid
from haqc.quant import weight_range

_SMALLEST_SHARE = 1e-5
"""No channel's scale is below this share of the tensor's largest: nearly dead ones would overflow the int32 bias."""

_BINS = 2048
"""Bins of the histogram of the weights' magnitudes."""


def finite_weight(mirror: Mirror, tensor: str, kind: str = "weight") -> np.ndarray:
    """Gives the values of a tensor of weights or biases.

    Raises:
        ModelError: it holds infinities or NaN.
    """
    weight: np.ndarray = mirror.value(tensor).detach().numpy()
    if not np.isfinite(weight).all():
        raise ModelError(f"{kind} '{tensor}' holds infinities or NaN; repair or retrain the model")
    return weight


def weight_grid(weight: np.ndarray, axis: int, bits: int) -> WeightGrid:
    """Gives, for every channel, the scale with the least squared error.

    Weights with a batch axis of their own share one scale: runtimes have no integer kernel that takes more.
    """
    is_batched = weight.ndim > 2 and axis == weight.ndim - 1  # only a MatMul has its channels last
    channels = 1 if is_batched else weight.shape[axis]
    flat = np.moveaxis(weight, axis, 0).reshape(channels, -1).astype(np.float32)
    largest = np.abs(flat).max(axis=1)
    if bits == 1:
        return WeightGrid(_floored(np.abs(flat).mean(axis=1)), axis)
    bottom, top = weight_range(bits)
    best_scale, best_error = largest, np.full(len(flat), np.inf, np.float32)
    for share in np.append(np.linspace(0.2, 1.0, 41) / (top + 0.5), 1 / top).astype(np.float32):
        scale = np.maximum(largest * share, 1e-30)[:, None]
        error = ((np.clip(np.round(flat / scale), bottom, top) * scale - flat) ** 2).sum(axis=1)
        better = error < best_error
        best_error = np.where(better, error, best_error)
        best_scale = np.where(better, scale[:, 0], best_scale)
    is_dead = largest == 0  # any scale will do for zeros; that of the others leaves the bias its room
    best_scale = np.where(is_dead, best_scale[~is_dead].max(initial=0.0), best_scale)
    return WeightGrid(_floored(best_scale), axis)


def tensor_grid(weight: np.ndarray, axis: int, bits: int) -> WeightGrid:
    """Gives HAQ's grid: one scale for the tensor, from -c to c with c by divergence (equations 4 and 5)."""
    largest = float(np.abs(weight).max())
    if largest < SMALLEST_RANGE:
        return WeightGrid(np.ones(1, np.float32), axis)
    counts, _ = np.histogram(weight, bins=_BINS, range=(-largest, largest))
    scale = symmetric_grid(counts.astype(np.float64), -largest, largest, bits).scale
    return WeightGrid(np.array([scale], np.float32), axis)


def _floored(scale: np.ndarray) -> np.ndarray:
    return np.asarray(np.maximum(scale, _SMALLEST_SHARE * (float(scale.max()) or 1.0)), np.float32)
