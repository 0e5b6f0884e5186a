"""The small figure of a network's values with their intervals, drawn without any script."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from haqc.passes.report.interval import interval

_ROWS = (("float", "float"), ("float_finetuned", "fine-tuned"), ("mirror", "mirror"), ("emitted", "emitted"))
_WIDTH, _LEFT, _RIGHT, _STEP = 300, 72, 232, 22


@dataclass(frozen=True, slots=True)
class ForestRow:
    """One network: its value and interval, and where they are drawn, in pixels."""

    name: str
    words: str
    value: float
    low: float
    high: float
    y: float
    x: float
    x_low: float
    x_high: float


@dataclass(frozen=True, slots=True)
class Forest:
    """The figure, in pixels."""

    width: int
    height: int
    left: int
    right: int
    rows: tuple[ForestRow, ...]


def forest(accuracy: Mapping[str, Any]) -> Forest | None:
    """Lays the figure out; ``None`` where no value has an interval.

    Args:
        accuracy: the report's accuracy block.
    """
    known = [(name, words, accuracy[name], interval(accuracy, accuracy[name])) for name, words in _ROWS]
    rows = [(name, words, value, span) for name, words, value, span in known if span is not None]
    if not rows:
        return None
    low = min(span.low for _, _, _, span in rows)
    reach = max(span.high for _, _, _, span in rows) - low

    def place(value: float) -> float:
        return round(_LEFT + (_RIGHT - _LEFT) * ((value - low) / reach if reach else 0.5), 1)

    return Forest(_WIDTH, _STEP * len(rows), _LEFT, _RIGHT, tuple(
        ForestRow(name, words, value, span.low, span.high, _STEP * number + _STEP / 2,
                  place(value), place(span.low), place(span.high))
        for number, (name, words, value, span) in enumerate(rows)
    ))  # fmt: skip
