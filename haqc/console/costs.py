"""What ``haqc cost`` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.text import Text

from haqc.console.output import WIDTH
from haqc.console.table import GAP, layer_table, plain_table, shortened
from haqc.passes.report.wording import quantity, share
from haqc.plaintext import visible

_MOST_COMPARED = 5
_WORTH_A_LINE = 0.01
_FIELDS = (
    ("latency_s", "latency", "s"),
    ("energy_j", "energy", "J"),
    ("weight_bytes", "weights, packed", "B"),
    ("peak_activation_bytes", "peak activation memory", "B"),
)


def cost_table(content: Mapping[str, Any]) -> Group:
    """Makes what ``haqc cost`` prints: every layer, the total and the 8/8 baseline.

    Args:
        content: the JSON of ``haqc cost``.
    """
    total, baseline = content["total"], content["baseline"]
    sums = plain_table("Cost of one batch", ("This policy", "Uniform 8/8", "Policy / 8/8"))
    for field, words, unit in _FIELDS:
        ratio = total[field] / baseline[field] if baseline[field] else None
        cells = (words, quantity(total[field], unit), quantity(baseline[field], unit), share(ratio))
        sums.add_row(*(Text(cell) for cell in cells))
    title = f"{shortened(content['model'], 30)} on {shortened(content['target'], 20)}, batch {content['batch']}"
    trust = content["grades"]
    grades = f"Mode {visible(content['mode'])}: latency {trust['latency']}, energy {trust['energy']}."
    remark = "Latency and energy: one batch; MACs: one inference; weights: packed bits."
    tail = (*_beside_layers(content), *_unmodelled(content))
    return Group(Text(title), Text(), layer_table(content["layers"]), Text(), sums, Text(remark), Text(grades), *tail)


def cost_comparison(contents: Sequence[Mapping[str, Any]]) -> Group:
    """Makes what ``haqc cost --compare`` prints: one inference on each target, and the layers side by side.

    Args:
        contents: the JSON of ``haqc cost`` for each target, of one model and policy.
    """
    first = contents[0]
    weights = quantity(first["total"]["weight_bytes"], "B")
    title = f"{shortened(first['model'], 30)}: one inference, weights {weights} packed"
    sums = plain_table("Target", ("Batch", "Latency", "of 8/8", "Energy", "of 8/8", "Memory"))
    lines = []
    for content in contents:
        total, baseline, each = content["total"], content["baseline"], content["per_inference"]
        ratios = [share(total[field] / baseline[field]) for field in ("latency_s", "energy_j")]
        name = shortened(content["target"], 20)
        cells = (str(content["batch"]), quantity(each["latency_s"], "s"), ratios[0], quantity(each["energy_j"], "J"))
        memory = quantity(total["peak_activation_bytes"] / content["batch"], "B")
        sums.add_row(*(Text(cell) for cell in (name, *cells, ratios[1], memory)))
        lines += [Text(f"{name}: latency {content['grades']['latency']}, energy {content['grades']['energy']}")]
        lines += _unmodelled(content, f"{name}: ")
    return Group(Text(title), Text(), sums, Text(), *lines, *_layers_side_by_side(contents))


def _layers_side_by_side(contents: Sequence[Mapping[str, Any]]) -> list[RenderableType]:
    """Makes the table of each layer's latency on every target, where as many columns fit."""
    if len(contents) > _MOST_COMPARED:
        return [Text("The layers on so many targets stand in --format csv.")]
    titles = [shortened(content["target"], 11) for content in contents]
    figures = [
        [quantity(row["latency_s"] / content["batch"], "s") for content, row in zip(contents, rows, strict=True)]
        for rows in zip(*(content["layers"] for content in contents), strict=True)
    ]
    cells = [max(cell_len(cell) for cell in column) for column in zip(titles, *figures, strict=True)]
    table = plain_table("Layer", titles)
    for row, values in zip(contents[0]["layers"], figures, strict=True):
        name = shortened(row["name"], WIDTH - sum(cells) - GAP * len(cells))
        table.add_row(Text(name), *(Text(value) for value in values))
    return [Text(), Text("Latency of each layer, one inference:"), table]


def _beside_layers(content: Mapping[str, Any]) -> list[Text]:
    """Says what the operators that are no layers add to the total, where they are priced."""
    priced = [row for row in content["operations"] if row["latency_s"] or row["energy_j"]]
    if not priced:
        return []
    sums = [sum(row[field] for row in priced) for field in ("latency_s", "energy_j", "moved_bytes")]
    figures = ", ".join(quantity(value, unit) for value, unit in zip(sums, ("s", "J", "B"), strict=True))
    return [Text(f"Beside the layers, in the totals: {len(priced)} operators, {figures} moved.")]


def _unmodelled(content: Mapping[str, Any], start: str = "") -> list[Text]:
    """Says what is not modelled, where it is more than a hundredth of the bytes that the network moves."""
    block = content["not_modelled"]
    if block["share_of_bytes"] <= _WORTH_A_LINE:
        return []
    names = [f"{shortened(entry['op'], 16)} ({entry['count']})" for entry in block["operators"]]
    listed = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    return [Text(f"{start}Not modelled: {listed}, {share(block['share_of_bytes'])} of the bytes.")]
