"""Cost of each layer at 8/8 and at the policy: energy by part, or latency or bytes where energy is not priced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from haqc.figures.style import PARTS, WEIGHT, layer_axis, quantities

_WIDTH = 0.38
_PALE = 0.4


def draw_cost(axes: Any, content: Mapping[str, Any]) -> None:
    """Draws two bars for every layer.

    Args:
        axes: matplotlib's axes.
        content: the report (``docs/report-schema.md``).
    """
    layers = content["layers"]
    stacks, unit, words = _stacks(layers)
    highest = 0.0
    for offset, alpha, when in ((-0.5, _PALE, "at 8/8"), (0.5, 1.0, "this policy")):
        entries = [layer["baseline"] if when == "at 8/8" else layer for layer in layers]
        floor = [0.0] * len(layers)
        for name, colour, values_of in stacks:
            values = [values_of(entry) or 0.0 for entry in entries]
            places = [place + offset * _WIDTH for place in range(len(layers))]
            label = f"{name}, {when}" if name else when
            axes.bar(places, values, _WIDTH, bottom=floor, color=colour, alpha=alpha, label=label)
            floor = [low + value for low, value in zip(floor, values, strict=True)]
        highest = max(highest, *floor)
    axes.set_ylim(0, 1.05 * highest or 1.0)
    quantities(axes.yaxis, unit)
    batch = content["target"]["batch"]
    scope = "" if unit == "B" else " of one inference" if batch == 1 else f" of one batch of {batch}"
    axes.set_ylabel(f"{words}{scope}")
    layer_axis(axes, layers)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4, fontsize=7)


def _stacks(layers: Sequence[Mapping[str, Any]]) -> tuple[list[tuple[str, str, Any]], str, str]:
    """Gives the parts to stack (name, colour, what it is of a layer), their unit and the figure's name."""
    parts = [
        (words, colour, lambda entry, part=part: entry["energy_parts_j"][part])
        for part, words, colour in PARTS
        if any((layer.get("energy_parts_j") or {}).get(part) for layer in layers)
    ]
    if parts:
        return parts, "J", "energy"
    for field, unit, words in (("energy_j", "J", "energy"), ("latency_s", "s", "latency")):
        if any(layer[field] is not None for layer in layers):
            return [("", WEIGHT, lambda entry, field=field: entry[field])], unit, words
    return [("", WEIGHT, lambda entry: entry["weight_bytes"])], "B", "weights, packed"
