"""What ``haqc annotations`` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from haqc.console.table import plain_table, shortened
from haqc.passes.report.wording import NOT_AVAILABLE, quantity
from haqc.plaintext import visible

_FIGURES = {"energy_j": "J", "latency_s": "s", "weight_bytes": "B", "peak_activation_bytes": "B"}
_WORDS = {
    "energy_j": "energy",
    "latency_s": "latency",
    "weight_bytes": "weights",
    "peak_activation_bytes": "peak activations",
}
_NAME_CELLS = 50


def annotations_summary(content: Mapping[str, Any], file: str) -> RenderableType:
    """Makes the lines about a file: what wrote it, for which target, at what cost, and the widths of its layers.

    Args:
        content: annotations that were checked, see :mod:`haqc.annotations`.
        file: the file's name.
    """
    table = plain_table("Layer", ("Operator", "W/A"))
    for layer in content["policy"]["layers"]:
        widths = f"{layer['weight_bits']}/{layer['activation_bits']}"
        cells = shortened(layer["name"], _NAME_CELLS), shortened(layer["op"], 14), widths
        words = "float" if layer.get("float") else cells[2]
        table.add_row(Text(cells[0]), Text(cells[1]), Text(words))
    return Group(*(Text(line) for line in _lines(content, file)), Text(), table)


def _lines(content: Mapping[str, Any], file: str) -> Iterator[str]:
    target, policy, cost = content["target"], content["policy"], content["cost"]
    yield f"{shortened(file, 30)}: {visible(content['format'])}, written by haqc {visible(content['haqc'])}"
    yield f"Policy of '{shortened(policy['model'], 30)}': {len(policy['layers'])} layers"
    yield f"Target {shortened(target['name'], 24)}, mode {shortened(target['mode'], 20)}, batch {target['batch']}"
    grades = f"latency {visible(target['latency_grade'])}, energy {visible(target['energy_grade'])}"
    yield f"Grades: {shortened(grades, 70)}"
    for name, unit in _FIGURES.items():
        before, after = cost["baseline"][name], cost["policy"][name]
        yield f"{_WORDS[name].capitalize()}: {_quantity(after, unit)}, at 8/8 {_quantity(before, unit)}"
    digests = content["provenance"].get("digests")
    for name, digest in digests.items() if isinstance(digests, dict) else ():
        if digest is None:  # such as that of an agent that there was none of
            continue
        yield f"SHA-256 of {shortened(str(name), 12)}: {shortened(str(digest), 64)}"


def _quantity(value: float | None, unit: str) -> str:
    return NOT_AVAILABLE if value is None else quantity(value, unit)
