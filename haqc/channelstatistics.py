"""What a network keeps of the data it was trained on: means and deviations of channels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class ChannelStatistics:
    """The distribution of one tensor over the training data.

    Attributes:
        tensor: its name; channels lie along axis 1.
        mean: mean of each channel, float64 ``[channels]``.
        deviation: standard deviation of each channel, likewise, positive.
        folded: the tensor that has these values where clean-up folded what computed them; empty where it cannot.
    """

    tensor: str
    mean: np.ndarray
    deviation: np.ndarray
    folded: str = ""
