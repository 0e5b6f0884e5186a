"""Where quantisation grids lie: scales and zero points of every operand at every width it may take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

Ranges = Literal["mse", "kl", "percentile", "max"]
RANGES: tuple[Ranges, ...] = get_args(Ranges)
"""How the range of an activation is chosen: least squared error, least divergence, percentiles, or all of it."""

QuantiserName = Literal["lsq", "haq"]
QUANTISERS: tuple[QuantiserName, ...] = get_args(QuantiserName)
"""Whose quantiser: learned steps, or that of HAQ (Wang et al., CVPR 2019)."""


@dataclass(frozen=True, slots=True)
class ActivationGrid:
    """The grid of one activation tensor at one width: ``value = (code - zero_point) * scale``."""

    scale: float
    zero_point: int


@dataclass(frozen=True, slots=True)
class WeightGrid:
    """The grid of one weight tensor at one width.

    Attributes:
        scale: a scale for every channel along ``axis``, shape ``[channels]``, or one for all, shape ``[1]``.
        axis: axis of the channels.
    """

    scale: np.ndarray
    axis: int


@dataclass(frozen=True)
class Calibration:
    """Grids, or codebooks, by operand tensor and width.

    Attributes:
        activations: grid by (tensor, bits).
        weights: grid by (tensor, bits).
        samples: how many calibration samples were seen.
        learns: whether fine-tuning learns the scales.
        codebooks: ascending centroids of weights, float32 ``[k]``, by (tensor, bits); a tensor has these or grids.
        unbounded: why a tensor that no layer reads has no grid after all, by tensor.
    """

    activations: Mapping[tuple[str, int], ActivationGrid]
    weights: Mapping[tuple[str, int], WeightGrid]
    samples: int
    unbounded: Mapping[str, str] = field(default_factory=dict)
    learns: bool = True
    codebooks: Mapping[tuple[str, int], np.ndarray] = field(default_factory=dict)
