"""How far a measured value can be from the true one: 95 % confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_SCORE = 1.959963984540054
_HITS = ("top-1", "top-5", "agreement")
"""The metrics that count hits."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % confidence interval, in the unit of the value."""

    low: float
    high: float


def wilson(share: float, count: int) -> Interval:
    """Gives Wilson's interval of a share of hits (JASA 22, 1927, p. 209), as fractions.

    >>> found = wilson(0.5, 100)
    >>> round(found.low, 6), round(found.high, 6)
    (0.403832, 0.596168)
    """
    squared = _SCORE**2
    middle = share + squared / (2 * count)
    reach = _SCORE * math.sqrt(share * (1 - share) / count + squared / (4 * count**2))
    whole = 1 + squared / count
    return Interval(max(0.0, (middle - reach) / whole), min(1.0, (middle + reach) / whole))


def interval(accuracy: Mapping[str, Any], value: float | None) -> Interval | None:
    """Gives the interval of a value of a report's accuracy block.

    Shares of hits have Wilson's; of any other metric only the emitted file's standard error is known, and every
    network gets that of the normal distribution. ``None`` where there is neither.
    """
    if value is None:
        return None
    if accuracy["metric"] in _HITS and accuracy["unit"] == "%":
        if not accuracy["count"] or not 0 <= value <= 100:
            return None
        share = wilson(value / 100, accuracy["count"])
        return Interval(100 * share.low, 100 * share.high)
    error = accuracy["standard_error"]
    return None if error is None else Interval(value - _SCORE * error, value + _SCORE * error)


def interval_words(accuracy: Mapping[str, Any]) -> str:
    """Says which interval :func:`interval` gives."""
    return "95 % confidence, Wilson" if accuracy["metric"] in _HITS else "95 % confidence, from the standard error"
