"""How the report's page and the terminal word figures, grades and names, so that both say the same."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

NOT_AVAILABLE = "n/a"

GRADES: dict[str, str] = {
    "exact": "exact: the cost model gives the published figures of this hardware digit for digit",
    "published": "published: the cost model follows published figures of this hardware",
    "calibrated": "calibrated: the cost model was fitted to measurements of this hardware",
    "datasheet": "data sheet: worked out from the maker's data sheet, not measured",
    "estimate": "estimate: worked out from typical figures, not measured on this hardware",
}
"""What a target's grades mean, spelled out."""

COST_WORDS: dict[str, tuple[str, str]] = {
    "energy_j": ("energy", "J"),
    "latency_s": ("latency", "s"),
    "weight_bytes": ("weights (packed bits, not file size)", "B"),
    "peak_activation_bytes": ("peak activation memory", "B"),
}
"""The figures of a cost: the words and the unit for each."""

METRIC_WORDS: dict[str, str] = {
    "top-1": "top-1 accuracy",
    "top-5": "top-5 accuracy",
    "mae": "mean absolute error",
    "mse": "mean squared error",
    "auc": "area under the ROC curve",
    "miou": "mean intersection over union",
    "sts": "correlation with people's scores",
}
"""What metrics measure, spelled out; the others' names say it."""

COUNTED = frozenset({"top-1", "top-5", "agreement"})
"""Metrics that count right answers (:class:`haqc.metrics.Counting`); a page is made without loading them."""

_LARGE = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
_SMALL = ((1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"), (1e-12, "p"))
_BINARY = ((2.0**40, "Ti"), (2.0**30, "Gi"), (2.0**20, "Mi"), (2.0**10, "Ki"), (1.0, ""))
_PREFIXES = {"J": _LARGE + _SMALL[1:], "W": _LARGE + _SMALL[1:], "s": _SMALL, "Hz": _LARGE, "B": _BINARY}
_ROUNDS_UP = 0.9995
"""From this share of a prefix's factor on, three digits round up to that prefix: 999.6 m is 1.00."""


def quantity(value: float | None, unit: str) -> str:
    """Gives a figure with three digits, a prefix and its unit; ``n/a`` for ``None``.

    Args:
        value: the figure in ``unit``, without a prefix.
        unit: ``J``, ``W``, ``s``, ``Hz``, ``B`` (binary prefixes), a word such as ``cycles``, or empty for a count.

    >>> quantity(0.00123, "J"), quantity(12595, "B"), quantity(5_370_000, ""), quantity(999.6e-6, "s")
    ('1.23 mJ', '12.3 KiB', '5.37 M', '1.00 ms')
    """
    if value is None or not math.isfinite(value):
        return NOT_AVAILABLE
    prefixes = _PREFIXES.get(unit, _LARGE)
    fits = (entry for entry in prefixes if abs(value) >= entry[0] * _ROUNDS_UP)
    factor, prefix = (1.0, "") if value == 0 else next(fits, prefixes[-1])
    is_whole = value == 0 or (factor == 1.0 and unit not in ("J", "W", "s") and float(value).is_integer())
    number = f"{value:,.0f}" if is_whole else _three_digits(value / factor)
    joined = f"{prefix}{unit}" if unit in _PREFIXES else f"{prefix} {unit}".strip()
    return f"{number} {joined}".strip()


def figure(value: float | None, unit: str) -> str:
    """Gives a metric's value: two decimals of a percentage, else five digits.

    >>> figure(79.1, "%"), figure(0.0123456, "")
    ('79.10 %', '0.012346')
    """
    if value is None or not math.isfinite(value):
        return NOT_AVAILABLE
    return f"{value:.2f} %" if unit == "%" else f"{value:.5g} {unit}".rstrip()


def difference(value: float | None, unit: str) -> str:
    """Gives a difference of two values with its sign: in points where they are percentages.

    >>> difference(-0.2, "%"), difference(0.00012, "")
    ('-0.20 points', '+0.00012')
    """
    if value is None or not math.isfinite(value):
        return NOT_AVAILABLE
    return f"{value:+.2f} points" if unit == "%" else f"{value:+.3g} {unit}".rstrip()


def spread(value: float | None, unit: str) -> str:
    """Gives a standard error, a tolerance or a loss: in points where the values are percentages.

    >>> spread(0.576, "%"), spread(0.00012, "")
    ('0.58 points', '0.00012')
    """
    if value is None or not math.isfinite(value):
        return NOT_AVAILABLE
    return f"{value:.2f} points" if unit == "%" else f"{value:.3g} {unit}".rstrip()


def loss(value: float | None, unit: str) -> str:
    """Gives how much worse something is than what was taken.

    >>> loss(0.25, "%"), loss(-0.1, "%"), loss(None, "%")
    ('loses 0.25 points', 'better by 0.10 points', 'n/a')
    """
    if value is None or not math.isfinite(value):
        return NOT_AVAILABLE
    return f"{'better by' if value < 0 else 'loses'} {spread(abs(value), unit)}"


def share(value: float | None) -> str:
    """Gives a fraction as a percentage with one decimal.

    >>> share(0.5)
    '50.0 %'
    """
    return NOT_AVAILABLE if value is None or not math.isfinite(value) else f"{100 * value:.1f} %"


def grade(name: str) -> str:
    """Gives what a target's grade means; an unknown grade stands for itself."""
    return GRADES.get(name, name)


def score_name(accuracy: Mapping[str, Any]) -> str:
    """Gives the name of the figures in a report's accuracy block; agreement is never called accuracy.

    >>> score_name({"metric": "top-1", "labels": True, "data_free": False, "higher_is_better": True})
    'top-1 accuracy'
    """
    if is_agreement(accuracy):
        return "agreement with the float model"
    name = metric_name(accuracy["metric"])
    return name if accuracy.get("higher_is_better", True) else f"{name} (lower is better)"


def ranking(accuracy: Mapping[str, Any]) -> str:
    """Says what trials are ranked by where it is not the score that is told.

    >>> ranking({"metric": "mse"})
    ''
    """
    if accuracy["metric"] not in COUNTED:
        return ""
    return " What ranks them is how sure the network is of what is right, not the score alone."


def metric_name(metric: str) -> str:
    """Gives what a metric measures, in words.

    >>> metric_name("mse"), metric_name("my.code:f1")
    ('mean squared error', 'metric my.code:f1')
    """
    return METRIC_WORDS.get(metric, f"metric {metric}" if ":" in metric else metric)


def is_agreement(accuracy: Mapping[str, Any]) -> bool:
    """Whether the figures are agreement with the float model, for want of labels or of data."""
    return bool(accuracy["data_free"]) or not accuracy["labels"] or accuracy["metric"] == "agreement"


def agreement_reason(accuracy: Mapping[str, Any]) -> str:
    """Gives why there is no accuracy; an empty string when there is one."""
    if not is_agreement(accuracy):
        return ""
    return "the inputs are synthetic, no data was given" if accuracy["data_free"] else "the data has no labels"


def _three_digits(value: float) -> str:
    if abs(value) < 9.995:
        return f"{value:.2f}"
    return f"{value:.1f}" if abs(value) < 99.95 else f"{value:,.0f}"


def margin_words(verification: Mapping[str, Any]) -> str:
    """Says which codes could differ farther from a tie than usual; nothing where none could."""
    margins = verification.get("margins", ())
    if not margins:
        return ""
    widest = max(entry["steps"] for entry in margins)
    tensors = "1 tensor" if len(margins) == 1 else f"{len(margins)} tensors"
    return f"codes of {tensors} within up to {widest:.2g} step of a tie may differ: float32 itself is no surer there"
