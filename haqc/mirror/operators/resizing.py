"""Resize: nearest, linear and cubic, one axis after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.fx

from haqc.mirror.node import Function, Node, operator
from haqc.mirror.operators.constant import Integers, integers, listed

COORDINATES = ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric")
NEAREST = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
MODES = ("nearest", "linear", "cubic")

Positions = npt.NDArray[np.float32]
"""Positions along one axis, or weights of positions."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How output positions are read from the input (ONNX Resize).

    Attributes:
        mode: ``nearest``, ``linear`` or ``cubic``.
        coordinates: how an output position maps to an input position.
        nearest: how ``nearest`` rounds.
        cubic: the coefficient a of the cubic kernel.
        exclude_outside: whether ``cubic`` gives no weight to positions outside the input.
        axes: the axes resized; ``None`` for all.
    """

    mode: str
    coordinates: str
    nearest: str
    cubic: float
    exclude_outside: bool
    axes: tuple[int, ...] | None


def _choice(node: Node, name: str, default: str, allowed: tuple[str, ...]) -> str:
    """Reads an attribute that must be one of a few words."""
    word: str = node.attribute(name, default)
    if word not in allowed:
        raise node.refuse(f"has {name} '{word}', where the mirror knows {' and '.join(allowed)}")
    return word


@operator("Resize")
def resize(node: Node) -> Function:
    """Builds a resampling to sizes or by scales, which may be computed at run time.

    Raises:
        ModelError: the node crops, smooths before shrinking, or keeps aspect ratios.
    """
    _choice(node, "keep_aspect_ratio_policy", "stretch", ("stretch",))
    if node.attribute("antialias", 0):
        raise node.refuse("smooths before it shrinks (antialias)")
    axes = node.attribute("axes")
    sampling = Sampling(
        mode=_choice(node, "mode", "nearest", MODES),
        coordinates=_choice(node, "coordinate_transformation_mode", "half_pixel", COORDINATES),
        nearest=_choice(node, "nearest_mode", "round_prefer_floor", NEAREST),
        cubic=node.attribute("cubic_coeff_a", -0.75),
        exclude_outside=bool(node.attribute("exclude_outside", 0)),
        axes=None if axes is None else tuple(axes),
    )
    known_sizes, factors = integers(node, 3), node.constant(2)
    known_scales = None if factors is None else tuple(float(factor) for factor in factors.reshape(-1))

    def run(
        x: torch.Tensor,
        roi: torch.Tensor | None = None,
        scales: torch.Tensor | None = None,
        sizes: torch.Tensor | None = None,
    ) -> torch.Tensor:
        by = scales if known_scales is None else known_scales
        to = sizes if known_sizes is None else known_sizes
        return resample(x, by, to, sampling)

    return run


def resample(
    x: torch.Tensor, scales: torch.Tensor | Sequence[float] | None, sizes: Integers | None, sampling: Sampling
) -> torch.Tensor:
    """Resamples every axis whose extent or scale changes; sizes take precedence over scales."""
    axes = range(x.dim()) if sampling.axes is None else sampling.axes
    if sizes is not None and len(sizes) > 0:
        # Axes that keep their length are left out first, so that tracing may leave that of the batch open.
        extents = {axis: extent for axis, extent in zip(axes, listed(sizes), strict=True) if extent != x.shape[axis]}
        factors = {axis: np.float32(extent) / np.float32(x.shape[axis]) for axis, extent in extents.items()}
    else:
        given = scales.tolist() if isinstance(scales, torch.Tensor) else scales or ()
        factors = {axis: np.float32(factor) for axis, factor in zip(axes, given, strict=True) if factor != 1}
        extents = {axis: int(np.float32(x.shape[axis]) * factor) for axis, factor in factors.items()}
    for axis, extent in extents.items():
        x = _resample_axis(x, axis, extent, factors[axis], sampling)
    return x


def _resample_axis(x: torch.Tensor, axis: int, extent: int, scale: np.float32, sampling: Sampling) -> torch.Tensor:
    """Resamples one axis: a sum of gathered neighbours, each with its weight."""
    length = x.shape[axis]
    positions = _positions(length, extent, scale, sampling.coordinates)
    if sampling.mode == "nearest":
        return x.index_select(axis, _indices(_rounded(positions, sampling.nearest), length).to(x.device))
    first = np.floor(positions)
    neighbours, weights = _weights(positions - first, sampling)
    shape = [-1 if other == axis % x.dim() else 1 for other in range(x.dim())]
    total = torch.zeros(1, dtype=x.dtype, device=x.device)
    sources = [first + neighbour for neighbour in neighbours]
    if sampling.mode == "cubic" and sampling.exclude_outside:
        weights = [np.where((at >= 0) & (at < length), weight, 0) for at, weight in zip(sources, weights, strict=True)]
        whole = np.sum(weights, axis=0)
        weights = [weight / whole for weight in weights]
    for source, weight in zip(sources, weights, strict=True):
        factor = torch.from_numpy(weight.astype(np.float32)).to(x.device, x.dtype).reshape(shape)
        total = total + x.index_select(axis, _indices(source, length).to(x.device)) * factor
    return total


def _indices(positions: Positions, length: int) -> torch.Tensor:
    """Gives positions as indices, drawn in to the input's edges."""
    return torch.from_numpy(np.clip(positions, 0, length - 1).astype(np.int64))


def _positions(length: int, extent: int, scale: np.float32, mode: str) -> Positions:
    """Maps output positions to input positions, in single precision, as ONNX Resize defines them."""
    half, output = np.float32(0.5), np.arange(extent, dtype=np.float32)
    if mode == "asymmetric":
        return output / scale
    if mode == "align_corners":
        return output * np.float32(length - 1) / np.float32(max(extent - 1, 1))
    if mode == "pytorch_half_pixel" and extent == 1:
        return np.zeros(1, np.float32)
    if mode == "half_pixel_symmetric":
        adjustment = np.float32(extent) / (scale * np.float32(length))
        offset = np.float32(length) / 2 * (1 - adjustment)
        return offset + (output + half) / scale - half
    return (output + half) / scale - half


def _rounded(positions: Positions, mode: str) -> Positions:
    """Rounds input positions to a neighbour."""
    rounded: dict[str, Positions] = {
        "floor": np.floor(positions),
        "ceil": np.ceil(positions),
        "round_prefer_floor": np.ceil(positions - np.float32(0.5)),
        "round_prefer_ceil": np.floor(positions + np.float32(0.5)),
    }
    return rounded[mode]


def _weights(fraction: Positions, sampling: Sampling) -> tuple[tuple[int, ...], list[Positions]]:
    """Gives the neighbours of a position and their weights (Keys, 1981, for cubic)."""
    if sampling.mode == "linear":
        return (0, 1), [1 - fraction, fraction]
    a = np.float32(sampling.cubic)

    def near(t: Positions) -> Positions:
        return ((a + 2) * t - (a + 3)) * t * t + 1

    def far(t: Positions) -> Positions:
        return ((a * t - 5 * a) * t + 8 * a) * t - 4 * a

    return (-1, 0, 1, 2), [far(fraction + 1), near(fraction), near(1 - fraction), far(2 - fraction)]


torch.fx.wrap("resample")
