"""How much a quantiser tells of a distribution: the Kullback-Leibler divergence over a histogram."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_LEAST = 1e-12
"""Probability of a bin that the quantised distribution leaves empty, so that the divergence stays finite."""

LARGEST_OUTSIDE = 0.2
"""Share of the values that may lie outside. Where hardly any bin is left, there is nothing for codes to tell apart, and
the divergence would be none."""

Reals = npt.NDArray[np.float64]


def divergence(counts: Reals, codes: Reals, inside: npt.NDArray[np.bool_]) -> float:
    """Gives the divergence of a distribution from what its codes tell of it.

    What lies outside the range is counted at its edges in the one, and not at all in the other; there, the values of a
    code are spread evenly over the bins that hold any (Migacz, "8-bit inference with TensorRT", 2017). It is infinite
    where more than :data:`LARGEST_OUTSIDE` of the values lie outside.

    Args:
        counts: the histogram.
        codes: the code of each bin.
        inside: whether each bin lies within the range; one run of bins.
    """
    places = np.flatnonzero(inside & (counts > 0))
    if not counts[inside].sum() >= (1 - LARGEST_OUTSIDE) * counts.sum() or not len(places):
        return np.inf
    kept = counts[places]
    first, last = places[0], places[-1]
    folded = kept.copy()
    folded[0] += counts[:first].sum()
    folded[-1] += counts[last + 1 :].sum()
    _, level = np.unique(codes[places], return_inverse=True)
    told = (np.bincount(level, kept) / np.bincount(level))[level]
    p, q = folded / folded.sum(), told / told.sum()
    return float((p * np.log(p / np.maximum(q, _LEAST))).sum())
