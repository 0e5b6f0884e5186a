"""Chooses the grid of an activation from a histogram of its values, by one of several rules."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from haqc.calibration import ActivationGrid, Ranges
from haqc.passes.calibrate.divergence import divergence
from haqc.quant import activation_range

Reals = npt.NDArray[np.float64]
Measure = Callable[[Reals, Reals, Reals, Reals], float]
"""What a range loses: of counts, centres of bins, codes' values and codes."""

SHARES = np.geomspace(0.04, 1.0, 64)
"""Candidate ranges, as shares of the full range."""

CUT_SHARE = 1e-4
"""Share of the values that the rule of percentiles leaves outside, at each end."""

SMALLEST_RANGE = 1e-30
"""A tensor whose values span less is zero throughout: no float32 step is fine enough for it."""


def activation_grid(ranges: Ranges, counts: Reals, low: float, high: float, bits: int) -> ActivationGrid:
    """Gives the grid of a tensor at one width.

    Args:
        ranges: the rule: least mean squared error, least divergence, percentiles, or the full range.
        counts: histogram of the values in equal bins from ``low`` to ``high``.
        low, high: least and largest value, or zero where that lies outside.
        bits: the width.
    """
    if high - low < SMALLEST_RANGE:
        return ActivationGrid(1.0, 0)
    if ranges == "max":
        return _over(low, high, bits)
    edges = np.linspace(low, high, len(counts) + 1)
    if ranges == "percentile":
        return _over(*_percentiles(counts, edges), bits)
    return _least(_squared if ranges == "mse" else _divergence, counts, (edges[:-1] + edges[1:]) / 2, low, high, bits)


def symmetric_grid(counts: Reals, low: float, high: float, bits: int) -> ActivationGrid:
    """Gives the grid of HAQ (Wang et al., CVPR 2019, equations 4 and 5): from 0 to c, or from -c to c; c by divergence.

    Args:
        counts, low, high: as for :func:`activation_grid`.
        bits: the width, at least 2; one bit is the sign of a tensor that has negative values.
    """
    if high - low < SMALLEST_RANGE:
        return ActivationGrid(1.0, 0)
    edges = np.linspace(low, high, len(counts) + 1)
    largest = max(-low, high)
    mirrored = (-largest if low < 0 else 0.0, largest)
    centres = (edges[:-1] + edges[1:]) / 2
    steps = 2 ** (bits - 1) - 1 if low < 0 else 2**bits - 1
    zero_point = 2 ** (bits - 1) if low < 0 else 0
    found = []
    for share in SHARES:
        scale = share * mirrored[1] / steps
        codes = np.clip(np.round(centres / scale), -steps if low < 0 else 0, steps)
        found.append(_divergence(counts, centres, codes * scale, codes))
    return ActivationGrid(float(SHARES[int(np.argmin(found))] * largest / steps), zero_point)


def _over(low: float, high: float, bits: int) -> ActivationGrid:
    top = activation_range(bits)[1]
    scale = (high - low) / top
    return ActivationGrid(scale, int(np.clip(np.round(-low / scale), 0, top)))


def _percentiles(counts: Reals, edges: Reals) -> tuple[float, float]:
    """Gives the range that all but a small share of the values lie in; it holds zero."""
    shares = counts.cumsum() / counts.sum()
    first = int(np.searchsorted(shares, CUT_SHARE, side="right"))
    last = int(np.searchsorted(shares, 1 - CUT_SHARE, side="left"))
    low, high = min(0.0, float(edges[first])), max(0.0, float(edges[last + 1]))
    return (low, high) if high - low >= SMALLEST_RANGE else (float(edges[0]), float(edges[-1]))


def _least(measure: Measure, counts: Reals, centres: Reals, low: float, high: float, bits: int) -> ActivationGrid:
    """Gives the grid with the least loss among shares of the full range."""
    top = activation_range(bits)[1]
    scales = SHARES * (high - low) / top
    zero_points = np.clip(np.round(-low * SHARES / scales), 0, top)
    losses = []
    for scale, zero_point in zip(scales, zero_points, strict=True):
        codes = np.clip(np.round(centres / scale) + zero_point, 0, top)
        losses.append(measure(counts, centres, (codes - zero_point) * scale, codes))
    best = int(np.argmin(losses))
    return ActivationGrid(float(scales[best]), int(zero_points[best]))


def _squared(counts: Reals, centres: Reals, values: Reals, codes: Reals) -> float:
    return float(((values - centres) ** 2 * counts).sum())


def _divergence(counts: Reals, centres: Reals, values: Reals, codes: Reals) -> float:
    """Gives the divergence; the bin of zero is left out, which every grid holds exactly and a ReLU fills."""
    step = float(np.diff(np.unique(values)).min(initial=np.inf))
    inside = (centres >= values.min() - step / 2) & (centres <= values.max() + step / 2)
    without_zero = counts.copy()
    without_zero[np.abs(centres).argmin()] = 0
    return divergence(without_zero, codes, inside)
