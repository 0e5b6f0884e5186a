"""What a search maximises, whatever the metric: the only place that knows which way a metric points."""

from __future__ import annotations

import math

from haqc.metrics.metric import Metric

FULL = 100.0
"""The quality of a network as good as the float one, for metrics that are no percentages."""


def quality(metric: Metric, value: float, float_value: float) -> float:
    """Gives what a search maximises: never NaN, and in points, of which the float network has 100 or its percentage.

    Percentages of which more is better stand for themselves. Of any other value counts the loss relative to the float
    network's value, ``d``: a worse network has ``100 / (1 + d)`` points (half of them where an error has doubled), a
    better one ``100 (1 - d)``; what is not finite has none.

    Args:
        metric: what was measured.
        value: the network's value.
        float_value: the float network's value.
    """
    if not math.isfinite(value):
        return 0.0
    if _stands_for_itself(metric):
        return value
    change = (value - float_value) / (abs(float_value) or 1.0)
    loss = -change if metric.traits.higher_is_better else change
    return FULL / (1 + loss) if loss > 0 else FULL * (1 - loss)


def value_at(metric: Metric, points: float, float_value: float) -> float:
    """Gives the value that has a quality of so many points; infinite or NaN where that is none."""
    if _stands_for_itself(metric):
        return points
    if points <= 0:
        return math.nan
    loss = FULL / points - 1 if points < FULL else 1 - points / FULL
    change = -loss if metric.traits.higher_is_better else loss
    return float_value + change * (abs(float_value) or 1.0)


def _stands_for_itself(metric: Metric) -> bool:
    return metric.traits.unit == "%" and metric.traits.higher_is_better
