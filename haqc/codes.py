"""What a quantised network stores: integer codes, scales and zero points, ready to be written to a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, slots=True)
class ActivationCodes:
    """The quantiser of one activation tensor: unsigned codes of ``bits`` bits."""

    scale: np.float32
    zero_point: int
    bits: int


@dataclass(frozen=True, slots=True)
class WeightCodes:
    """One stored weight tensor: int8 codes of ``bits`` bits, a float32 scale per channel along ``axis`` or for all."""

    codes: np.ndarray
    scale: np.ndarray
    axis: int
    bits: int


@dataclass(frozen=True, slots=True)
class BiasCodes:
    """One stored bias: int32 codes and a float32 scale for each element."""

    codes: np.ndarray
    scale: np.ndarray


@dataclass(frozen=True, slots=True)
class CodebookCodes:
    """One weight tensor as uint8 indices of ``bits`` bits, shaped like it, into float32 centroids, shape ``[k]``."""

    indices: np.ndarray
    centroids: np.ndarray
    bits: int


@dataclass(frozen=True)
class NetworkCodes:
    """Everything a quantised network stores, by the name of the tensor in the float graph.

    Attributes:
        activations, weights, biases: by tensor.
        floats: trained parameters that stay in float.
        codebooks: weights as indices and centroids, by tensor.
    """

    activations: Mapping[str, ActivationCodes]
    weights: Mapping[str, WeightCodes]
    biases: Mapping[str, BiasCodes]
    floats: Mapping[str, np.ndarray]
    codebooks: Mapping[str, CodebookCodes] = field(default_factory=dict)
