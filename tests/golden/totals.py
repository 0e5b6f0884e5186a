"""What each network costs on a target, in each of its modes, at uniform widths."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from haqc import targets
from haqc.costmodel import build_table
from haqc.graph import Graph
from haqc.policy import Space

FOLDER = Path(__file__).parent
WIDTHS = ((8, 8), (4, 8), (4, 4), (2, 2))

Totals = dict[str, dict[str, dict[str, dict[str, float]]]]
"""Figures by mode, network, widths, and name; one batch of the target."""


def totals(name: str, graphs: Sequence[Graph]) -> Totals:
    """Prices the networks on a target at the widths that it offers; a layer that may not have these has the next."""
    target = targets.load(name)
    pairs = [pair for pair in WIDTHS if target.precision.allows(*pair)]
    found: Totals = {}
    for mode in target.modes:
        for graph in graphs:
            table = build_table(graph, target, mode=mode)
            space = Space.of(graph, target.precision, min_bits=1, default_pins=False)
            costs = {f"{w}/{a}": table.price(space.uniform(w, a)).to_json() for w, a in pairs}
            found.setdefault(mode, {})[graph.name] = costs
    return found


def golden_file(name: str) -> Path:
    """Gives the file that keeps the totals of a target."""
    return FOLDER / f"{name}.json"


def written(content: Totals) -> str:
    """Gives totals as text: one line for each network and pair of widths, ten digits."""
    lines = [
        f'    "{mode}, {network}, {widths}": {json.dumps({key: float(f"{value:.10g}") for key, value in cost.items()})}'
        for mode, by_network in content.items()
        for network, by_widths in by_network.items()
        for widths, cost in by_widths.items()
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"
