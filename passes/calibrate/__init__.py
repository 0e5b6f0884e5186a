"""Chooses the quantisation grids of all operands at all widths, streaming over the calibration samples.

Memory does not grow with the samples: a first pass keeps each tensor's extremes, a second a histogram of fixed size.
At each width a rule chooses the range of activations from the histogram, by default the one with the least mean squared
error. The scales of weights have the least squared error of what each output channel gives, by the second moments of
what the weights multiply, for which a third pass is made. Or both are HAQ's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial

import numpy as np
import torch

from haqc.calibration import Calibration, QuantiserName, Ranges, WeightGrid
from haqc.errors import DataError, ModelError
from haqc.graph import Graph
from haqc.mirror import Mirror
from haqc.passes.calibrate.activations import SMALLEST_RANGE, activation_grid, symmetric_grid
from haqc.passes.calibrate.apart import set_apart
from haqc.passes.calibrate.codebooks import calibrate_codebooks
from haqc.passes.calibrate.secondmoments import moments
from haqc.passes.calibrate.weights import finite_weight, tensor_grid, weight_grid
from haqc.policy import Choice, Space

__all__ = ["BINS", "LARGEST", "calibrate", "calibrate_codebooks", "set_apart"]

BINS = 2048
"""Bins of an activation histogram."""

LARGEST = 1e30
"""Magnitude beyond which a tensor that only sums, concatenations or pooling read stays in float."""


def calibrate(
    mirror: Mirror,
    space: Space,
    batches: Iterable[tuple[np.ndarray, ...]],
    ranges: Ranges = "mse",
    quantiser: QuantiserName = "lsq",
) -> Calibration:
    """Computes the grids of every operand of a space.

    Args:
        mirror: the float mirror.
        space: says which operands there are and which widths each may take.
        batches: calibration inputs; iterated several times, so a list or a re-iterable.
        ranges: how the ranges of activations are chosen; of no account for ``haq``, which has its own way.
        quantiser: ``lsq``, with scales per channel that fine-tuning learns, or ``haq``, with one for each tensor that
            stays; the latter at 2 bits and more.

    Raises:
        DataError: the calibration data drives an activation that a layer reads to infinity or NaN.
        ModelError: a tensor of weights or biases holds infinities or NaN, or an activation is not of type float32.
    """
    activations = [choice for choice in space.choices if choice.operand.kind == "activation"]
    weights = [choice for choice in space.choices if choice.operand.kind == "weight"]
    tensors = tuple(choice.operand.tensor for choice in activations)
    spare = frozenset(choice.operand.tensor for choice in activations if not choice.operand.layers)
    is_haq = quantiser == "haq"
    for layer in space.graph.layers:
        if layer.bias:
            finite_weight(mirror, layer.bias, "bias")
    for choice in weights:
        finite_weight(mirror, choice.operand.tensor)
    low, high, unbounded = _extremes(_observe(mirror, tensors, batches), tensors, spare)
    bounded = tuple(tensor for tensor in tensors if tensor not in unbounded)
    histograms = _histograms(_observe(mirror, bounded, batches), low, high)
    return Calibration(
        activations={
            (tensor, bits): (symmetric_grid if is_haq else partial(activation_grid, ranges))(
                histograms[tensor], low[tensor], high[tensor], bits
            )
            for tensor, choice in zip(tensors, activations, strict=True)
            if tensor not in unbounded
            for bits in _widths(choice)
        },
        weights=_weight_grids(mirror, space.graph, weights, batches, is_haq),
        samples=sum(len(batch[0]) for batch in batches),
        unbounded=unbounded,
        learns=not is_haq,
    )


def _widths(choice: Choice) -> tuple[int, ...]:
    """Gives the widths to prepare; the full one always, for the baseline."""
    return tuple(sorted({*choice.widths, 8}))


def _weight_grids(
    mirror: Mirror, graph: Graph, weights: list[Choice], batches: Iterable[tuple[np.ndarray, ...]], is_haq: bool
) -> dict[tuple[str, int], WeightGrid]:
    axes = {layer.weight: layer.weight_axis for layer in graph.layers}
    widths = {choice.operand.tensor: _widths(choice) for choice in weights}
    known = ((tensor, None) for tensor in widths) if is_haq else moments(mirror, graph, widths, batches)
    found: dict[tuple[str, int], WeightGrid] = {}
    for tensor, of_inputs in known:
        weight = finite_weight(mirror, tensor)
        grid = partial(tensor_grid if is_haq else partial(weight_grid, moments=of_inputs), weight, axes[tensor])
        found |= {(tensor, bits): grid(bits) for bits in widths[tensor]}
    return found


def _observe(
    mirror: Mirror, tensors: tuple[str, ...], batches: Iterable[tuple[np.ndarray, ...]]
) -> Iterator[dict[str, np.ndarray]]:
    for batch in batches:
        with torch.no_grad():  # not round the yield, where it would hold for whoever reads
            values = mirror.run(mirror.tensors(batch), tensors)
        yield dict(zip(tensors, (value.cpu().numpy() for value in values), strict=True))


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
            if high[tensor] - low[tensor] >= SMALLEST_RANGE:
                counts[tensor] += np.histogram(value, bins=BINS, range=(low[tensor], high[tensor]))[0]
    return counts
