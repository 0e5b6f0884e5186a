"""The closing story of a compile, in 40 lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.text import Text

from haqc.console.output import WIDTH
from haqc.console.table import layer_table, shortened
from haqc.console.verified import verification_lines
from haqc.passes.report.interval import interval
from haqc.passes.report.wording import (
    agreement_reason,
    difference,
    figure,
    is_agreement,
    quantity,
    score_name,
    share,
    spread,
)
from haqc.plaintext import visible

_SUMMARY_LINES = 40
_ALL_LAYERS = 25
_DEAREST = 15
_INTERRUPTED = "The search was interrupted: the allocators had unequal evaluations."


def summary(content: Mapping[str, Any], folder: Path | None = None, width: int = WIDTH) -> Group:
    """Makes the closing story of a compile: 40 lines at most.

    Up to 25 layers all stand in the table; of more, the 15 that take the most energy, or bytes where it is not priced.

    Args:
        content: the report (``docs/report-schema.md``).
        folder: where the report lies; its path is the last line.
        width: columns that the table of layers may take.
    """
    head, tail = _opening(content), _closing(content, folder)
    rows, remark = _table_rows(content["layers"], _ALL_LAYERS)
    if _height(Group(*head, layer_table(rows, width), *remark, *tail), width) > _SUMMARY_LINES:
        rows, remark = _table_rows(content["layers"], _DEAREST)
    story = Group(*head, layer_table(rows, width), *remark, *tail)
    spaced = Group(*head, Text(), layer_table(rows, width), *remark, Text(), *tail)
    return spaced if _height(spaced, width) <= _SUMMARY_LINES else story


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
        *([_allocator_line(content["allocators"], unit)] if content["allocators"] else []),
        *([Text(_INTERRUPTED)] if content["interrupted"] else []),
        *verification_lines(content["verification"], unit),
    ]
    if folder is not None:
        lines.append(Text(f"Report: {visible(str(folder / 'report.html'))}", overflow="fold"))
    return lines


def _accuracy_lines(accuracy: Mapping[str, Any]) -> list[Text]:
    name, data, unit = shortened(score_name(accuracy), 44), shortened(accuracy["data"], 24), accuracy["unit"]
    measured = Text(f"{name[0].upper()}{name[1:]} on {accuracy['count']:,} held-out samples of {data}:")
    error = spread(accuracy["standard_error"], unit)
    span = interval(accuracy, accuracy["emitted"])
    within = "" if span is None else f"95 %: {figure(span.low, unit)} to {figure(span.high, unit)}, "
    emitted = Text(f"  emitted file {figure(accuracy['emitted'], unit)} ({within}standard error {error})")
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


def _height(renderable: RenderableType, width: int = WIDTH) -> int:
    """Gives the lines that something takes."""
    console = Console(width=width, force_terminal=False, color_system=None)
    return len(console.render_lines(renderable, console.options))
