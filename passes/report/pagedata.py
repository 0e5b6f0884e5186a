"""What the page's charts read: a part of the report, every name made visible, as JSON inside a script element."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from haqc.passes.report import wording
from haqc.passes.report.csv import FIELDS, layers_csv
from haqc.plaintext import visible

_LAYER = (
    *FIELDS,
    *("energy_parts_j", "moved_bytes", "bound", "latency_share", "energy_share", "baseline"),
    *("output_error", "sensitivity", "reason", "alternatives"),
)
_FIGURES = ("energy_j", "latency_s", "weight_bytes", "peak_activation_bytes")
_MOST_WIDTHS = 150_000
"""Widths of all trials together (layers times trials) that the page carries; beyond that it leaves them out."""

_DIGITS = 7
"""Digits of a figure; the page shows fewer, and ``report.json`` has them all."""


def page_data(content: Mapping[str, Any]) -> str:
    """Gives the JSON text of what the charts show; it holds no ``<`` and no ``&``, so that it can end no element.

    Args:
        content: the report (``docs/report-schema.md``).
    """
    accuracy = content["accuracy"]
    data = {
        "stem": f"{content['model']['name']} on {content['target']['name']}",
        "batch": content["target"]["batch"],
        "score": wording.score_name(accuracy),
        "unit": accuracy["unit"],
        "higher": accuracy.get("higher_is_better", True),
        "reference": accuracy["search"]["float"],
        "cost": {key: content["cost"][key] for key in ("budget", "baseline", "policy")},
        "roofline": content.get("roofline"),
        "layers": [{key: layer[key] for key in _LAYER if key in layer} for layer in content["layers"]],
        "allocators": [
            {key: entry[key] for key in ("name", "cost", "accuracy", "emitted")} for entry in content["allocators"]
        ],
        "trials": _trials(content),
    }
    text = json.dumps(_shown(data), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # The table is text already: its line ends have to stay, and its names are visible.
    csv = json.dumps(layers_csv(content["layers"]), ensure_ascii=False)
    whole = f'{{"data":{text},"csv":{csv}}}'
    return whole.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _trials(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    trials: Sequence[Mapping[str, Any]] = content["trials"]
    is_short = len(trials) * len(content["layers"]) <= _MOST_WIDTHS
    return [
        {
            "allocator": trial["allocator"],
            "cost": [trial["cost"][figure] for figure in _FIGURES],
            "score": trial["accuracy"],
        }
        | ({"bits": " ".join(trial["bits"])} if is_short and "bits" in trial else {})
        for trial in trials
    ]


def _shown(value: Any) -> Any:
    """Gives any JSON value with every text in it, keys too, made visible, and figures without needless digits."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**53 else float(f"{value:.{_DIGITS}g}")
    if isinstance(value, Mapping):
        return {visible(key): _shown(entry) for key, entry in value.items()}
    return [_shown(entry) for entry in value] if isinstance(value, list | tuple) else value
