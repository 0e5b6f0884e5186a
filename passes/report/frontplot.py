"""The front of a sweep as a picture: quality over cost, one point for each emitted file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from haqc.passes.report.wording import figure, score_name
from haqc.plaintext import visible

_WIDTH, _HEIGHT = 640, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 72, 20, 44, 52
_INK, _GRID, _MARK, _FLOAT = "#222222", "#dddddd", "#0b5fa5", "#a04000"
_TICKS = 5


@dataclass(frozen=True, slots=True)
class Axis:
    """A range of values along a stretch of the picture.

    Attributes:
        low, high: the values at both ends.
        start, end: where these lie.
    """

    low: float
    high: float
    start: float
    end: float

    def place(self, value: float) -> float:
        """Gives where a value lies, cut off at the ends."""
        inside = min(max(value, self.low), self.high)
        return self.start + (self.end - self.start) * (inside - self.low) / (self.high - self.low)

    @property
    def ticks(self) -> list[float]:
        """Round values along the axis, a few."""
        step = 10.0 ** math.floor(math.log10((self.high - self.low) / _TICKS))
        step *= next(factor for factor in (1, 2, 5, 10) if (self.high - self.low) / (step * factor) <= _TICKS)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [step * index for index in range(first, last + 1)]


def front_svg(front: Mapping[str, Any]) -> str:
    """Gives the text of ``front.svg``: the emitted files' quality on the reported split, with standard errors.

    Args:
        front: the content of ``front.json``.
    """
    accuracy = front["accuracy"]
    shown = [p for p in front["points"] if p["feasible"] and p["accuracy"]["emitted"] is not None]
    x = Axis(0.0, 1.0, _LEFT, _WIDTH - _RIGHT)
    y = _quality_axis([(p["accuracy"]["emitted"], _error(p)) for p in shown], accuracy["reference"])
    target = f"{front['target']['name']}, batch {front['target']['batch']}"
    title = f"{front['model']['name']} on {target}: {score_name(accuracy)} over {front['metric']}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" font-family="sans-serif" font-size="12">',
        f"<title>{_safe(title)}</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        _text(_LEFT, 24, title, size=14),
        *_grid(x, y, accuracy["unit"]),
        _text((x.start + x.end) / 2, _HEIGHT - 12, f"{front['metric']}, share of 8/8", anchor="middle"),
        *_reference(x, y, accuracy),
        *_marks(x, y, shown, accuracy["unit"]),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _error(point: Mapping[str, Any]) -> float:
    error = point["accuracy"]["standard_error"]
    return 0.0 if error is None else float(error)


def _quality_axis(values: Sequence[tuple[float, float]], reference: float | None) -> Axis:
    ends = [value + sign * error for value, error in values for sign in (-1, 1)]
    ends += [] if reference is None else [reference]
    low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
    room = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return Axis(low - room, high + room, _HEIGHT - _BOTTOM, _TOP)


def _grid(x: Axis, y: Axis, unit: str) -> Iterator[str]:
    for tick in x.ticks:
        yield _line(x.place(tick), y.start, x.place(tick), y.end, _GRID)
        yield _text(x.place(tick), y.start + 18, f"{tick:.4g}", anchor="middle")
    for tick in y.ticks:
        yield _line(x.start, y.place(tick), x.end, y.place(tick), _GRID)
        yield _text(x.start - 8, y.place(tick) + 4, f"{tick:.6g} {unit}".rstrip(), anchor="end")


def _reference(x: Axis, y: Axis, accuracy: Mapping[str, Any]) -> Iterator[str]:
    value = accuracy["reference"]
    if value is not None:
        yield _line(x.start, y.place(value), x.end, y.place(value), _FLOAT, dashes="6 4")
        words = f"float {figure(value, accuracy['unit'])}"
        yield _text(x.end - 4, y.place(value) - 6, words, anchor="end", colour=_FLOAT)


def _marks(x: Axis, y: Axis, shown: Sequence[Mapping[str, Any]], unit: str) -> Iterator[str]:
    for point in shown:
        value, error, place = point["accuracy"]["emitted"], _error(point), x.place(point["cost_share"])
        if error:
            yield _line(place, y.place(value - error), place, y.place(value + error), _MARK)
        words = f"{point['budget']}: {figure(value, unit)}"
        yield (
            f'<circle cx="{place:.2f}" cy="{y.place(value):.2f}" r="4" fill="{_MARK}">'
            f"<title>{_safe(words)}</title></circle>"
        )


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, dashes: str = "") -> str:
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<line x1="{x1:.2f}" y1="{y1:.2f}" x2="{x2:.2f}" y2="{y2:.2f}" stroke="{colour}"{dashed}/>'


def _text(x: float, y: float, words: str, anchor: str = "start", size: int = 12, colour: str = _INK) -> str:
    style = f'text-anchor="{anchor}" font-size="{size}" fill="{colour}"'
    return f'<text x="{x:.2f}" y="{y:.2f}" {style}>{_safe(words)}</text>'


def _safe(words: str) -> str:
    """Gives text that stands for itself in XML, whatever it was made of."""
    return escape(visible(words))
