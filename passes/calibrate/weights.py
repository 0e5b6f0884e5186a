"""Chooses the grid of a weight tensor: of the least error of the layer's output, per channel; or HAQ's, per tensor."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from haqc.calibration import WeightGrid
from haqc.errors import ModelError
from haqc.mirror import Mirror
from haqc.passes.calibrate.activations import SMALLEST_RANGE, symmetric_grid
from haqc.passes.calibrate.secondmoments import Moments
from haqc.quant import weight_range

_SMALLEST_SHARE = 1e-5
"""No channel's scale is below this share of the tensor's largest: nearly dead ones would overflow the int32 bias."""

_STRIDE = 3
"""The search for a scale looks at every so many candidates first."""

_BINS = 2048
"""Bins of the histogram of the weights' magnitudes."""

Product = Callable[[Tensor, Tensor], Tensor]
"""Gives the mean product of what two tensors of weights ``[channels, inputs]`` give, per channel."""


def finite_weight(mirror: Mirror, tensor: str, kind: str = "weight") -> np.ndarray:
    """Gives the values of a tensor of weights or biases.

    Raises:
        ModelError: it holds infinities or NaN.
    """
    weight: np.ndarray = mirror.value(tensor).detach().numpy()
    if not np.isfinite(weight).all():
        raise ModelError(f"{kind} '{tensor}' holds infinities or NaN; repair or retrain the model")
    return weight


def weight_grid(weight: np.ndarray, axis: int, bits: int, moments: Moments | None = None) -> WeightGrid:
    """Gives, for every channel, the scale with the least squared error of what the channel gives.

    Weights with a batch axis of their own share one scale: runtimes have no integer kernel that takes more.

    Args:
        weight: the weights.
        axis: axis of the channels.
        bits: the width.
        moments: of what they multiply; without, the error is that of the weights themselves.
    """
    is_batched = weight.ndim > 2 and axis == weight.ndim - 1  # only a MatMul has its channels last
    channels = 1 if is_batched else weight.shape[axis]
    flat = torch.from_numpy(np.moveaxis(weight, axis, 0).reshape(channels, -1).astype(np.float32))
    product = _plain if moments is None else moments.product
    largest = flat.abs().amax(dim=1)
    if bits == 1:
        return WeightGrid(_floored(_of_signs(flat, product)), axis)
    scale = _least(flat, largest, bits, product)
    is_dead = largest == 0  # any scale will do for zeros; that of the others leaves the bias its room
    spare = 0.0 if bool(is_dead.all()) else float(scale[~is_dead].amax())
    return WeightGrid(_floored(scale.masked_fill(is_dead, spare)), axis)


def _least(flat: Tensor, largest: Tensor, bits: int, product: Product) -> Tensor:
    """Gives the scales of least error among shares of the largest magnitudes: of every third, and next to the best."""
    bottom, top = weight_range(bits)
    shares = torch.tensor([*np.linspace(0.2, 1.0, 41) / (top + 0.5), 1 / top], dtype=torch.float32)
    best, least = torch.zeros(len(flat), dtype=torch.int64), torch.full_like(largest, torch.inf)

    def look(index: Tensor) -> None:
        scale = (largest * shares[index]).clamp(min=1e-30)[:, None]
        difference = (flat / scale).round_().clamp_(bottom, top).mul_(scale).sub_(flat)
        error = product(difference, difference)
        best.copy_(torch.where(error < least, index, best))
        least.copy_(torch.minimum(error, least))

    for index in (*range(0, len(shares), _STRIDE), len(shares) - 1):
        look(torch.full_like(best, index))
    near = best.clone()
    for offset in range(1, _STRIDE // 2 + 1):
        look((near - offset).clamp(min=0))
        look((near + offset).clamp(max=len(shares) - 1))
    return largest * shares[best]


def _plain(left: Tensor, right: Tensor) -> Tensor:
    return (left * right).sum(dim=1)


def _of_signs(flat: Tensor, product: Product) -> Tensor:
    """Gives the scales of least error of signs, which follow from its derivative; mean magnitudes where none is."""
    signs = torch.where(flat < 0, -1.0, 1.0)
    across, square = product(signs, flat), product(signs, signs)
    return torch.where((across > 0) & (square > 0), across / square, flat.abs().mean(dim=1))


def tensor_grid(weight: np.ndarray, axis: int, bits: int) -> WeightGrid:
    """Gives HAQ's grid: one scale for the tensor, from -c to c with c by divergence (equations 4 and 5)."""
    largest = float(np.abs(weight).max())
    if largest < SMALLEST_RANGE:
        return WeightGrid(np.ones(1, np.float32), axis)
    counts, _ = np.histogram(weight, bins=_BINS, range=(-largest, largest))
    scale = symmetric_grid(counts.astype(np.float64), -largest, largest, bits).scale
    return WeightGrid(np.array([scale], np.float32), axis)


def _floored(scale: Tensor) -> np.ndarray:
    floored: np.ndarray = scale.clamp(min=_SMALLEST_SHARE * (float(scale.max()) or 1.0)).numpy()
    return floored
