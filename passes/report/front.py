"""The front of a sweep as a table for spreadsheets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from haqc.plaintext import csv_text

FRONT_SCHEMA = 1
"""The ``schema`` of the fronts this haqc writes (``docs/sweep.md``)."""

_COSTS = ("energy_j", "latency_s", "weight_bytes", "peak_activation_bytes")
_ACCURACIES = ("emitted", "standard_error", "difference", "paired_standard_error", "search")

FRONT_COLUMNS = (
    "budget",
    "share",
    "feasible",
    "folder",
    "cost_share",
    *_COSTS,
    *_ACCURACIES,
    "allocator",
    "key",
    "reason",
)
"""The columns of ``front.csv``, in order."""


def front_csv(front: Mapping[str, Any]) -> str:
    """Gives the text of ``front.csv``: one line per point, the cheapest first; what is null is an empty cell.

    Args:
        front: the content of ``front.json``.
    """
    rows = [
        {**point, **(point["cost"] or {}), **(point["accuracy"] or {})}  # the columns pick what they need
        for point in front["points"]
    ]
    return csv_text([FRONT_COLUMNS, *([row.get(column) for column in FRONT_COLUMNS] for row in rows)])
