"""The report as one self-contained page: no script, nothing fetched, every name escaped."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from haqc.graph import FULL_BITS
from haqc.passes.report import wording
from haqc.plaintext import visible

_SLOT = 14
_BAR = 10
_BIT = 8
_LEFT = 24
_AXIS = _BIT * FULL_BITS + 10


@dataclass(frozen=True, slots=True)
class Bar:
    """One layer in the chart of widths: weights above the axis, activations below; lengths in pixels."""

    name: str
    number: int
    x: int
    weight_bits: int
    activation_bits: int
    weight_length: int
    activation_length: int


@dataclass(frozen=True, slots=True)
class Chart:
    """The chart of widths, in pixels.

    Attributes:
        lines: the widths that have a grid line, each with its distance from the axis.
    """

    width: int
    height: int
    left: int
    axis: int
    bar: int
    bars: tuple[Bar, ...]
    lines: tuple[tuple[int, int], ...]


def render_html(content: Mapping[str, Any]) -> str:
    """Gives the text of ``report.html``.

    Names come from files that anyone may have made: all text passes through the escaping of control characters and
    of HTML, and the page's policy allows neither scripts nor fetches.

    Args:
        content: the report (``docs/report-schema.md``).
    """
    unit = content["accuracy"]["unit"]
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, finalize=_shown, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        quantity=wording.quantity,
        figure=partial(wording.figure, unit=unit),
        difference=partial(wording.difference, unit=unit),
        spread=partial(wording.spread, unit=unit),
        lost=partial(wording.spread, unit="%"),
        share=wording.share,
        width=_width,
        text=_text,
        grade=wording.grade,
    )
    source = resources.files("haqc.passes.report").joinpath("template.html.j2").read_text(encoding="utf-8")
    return environment.from_string(source).render(
        content,
        score=wording.score_name(content["accuracy"]),
        agreement_reason=wording.agreement_reason(content["accuracy"]),
        cost_words=wording.COST_WORDS,
        chart=_chart(content["layers"]),
        sensitivities=_sensitivities(content["layers"]),
    )


@dataclass(frozen=True, slots=True)
class Sensitivities:
    """What each width of each operand alone would cost.

    Attributes:
        widths: every width that was measured.
        rows: layer, operand, and one measurement (or ``None``) per width.
    """

    widths: tuple[int, ...]
    rows: tuple[tuple[str, str, tuple[Mapping[str, Any] | None, ...]], ...]


def _sensitivities(layers: Sequence[Mapping[str, Any]]) -> Sensitivities:
    measured = [
        (layer["name"], words, {entry["bits"]: entry for entry in layer.get("sensitivity", {}).get(kind, ())})
        for layer in layers
        for kind, words in (("weight", "weights"), ("activation", "activations"))
    ]
    widths = tuple(sorted({bits for _, _, entries in measured for bits in entries}))
    rows = tuple((name, words, tuple(map(entries.get, widths))) for name, words, entries in measured if entries)
    return Sensitivities(widths, rows)


def _shown(value: Any) -> Any:
    """Escapes what does not print in all text the template puts out, so that no place can forget it."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _width(value: float | None) -> str:
    """Gives the length of a bar for a fraction, as a CSS percentage."""
    return f"{100 * min(max(value or 0.0, 0.0), 1.0):.1f}%"


def _text(value: Any) -> str:
    """Gives any JSON value on one line; text without its line ends."""
    return " ".join(value.split()) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _chart(layers: Sequence[Mapping[str, Any]]) -> Chart:
    bars = tuple(
        Bar(
            name=layer["name"],
            number=index + 1,
            x=_LEFT + _SLOT * index,
            weight_bits=layer["weight_bits"],
            activation_bits=layer["activation_bits"],
            weight_length=_BIT * layer["weight_bits"],
            activation_length=_BIT * min(FULL_BITS, layer["activation_bits"]),  # floats are as wide as the chart
        )
        for index, layer in enumerate(layers)
    )
    lines = tuple((bits, _BIT * bits) for bits in (2, 4, 6, FULL_BITS))
    return Chart(_LEFT + _SLOT * len(bars) + 10, 2 * _AXIS, _LEFT, _AXIS, _BAR, bars, lines)
