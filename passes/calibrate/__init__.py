"""Chooses the quantisation grids of all operands at all widths, streaming over the calibration samples.

Memory does not grow with the samples: a first pass keeps each tensor's extremes, a second a histogram of fixed size.
At each width the range is the one with the least mean squared error over the histogram (activations) or over the
weights themselves (per output channel).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import torch

from haqc.calibration import ActivationGrid, Calibration, WeightGrid
from haqc.errors import DataError, ModelError
from haqc.mirror import Mirror
from haqc.passes.calibrate.codebooks import calibrate_codebooks
from haqc.policy import Choice, Space
from haqc.quant import activation_range, weight_range

__all__ = ["BINS", "LARGEST", "calibrate", "calibrate_codebooks"]

BINS = 2048
"""Bins of an activation histogram."""

_SHARES = np.geomspace(0.04, 1.0, 64)
"""Candidate ranges, as shares of the full range."""

LARGEST = 1e30
"""Magnitude beyond which a tensor that only sums, concatenations or pooling read stays in float."""

_SMALLEST_RANGE = 1e-30
"""A tensor whose values span less is zero throughout: no float32 step is fine enough for it."""

_SMALLEST_SHARE = 1e-5
"""No channel's scale is below this share of the tensor's largest: nearly dead ones would overflow the int32 bias."""


def calibrate(mirror: Mirror, space: Space, batches: Iterable[tuple[np.ndarray, ...]]) -> Calibration:
    """Computes the grids of every operand of a space.

    Args:
        mirror: the float mirror.
        space: says which operands there are and which widths each may take.
        batches: calibration inputs; iterated several times, so a list or a re-iterable.

    Raises:
        DataError: the calibration data drives an activation that a layer reads to infinity or NaN.
        ModelError: a weight tensor holds infinities or NaN, or an activation is not of type float32.
    """
    activations = [choice for choice in space.choices if choice.operand.kind == "activation"]
    weights = [choice for choice in space.choices if choice.operand.kind == "weight"]
    tensors = tuple(choice.operand.tensor for choice in activations)
    spare = frozenset(choice.operand.tensor for choice in activations if not choice.operand.layers)
    axes = {layer.weight: layer.weight_axis for layer in space.graph.layers}
    weight_grids = {
        (choice.operand.tensor, bits): _weight_grid(mirror, choice.operand.tensor, axes[choice.operand.tensor], bits)
        for choice in weights
        for bits in _widths(choice)
    }
    low, high, unbounded = _extremes(_observe(mirror, tensors, batches), tensors, spare)
    bounded = tuple(tensor for tensor in tensors if tensor not in unbounded)
    histograms = _histograms(_observe(mirror, bounded, batches), low, high)
    return Calibration(
        activations={
            (tensor, bits): _activation_grid(histograms[tensor], low[tensor], high[tensor], bits)
            for tensor, choice in zip(tensors, activations, strict=True)
            if tensor not in unbounded
            for bits in _widths(choice)
        },
        weights=weight_grids,
        samples=sum(len(batch[0]) for batch in batches),
        unbounded=unbounded,
    )


def _widths(choice: Choice) -> tuple[int, ...]:
    """Gives the widths to prepare; the full one always, for the baseline."""
    return tuple(sorted({*choice.widths, 8}))


def _observe(
    mirror: Mirror, tensors: tuple[str, ...], batches: Iterable[tuple[np.ndarray, ...]]
) -> Iterator[dict[str, np.ndarray]]:
    for batch in batches:
        with torch.no_grad():  # not round the yield, where it would hold for whoever reads
            values = mirror.run(tuple(torch.from_numpy(array) for array in batch), tensors)
        yield dict(zip(tensors, (value.numpy() for value in values), strict=True))


def _extremes(
    observed: Iterable[dict[str, np.ndarray]], tensors: tuple[str, ...], spare: frozenset[str]
) -> tuple[dict[str, float], dict[str, float], dict[str, str]]:
    """Gives the least and the largest value of each tensor, and those of ``spare`` that no grid holds, with reasons."""
    low, high = dict.fromkeys(tensors, 0.0), dict.fromkeys(tensors, 0.0)
    unbounded: dict[str, str] = {}
    for values in observed:
        for tensor, value in values.items():
            if value.dtype != np.float32:
                raise ModelError(f"tensor '{tensor}' is of type {value.dtype}; export the model in float32")
            low[tensor] = min(low[tensor], float(value.min()))
            high[tensor] = max(high[tensor], float(value.max()))
            is_finite = bool(np.isfinite(value).all())
            if tensor in spare and not (is_finite and max(-low[tensor], high[tensor]) <= LARGEST):
                unbounded[tensor] = f"it reaches beyond {LARGEST:g} on the calibration data, as masks do"
            elif not is_finite:
                raise DataError(f"tensor '{tensor}' becomes infinite or NaN on the calibration data; check its scaling")
    return low, high, unbounded


def _histograms(
    observed: Iterable[dict[str, np.ndarray]], low: Mapping[str, float], high: Mapping[str, float]
) -> dict[str, np.ndarray]:
    counts = {tensor: np.zeros(BINS) for tensor in low}
    for values in observed:
        for tensor, value in values.items():
            if high[tensor] - low[tensor] >= _SMALLEST_RANGE:
                counts[tensor] += np.histogram(value, bins=BINS, range=(low[tensor], high[tensor]))[0]
    return counts


def _activation_grid(counts: np.ndarray, low: float, high: float, bits: int) -> ActivationGrid:
    """Gives the grid with the least mean squared error over a histogram."""
    if high - low < _SMALLEST_RANGE:
        return ActivationGrid(1.0, 0)
    top = activation_range(bits)[1]
    edges = np.linspace(low, high, BINS + 1)
    centres = (edges[:-1] + edges[1:]) / 2
    scales = _SHARES[:, None] * (high - low) / top
    zero_points = np.clip(np.round(-low * _SHARES[:, None] / scales), 0, top)
    codes = np.clip(np.round(centres / scales) + zero_points, 0, top)
    errors = (((codes - zero_points) * scales - centres) ** 2 * counts).sum(axis=1)
    best = int(errors.argmin())
    return ActivationGrid(float(scales[best, 0]), int(zero_points[best, 0]))


def _weight_grid(mirror: Mirror, tensor: str, axis: int, bits: int) -> WeightGrid:
    """Gives, for every channel, the scale with the least squared error.

    Weights with a batch axis of their own share one scale: runtimes have no integer kernel that takes more.
    """
    weight = mirror.value(tensor).detach().numpy()
    if not np.isfinite(weight).all():
        raise ModelError(f"weight '{tensor}' holds infinities or NaN; repair or retrain the model")
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


def _floored(scale: np.ndarray) -> np.ndarray:
    return np.asarray(np.maximum(scale, _SMALLEST_SHARE * (float(scale.max()) or 1.0)), np.float32)
