"""The report as one self-contained page: nothing fetched, every name escaped, only the page's own scripts run."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from haqc.passes.report import wording
from haqc.passes.report.forest import forest
from haqc.passes.report.interval import interval, interval_words
from haqc.passes.report.pagedata import page_data
from haqc.passes.report.sensitivities import sensitivities
from haqc.plaintext import visible

_SCRIPTS = (
    *("words", "state", "theme", "chart", "bits", "costs", "roofline", "trials", "progress", "sensitivity"),
    *("table", "panel", "start"),
)
_TONES = {"equal": "yes", "agrees": "yes", "differs": "no", "DIFFERS": "no", "refused": "maybe", "absent": ""}
_COLUMNS = (
    *(("number", "No.", ""), ("name", "Layer", "name"), ("op", "Operator", "words"), ("weight_bits", "W bits", "")),
    *(("activation_bits", "A bits", ""), ("macs", "MACs", ""), ("cycles", "Cycles", ""), ("latency_s", "Latency", "")),
    *(("energy_j", "Energy", ""), ("weight_bytes", "Weights", ""), ("output_error", "Output error", "")),
    *(("alternatives", "A step away", "words"), ("reason", "Reason", "words")),
)


@dataclass(frozen=True, slots=True)
class Consumer:
    """What one runtime made of the emitted file.

    Attributes:
        name: the runtime.
        status: one word.
        tone: the class of that word on the page.
        detail: what there is to say of it.
        where: its version and the file it read, as far as they are known.
        entry: its figures.
    """

    name: str
    status: str
    tone: str
    detail: str
    where: str
    entry: Mapping[str, Any]


def render_html(content: Mapping[str, Any]) -> str:
    """Gives the text of ``report.html``.

    Names come from files that anyone may have made: all text passes through the escaping of control characters and
    of HTML, scripts put names into text nodes only, and the page's policy allows no other scripts and no fetches.

    Args:
        content: the report (``docs/report-schema.md``).
    """
    unit = content["accuracy"]["unit"]
    environment = Environment(
        loader=FunctionLoader(_read), autoescape=True, undefined=StrictUndefined, finalize=_shown,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(
        quantity=wording.quantity,
        figure=partial(wording.figure, unit=unit),
        difference=partial(wording.difference, unit=unit),
        spread=partial(wording.spread, unit=unit),
        lost=partial(wording.spread, unit="%"),
        nearest=_nearest,
        loss=partial(wording.loss, unit=unit),
        share=wording.share,
        width=_width,
        text=_text,
        grade=wording.grade,
        short=_short,
    )
    script, library = _script(), _asset("echarts.min.js")
    accuracy, layers = content["accuracy"], content["layers"]
    has_error = any(layer.get("output_error") for layer in layers)
    has_alternatives = any(layer.get("alternatives") for layer in layers)
    absent = {"output_error": not has_error, "alternatives": not has_alternatives}
    return environment.get_template("template.html.j2").render(
        {"left_out": (), "reconstruction": None, "stored": None, "formats": (), **content},
        score=wording.score_name(accuracy),
        ranking=wording.ranking(accuracy),
        agreement_reason=wording.agreement_reason(accuracy),
        margins=wording.margin_words(content["verification"]),
        cost_words=wording.COST_WORDS,
        interval={"emitted": interval(accuracy, accuracy["emitted"]), "words": interval_words(accuracy)},
        forest=forest(accuracy),
        consumers=tuple(_consumers(content["verification"])),
        columns=[column for column in _COLUMNS if not absent.get(column[0], False)],
        has_error=has_error,
        has_alternatives=has_alternatives,
        sensitivities=sensitivities(layers),
        style=Markup(_asset("page.css")),
        dark=Markup(_asset("dark.css")),
        data=Markup(page_data(content)),
        library=Markup(library),
        script=Markup(script),
        library_hash=_digest(library),
        script_hash=_digest(script),
    )


def _read(name: str) -> str:
    return resources.files("haqc.passes.report").joinpath(name).read_text(encoding="utf-8")


def _asset(name: str) -> str:
    return _read(f"assets/{name}").rstrip("\n")


def _script() -> str:
    """Joins the page's own scripts; nothing of them is seen outside."""
    parts = "\n".join(_asset(f"page/{name}.js") for name in _SCRIPTS)
    return f'(() => {{\n"use strict";\n{parts}\n}})();'


def _digest(script: str) -> Markup:
    """Gives the source that a content security policy allows a script by."""
    return Markup(f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'")


def _consumers(verification: Mapping[str, Any]) -> Iterator[Consumer]:
    for entry in verification["consumers"]:
        status = entry.get("status") or ("agrees" if entry["ok"] else "DIFFERS")
        full = dict.fromkeys(("tensors", "values", "different", "share", "worst", "first_difference")) | dict(entry)
        compared = ""
        if entry.get("different") is not None and entry.get("values"):
            compared = f"{entry['different']:,} of {entry['values']:,} {entry.get('compared', 'codes')} differ"
        full["first_difference"] = entry.get("first_difference") or entry.get("detail")
        detail = entry.get("detail") or compared
        where = ", ".join(str(entry[key]) for key in ("version", "file") if entry.get(key))
        # One that does not decide is a remark, not a fault.
        tone = "no" if entry.get("decides") and entry.get("ok") is False else _TONES.get(status, "maybe")
        tone = "maybe" if tone == "no" and entry.get("decides") is False else tone
        yield Consumer(entry.get("consumer") or entry["name"], status, tone, detail, where, full)


def _nearest(layer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Gives the two alternatives of a layer that lose least; those whose loss is not known come last."""
    known = layer.get("alternatives") or ()
    return sorted(known, key=lambda other: (other["loss"] is None, other["loss"] or 0.0))[:2]


def _shown(value: Any) -> Any:
    """Escapes what does not print in all text the template puts out, so that no place can forget it."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _width(value: float | None) -> str:
    """Gives the length of a bar for a fraction, as a CSS percentage."""
    return f"{100 * min(max(value or 0.0, 0.0), 1.0):.1f}%"


def _short(words: str) -> str:
    """Gives words without what stands in brackets."""
    return words.partition(" (")[0]


def _text(value: Any) -> str:
    """Gives any JSON value on one line; text without its line ends."""
    return " ".join(value.split()) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
