"""By how much the channels of a tensor are divided."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

USUAL = 2.0
"""Channels that reach no further than this many times the median channel stay as they are."""

SHARE = 0.5
"""How much of an outlier's excess goes into the weights behind it, as an exponent (Xiao et al., ICML 2023: alpha)."""


def factors(largest: npt.NDArray[np.float32], *, has_weights: bool) -> npt.NDArray[np.float32]:
    """Gives a power of two for each channel, so that scaling by it is exact.

    Args:
        largest: largest magnitude of each channel.
        has_weights: whether weights take the factors back; they can be expected to take a part of the range only.
    """
    usual = USUAL * float(np.median(largest))
    if not usual > 0 or not np.isfinite(largest).all():
        return np.ones(len(largest), np.float32)
    excess = np.maximum(largest / usual, 1.0) ** (SHARE if has_weights else 1.0)
    found: npt.NDArray[np.float32] = np.exp2(np.round(np.log2(excess))).astype(np.float32)
    return found
