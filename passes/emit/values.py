"""The floats that stored codes stand for: what a DequantizeLinear gives, in float32 as it computes."""

from __future__ import annotations

import numpy as np

from haqc.codes import ActivationCodes, BiasCodes, WeightCodes


def is_whole(weight: WeightCodes) -> bool:
    """Whether a weight has one scale for all of its channels."""
    return bool(weight.scale.size == 1 != weight.codes.shape[weight.axis])


def weight_scale(weight: WeightCodes) -> np.ndarray:
    """Gives the scales, shaped so that they broadcast against the weights; a scalar where there is one for all."""
    if is_whole(weight):
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


def widened(activation: ActivationCodes, bits: int) -> ActivationCodes:
    """Gives a quantiser of more bits over the same range: it saturates where the other does, in finer steps.

    >>> widened(ActivationCodes(np.float32(1), 2, 2), 4)
    ActivationCodes(scale=np.float32(0.2), zero_point=10, bits=4)
    """
    ratio = (2**bits - 1) / (2**activation.bits - 1)
    return ActivationCodes(np.float32(activation.scale / ratio), round(activation.zero_point * ratio), bits)
