"""The floats that stored codes stand for: what a DequantizeLinear gives, in float32 as it computes."""

from __future__ import annotations

import numpy as np

from haqc.codes import BiasCodes, WeightCodes


def weight_scale(weight: WeightCodes) -> np.ndarray:
    """Gives the scales, shaped so that they broadcast against the weights; a scalar where there is one for all."""
    if weight.scale.size == 1 != weight.codes.shape[weight.axis]:
        return weight.scale.reshape(())
    shape = [1] * weight.codes.ndim
    shape[weight.axis] = -1
    return weight.scale.reshape(shape)


def weight_values(weight: WeightCodes) -> np.ndarray:
    """Gives the weights, float32."""
    return np.asarray(weight.codes.astype(np.float32) * weight_scale(weight), np.float32)


def bias_values(bias: BiasCodes) -> np.ndarray:
    """Gives the bias, float32."""
    return np.asarray(bias.codes.astype(np.float32) * bias.scale, np.float32)
