"""How many values a layer reads and writes, each tensor once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from haqc.costmodel.prices import Reals
from haqc.graph import Layer


@dataclass(frozen=True, slots=True, eq=False)
class TensorSizes:
    """Values of one inference, [layer, 1, 1, 1].

    Attributes:
        inputs: values of the tensor read as data.
        weights: values of the right operand, whether or not another layer has counted them as stored.
        outputs: values of the result.
    """

    inputs: Reals
    weights: Reals
    outputs: Reals

    @classmethod
    def of(cls, layers: Sequence[Layer]) -> TensorSizes:
        """Counts layers."""
        figures = np.array([sizes(layer) for layer in layers], np.float64).T.reshape(3, -1, 1, 1, 1)
        return cls(*figures)


def sizes(layer: Layer) -> tuple[int, int, int]:
    """Gives the values of a layer's input, right operand and output.

    A transposed convolution counts its products before they are added up, so its output is taken as its input
    enlarged by the strides.
    """
    inputs = layer.groups * layer.rows * layer.reduction if layer.is_dense else layer.in_channels * layer.feature_size
    outputs = layer.groups * layer.rows * layer.columns
    if layer.op == "ConvTranspose":
        outputs = layer.out_channels * layer.rows * math.prod(layer.stride)
    return inputs, layer.groups * layer.reduction * layer.columns, outputs
