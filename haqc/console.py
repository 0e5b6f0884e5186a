"""What the command line prints: results on standard output, progress on standard error, plain text in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.box import Box
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from haqc.passes.report.wording import (
    NOT_AVAILABLE,
    agreement_reason,
    difference,
    figure,
    is_agreement,
    metric_name,
    quantity,
    score_name,
    share,
    spread,
)
from haqc.plaintext import visible

__all__ = [
    "cost_comparison",
    "cost_table",
    "layer_table",
    "quantity",
    "show",
    "summary",
    "verification",
]

WIDTH = 80
"""Columns that every table and line fits into, and the width of what is not a terminal."""

_SUMMARY_LINES = 40
_ALL_LAYERS = 25
_INTERRUPTED = "The search was interrupted: the allocators had unequal evaluations."
_DEAREST = 15
_GAP = 2
_RULE = Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)
_ASCII = str.maketrans({"µ": "u"})
_BOUNDS = {"compute": "compute", "activations": "data", "weights": "weights"}
_MOST_COMPARED = 5
_WORTH_A_LINE = 0.01
_FIELDS = (
    ("latency_s", "latency", "s"),
    ("energy_j", "energy", "J"),
    ("weight_bytes", "weights, packed", "B"),
    ("peak_activation_bytes", "peak activation memory", "B"),
)


def layer_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Makes the table of layers, 80 columns wide at most; long names are shortened in the middle.

    Args:
        rows: layers of a report or of ``haqc cost``; the columns of what binds a layer and of the accuracy lost stand
            only when some row has them.
    """
    columns = ["W/A", "MACs", "Latency", "Energy", "Share", "Weights", "Bound", "Lost"]
    is_absent = {
        "Bound": not any("bound" in row for row in rows),
        "Lost": not any(row.get("accuracy_lost") is not None for row in rows),
    }
    titles = [title for title in columns if not is_absent.get(title, False)]
    total_j = sum(row["energy_j"] or 0.0 for row in rows)
    cells_of = [dict(zip(columns, _figures(row, total_j), strict=True)) for row in rows]
    figures = [[cells[title] for title in titles] for cells in cells_of]
    widths = [max(cell_len(cell) for cell in column) for column in zip(titles, *figures, strict=True)]
    name_cells = WIDTH - sum(widths) - _GAP * len(widths)
    table = plain_table("Layer", titles)
    for row, cells in zip(rows, figures, strict=True):
        table.add_row(*(Text(cell) for cell in (shortened(row["name"], name_cells), *cells)))
    return table


def summary(content: Mapping[str, Any], folder: Path | None = None) -> Group:
    """Makes the closing story of a compile: 40 lines of 80 columns at most.

    Up to 25 layers all stand in the table; of more, the 15 that take the most energy, or bytes where it is not priced.

    Args:
        content: the report (``docs/report-schema.md``).
        folder: where the report lies; its path is the last line.
    """
    head, tail = _opening(content), _closing(content, folder)
    rows, remark = _table_rows(content["layers"], _ALL_LAYERS)
    if _height(Group(*head, layer_table(rows), *remark, *tail)) > _SUMMARY_LINES:
        rows, remark = _table_rows(content["layers"], _DEAREST)
    story = Group(*head, layer_table(rows), *remark, *tail)
    spaced = Group(*head, Text(), layer_table(rows), *remark, Text(), *tail)
    return spaced if _height(spaced) <= _SUMMARY_LINES else story


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
        name = shortened(row["name"], WIDTH - sum(cells) - _GAP * len(cells))
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


def show(renderable: RenderableType) -> None:
    """Prints a result on standard output: with colour on a terminal, as plain text of 80 columns anywhere else.

    Characters that the output's encoding lacks are replaced, so that no name of a layer ends a run.
    """
    stream = sys.stdout
    is_terminal = stream.isatty()
    console = Console(
        file=stream,
        width=None if is_terminal else WIDTH,
        force_terminal=is_terminal,
        markup=False,
        highlight=False,
        emoji=False,
    )
    with console.capture() as capture:
        console.print(renderable)
    text, encoding = capture.get(), stream.encoding or "utf-8"
    if not is_terminal:
        text = "".join(f"{line.rstrip()}\n" for line in text.removesuffix("\n").split("\n"))
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(_ASCII).encode(encoding, "replace").decode(encoding)
    stream.write(text)
    stream.flush()


def plain_table(name: str, titles: Sequence[str]) -> Table:
    """Makes a table without lines: names on the left, figures on the right."""
    table = Table(box=_RULE, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column(name, no_wrap=True)
    for title in titles:
        table.add_column(title, justify="right", no_wrap=True)
    return table


def _figures(row: Mapping[str, Any], total_j: float) -> tuple[str, ...]:
    loss = row.get("accuracy_lost")
    return (
        "float" if row.get("float") else f"{row['weight_bits']}/{row['activation_bits']}",
        quantity(row["macs"], ""),
        quantity(row["latency_s"], "s"),
        quantity(row["energy_j"], "J"),
        share(row.get("energy_share", (row["energy_j"] or 0.0) / (total_j or 1.0))),
        quantity(row["weight_bytes"], "B"),
        _BOUNDS.get(row.get("bound", ""), NOT_AVAILABLE),
        NOT_AVAILABLE if loss is None else f"{loss:.2f}",
    )


def verification(content: Mapping[str, Any]) -> Group:
    """Makes what ``haqc verify`` prints of a file that is equal, and the accuracy where it was measured again."""
    file = shortened(content["file"], 24)
    lines = [Text(f"{file}: ONNX checker {content['checker']}, {content['probes']:,} probe inputs")]
    for consumer in content["consumers"]:
        if consumer["status"] == "absent":
            continue
        if consumer["status"] != "equal":  # one that decides nothing
            where = shortened(consumer["detail"] or "no reason is given", 90)
            lines.append(Text(f"  {visible(consumer['name'])}: {visible(consumer['status'])}: {where}", style="yellow"))
            continue
        lines.append(Text(f"  {visible(consumer['name'])} against {visible(consumer['against'])}: equal by the rule"))
        compared = consumer.get("compared", "codes")
        end = "codes differ, by one" if compared == "codes" else f"{compared} differ"
        lines.append(Text(f"    {consumer['different']:,} of {consumer['values']:,} {end}"))
    accuracy = content.get("accuracy")
    if accuracy is not None:
        name = shortened(metric_name(accuracy["metric"]), 30)
        value = figure(accuracy["emitted"], accuracy["unit"])
        lines.append(Text(f"  {name} {value} on {accuracy['count']:,} held-out samples"))
    return Group(*lines)


def _opening(content: Mapping[str, Any]) -> list[Text]:
    model, target = content["model"], content["target"]
    title = (
        f"{shortened(model['name'], 24)} on {shortened(target['name'], 16)}, batch {target['batch']}: "
        f"{model['layers']} layers, {quantity(model['macs'], 'MACs')}"
    )
    lines = [Text(title, style="bold")]
    if is_agreement(content["accuracy"]):
        reason = agreement_reason(content["accuracy"]).upper()
        lines.append(Text(f"AGREEMENT WITH THE FLOAT MODEL, NOT ACCURACY: {reason}", style="bold yellow"))
        lines += [Text(f"{trust}.") for trust in [content["accuracy"].get("trust", "")] if trust]
    return lines


def _closing(content: Mapping[str, Any], folder: Path | None) -> list[Text]:
    unit = content["accuracy"]["unit"]
    lines = [
        *_accuracy_lines(content["accuracy"]),
        *_reconstruction_lines(content["reconstruction"], unit),
        *_minimised_lines(content["cost"].get("minimised")),
        *(_budget_line(limit) for limit in content["cost"]["budget"]),
        _allocator_line(content["allocators"], unit),
        *([Text(_INTERRUPTED)] if content["interrupted"] else []),
        *_verification_lines(content["verification"], unit),
    ]
    if folder is not None:
        lines.append(Text(f"Report: {visible(str(folder / 'report.html'))}", overflow="fold"))
    return lines


def _accuracy_lines(accuracy: Mapping[str, Any]) -> list[Text]:
    name, data, unit = shortened(score_name(accuracy), 44), shortened(accuracy["data"], 24), accuracy["unit"]
    measured = Text(f"{name[0].upper()}{name[1:]} on {accuracy['count']:,} held-out samples of {data}:")
    error = spread(accuracy["standard_error"], unit)
    emitted = Text(f"  emitted file {figure(accuracy['emitted'], unit)} (standard error {error})")
    compared = Text(
        f"  {difference(accuracy['difference'], unit)} "
        f"(paired standard error {spread(accuracy['paired_standard_error'], unit)}) "
        f"against {figure(accuracy['reference'], unit)}"
    )
    others = Text(
        f"  float {figure(accuracy['float'], unit)}, float fine-tuned {figure(accuracy['float_finetuned'], unit)}, "
        f"mirror {figure(accuracy['mirror'], unit)}"
    )
    emitted.stylize("bold", 0, emitted.plain.index("("))
    return [measured, emitted, compared, others]


def _reconstruction_lines(reconstruction: Mapping[str, Any] | None, unit: str) -> list[Text]:
    if reconstruction is None:
        return []
    before, after = (figure(reconstruction["search"][name], unit) for name in ("before", "after"))
    undone = "" if reconstruction["is_kept"] else ", so undone"
    return [Text(f"  {reconstruction['best']} without labels: {before} -> {after} on the search split{undone}")]


def _minimised_lines(minimised: Mapping[str, Any] | None) -> list[Text]:
    if minimised is None:
        return []
    kept = min((step for step in minimised["steps"] if step["kept"]), key=lambda step: step["cost"])
    lost = f"{kept['drop']:.2f} of {minimised['max_drop']:g} points lost on the search split"
    return [Text(f"Least {visible(minimised['metric'])}: {share(kept['cost'])} of 8/8, {lost}")]


def _budget_line(limit: Mapping[str, Any]) -> Text:
    value, bound = quantity(limit["value"], limit["unit"]), quantity(limit["limit"], limit["unit"])
    line = Text(f"Budget {shortened(limit['text'], 24)}: {value} of {bound} ({share(limit['share'])}), ")
    return line.append("met" if limit["met"] else "NOT MET", style="green" if limit["met"] else "bold red")


def _allocator_line(allocators: Sequence[Mapping[str, Any]], unit: str) -> Text:
    words = [
        f"{shortened(entry['name'], 20)} {figure(entry['accuracy'], unit)}{' (emitted)' if entry['emitted'] else ''}"
        for entry in allocators
    ]
    return Text(f"Allocators, on the search split: {', '.join(words)}")


def _verification_lines(verification: Mapping[str, Any], unit: str) -> list[Text]:
    agreed = [consumer["name"] for consumer in verification["consumers"] if consumer["ok"]]
    kinds = {consumer.get("compared", "codes") for consumer in verification["consumers"]}
    what = "codes" if kinds == {"codes"} else "weights and values"
    lines = [Text(f"Verified: the mirror's {what} in {'; '.join(visible(name) for name in agreed)}")] if agreed else []
    for consumer in verification["consumers"]:
        if consumer["ok"] is False:
            where = shortened(consumer["first_difference"] or "no layer is named", 90)
            words, style = ("NOT VERIFIED", "bold red") if consumer.get("decides", True) else ("Not equal", "yellow")
            lines.append(Text(f"{words} in {visible(consumer['name'])}: {where}", style=style))
    result = verification["accuracy"]
    if not result["ok"]:
        figures = f"mirror {figure(result['mirror'], unit)}, emitted file {figure(result['emitted'], unit)}"
        lines.append(Text(f"NOT VERIFIED: {figures}, tolerance {spread(result['tolerance'], unit)}", style="bold red"))
    return lines


def _table_rows(layers: Sequence[Mapping[str, Any]], most: int) -> tuple[list[Mapping[str, Any]], list[Text]]:
    """Gives the layers to show, in graph order, and the line that says how many are left out."""
    if len(layers) <= most:
        return list(layers), []
    is_priced = any(layer["energy_j"] is not None for layer in layers)
    field, what = ("energy_j", "energy") if is_priced else ("weight_bytes", "bytes")
    ranked = sorted(range(len(layers)), key=lambda index: -float(layers[index][field] or 0.0))
    rows = [layers[index] for index in sorted(ranked[:_DEAREST])]
    remark = f"The {len(rows)} layers that take the most {what}; {len(layers) - len(rows)} more stand in layers.csv."
    return rows, [Text(remark)]


def _height(renderable: RenderableType) -> int:
    """Gives the lines that something takes at 80 columns."""
    console = Console(width=WIDTH, force_terminal=False, color_system=None)
    return len(console.render_lines(renderable, console.options))


def shortened(name: str, cells: int) -> str:
    """Gives a name in at most ``cells`` columns, its middle replaced by dots; characters may be two columns wide."""
    text = visible(name)
    if cell_len(text) <= cells:
        return text
    tail = _first_cells(text[::-1], (cells - 3) // 2)[::-1]
    return f"{_first_cells(text, cells - 3 - cell_len(tail))}...{tail}"


def _first_cells(text: str, cells: int) -> str:
    """Gives as much of the start of ``text`` as fits into ``cells`` columns."""
    # No character takes less than nothing, and marks that take none are bounded as well.
    end = 0
    while end < min(len(text), 4 * cells) and cell_len(text[: end + 1]) <= cells:
        end += 1
    return text[:end]
