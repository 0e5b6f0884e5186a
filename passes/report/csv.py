"""The report's layers as a table for spreadsheets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from haqc.plaintext import csv_text

FIELDS = (
    "name",
    "op",
    "kind",
    "weight_bits",
    "activation_bits",
    "macs",
    "cycles",
    "latency_s",
    "energy_j",
    "weight_bytes",
)
"""What the tables of layers and the page's charts both have of a layer, in order."""

COLUMNS = (
    *FIELDS,
    "latency_share",
    "energy_share",
    "baseline_latency_s",
    "baseline_energy_j",
    "baseline_weight_bytes",
    "output_error",
    "weight_errors",
    "activation_errors",
    "reason",
)
"""The columns of ``layers.csv``, in order; those with ``baseline_`` are of the layer at 8/8."""

_OPERANDS = {"weight_errors": "weight", "activation_errors": "activation"}


def layers_csv(layers: Sequence[Mapping[str, Any]]) -> str:
    """Gives the text of ``layers.csv``: one line per layer, in graph order, without wall-clock figures.

    Text that a spreadsheet would take for a formula gets an apostrophe in front; what is null is an empty cell.

    Args:
        layers: the ``layers`` of a report.
    """
    return csv_text([COLUMNS, *([_value(layer, column) for column in COLUMNS] for layer in layers)])


def _value(layer: Mapping[str, Any], column: str) -> Any:
    _, _, field = column.partition("baseline_")
    if column in _OPERANDS:
        measured = layer.get("sensitivity", {}).get(_OPERANDS[column], ())  # what earlier versions wrote has none
        return " ".join(f"{entry['bits']}:{entry['output_error']:.4g}" for entry in measured)
    return layer["baseline"][field] if field else layer[column]
