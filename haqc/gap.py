"""How far two results of one computation lie apart."""

from __future__ import annotations

import numpy as np

EDGE_SHARE = 0.01
"""Share of whole numbers and truth values that may differ: what is compared or counted may lie on an edge."""


def gap_between(found: np.ndarray, expected: np.ndarray) -> float:
    """Gives the largest difference as a share of the largest magnitude expected.

    Infinities and NaN must stand in the same places. Whole numbers and truth values differ by 1 where more than a
    hundredth of them do, and by 0 otherwise: what is compared or counted may lie on an edge.
    """
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return float("inf")
    if expected.dtype.kind != "f":
        return float((found != expected).mean() > EDGE_SHARE) if expected.size else 0.0
    is_finite = np.isfinite(expected)
    if not np.array_equal(found[~is_finite], expected[~is_finite], equal_nan=True):
        return float("inf")
    a, b = found[is_finite].astype(np.float64), expected[is_finite].astype(np.float64)
    return float(np.abs(a - b).max(initial=0.0) / (np.abs(b).max(initial=0.0) or 1.0))
