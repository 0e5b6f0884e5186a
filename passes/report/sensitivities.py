"""The table of what each width of each operand alone would cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Sensitivities:
    """What each width of each operand alone would cost.

    Attributes:
        widths: every width that was measured.
        rows: layer, operand, and one measurement (or ``None``) per width.
    """

    widths: tuple[int, ...]
    rows: tuple[tuple[str, str, tuple[Mapping[str, Any] | None, ...]], ...]


def sensitivities(layers: Sequence[Mapping[str, Any]]) -> Sensitivities:
    """Lays the table out: one row for each operand that was measured.

    Args:
        layers: the ``layers`` of a report.
    """
    measured = [
        (layer["name"], words, {entry["bits"]: entry for entry in layer.get("sensitivity", {}).get(kind, ())})
        for layer in layers
        for kind, words in (("weight", "weights"), ("activation", "activations"))
    ]
    widths = tuple(sorted({bits for _, _, entries in measured for bits in entries}))
    rows = tuple((name, words, tuple(map(entries.get, widths))) for name, words, entries in measured if entries)
    return Sensitivities(widths, rows)
