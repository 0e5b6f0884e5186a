"""What ``haqc sweep`` prints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.text import Text

from haqc.console.table import plain_table, shortened
from haqc.passes.report.wording import difference, figure, quantity, score_name, share, spread
from haqc.plaintext import visible

_UNITS = {"energy": ("energy_j", "J"), "latency": ("latency_s", "s"), "size": ("weight_bytes", "B")}
_MEMORY = ("peak_activation_bytes", "B")


def front_table(front: Mapping[str, Any], folder: Path) -> Group:
    """Makes the table of a front: a line for each point, the cheapest first, and below what could not be met.

    Args:
        front: the content of ``front.json``.
        folder: where it lies.
    """
    accuracy = front["accuracy"]
    field, unit = _UNITS.get(front["metric"], _MEMORY)
    table = plain_table("Budget", ("Cost", "Of 8/8", "Emitted", "To float", "Error", "By"))
    for point in front["points"]:
        if point["feasible"]:
            scored = point["accuracy"]
            cells = (
                quantity(point["cost"][field], unit),
                share(point["cost_share"]),
                figure(scored["emitted"], accuracy["unit"]),
                difference(scored["difference"], accuracy["unit"]).removesuffix(" points"),
                spread(scored["paired_standard_error"], accuracy["unit"]).removesuffix(" points"),
                point["allocator"],
            )
        else:
            cells = ("", "", "not met", "", "", "")
        table.add_row(*(Text(cell) for cell in (shortened(point["budget"], 20), *cells)))
    title = f"{shortened(front['model']['name'], 30)} on {shortened(front['target']['name'], 20)}: "
    reference = figure(accuracy["reference"], accuracy["unit"])
    scores = f"{score_name(accuracy)} of the emitted files on {accuracy['count']} held-out samples, float {reference}"
    reasons = [Text(visible(point["reason"])) for point in front["points"] if not point["feasible"]]
    found = Text(f"{front['evaluations']} policies evaluated for {len(front['points'])} points")
    return Group(Text(title + scores), Text(), table, Text(), *reasons, found, Text(f"Front: {visible(str(folder))}"))
