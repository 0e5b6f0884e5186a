"""What ``haqc report --compare`` prints: two compiles side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.text import Text

from haqc.console.output import WIDTH
from haqc.console.table import GAP, layer_widths, plain_table, shortened
from haqc.passes.report.interval import interval
from haqc.passes.report.wording import NOT_AVAILABLE, difference, figure, quantity, score_name, share

Report = Mapping[str, Any]

_MOST_LAYERS = 25
_SCORES = (("emitted file", "emitted"), ("float reference", "reference"))
_COSTS = (
    ("energy, one inference", "energy_j", "J"),
    ("latency, one inference", "latency_s", "s"),
    ("weights, packed", "weight_bytes", "B"),
    ("peak activation memory", "peak_activation_bytes", "B"),
)


def comparison(first: Report, second: Report, names: tuple[str, str], width: int = WIDTH) -> Group:
    """Makes two reports side by side: two targets, two budgets, or two versions of one model.

    Args:
        first, second: the reports (``docs/report-schema.md``).
        names: what the two are called, such as their folders.
        width: columns it may take.
    """
    table = plain_table("", ("A", "B", "B - A"))
    for cells in (*_score_rows(first, second), *_cost_rows(first, second), *_other_rows(first, second)):
        table.add_row(*map(Text, cells))
    titles = [_title(letter, name, content) for letter, name, content in zip("AB", names, (first, second), strict=True)]
    return Group(*titles, Text(), table, *_remarks(first, second), *_layers(first, second, width))


def _title(letter: str, name: str, content: Report) -> Text:
    model, target = content["model"], content["target"]
    budget = ", ".join(shortened(limit["text"], 20) for limit in content["cost"]["budget"])
    what = f"{shortened(model['name'], 20)} on {shortened(target['name'], 14)}"
    return Text(f"{letter}: {shortened(name, 24)}: {what}, {budget}", style="bold", overflow="fold")


def _score_rows(first: Report, second: Report) -> list[tuple[str, ...]]:
    accuracies = first["accuracy"], second["accuracy"]
    names = [shortened(score_name(accuracy), 22) for accuracy in accuracies]
    samples = [f"{accuracy['count']:,}" for accuracy in accuracies]
    scores = [_score_row(words, field, first, second) for words, field in _SCORES]
    spans = [_span(accuracy) for accuracy in accuracies]
    return [("score", *names, ""), scores[0], ("  95 % confidence", *spans, ""), scores[1], ("samples", *samples, "")]


def _score_row(words: str, field: str, first: Report, second: Report) -> tuple[str, ...]:
    accuracies = first["accuracy"], second["accuracy"]
    values = [accuracy[field] for accuracy in accuracies]
    is_known = None not in values and _is_comparable(first, second)
    apart = difference(values[1] - values[0], accuracies[0]["unit"]) if is_known else NOT_AVAILABLE
    cells = [figure(value, accuracy["unit"]) for value, accuracy in zip(values, accuracies, strict=True)]
    return words, *cells, apart


def _span(accuracy: Mapping[str, Any]) -> str:
    span = interval(accuracy, accuracy["emitted"])
    if span is None:
        return NOT_AVAILABLE
    if accuracy["unit"] == "%":
        return f"{span.low:.2f} to {span.high:.2f} %"
    return f"{figure(span.low, '')} to {figure(span.high, accuracy['unit'])}"


def _cost_rows(first: Report, second: Report) -> list[tuple[str, ...]]:
    rows = []
    for words, field, unit in _COSTS:
        values = [(_each(content, "policy", field), _each(content, "baseline", field)) for content in (first, second)]
        cells = [f"{quantity(now, unit)} ({share(_ratio(now, full))})" for now, full in values]
        rows.append((words, *cells, _change(values[1][0], values[0][0])))
    return rows


def _each(content: Report, when: str, field: str) -> float | None:
    """Gives a figure of one inference; activations are those of a batch."""
    block = content["cost"]["per_inference"][when]
    value: float | None = block[field] if field in block else content["cost"][when][field]
    return value


def _other_rows(first: Report, second: Report) -> list[tuple[str, ...]]:
    rows = zip(_others(first), _others(second), strict=True)
    return [(words, shortened(a, 22), shortened(b, 22), "") for (words, a), (_, b) in rows]


def _others(content: Report) -> list[tuple[str, str]]:
    is_met = all(limit["met"] for limit in content["cost"]["budget"])
    finders = [entry["name"] for entry in content["allocators"] if entry["emitted"]]
    return [
        ("budget", "met" if is_met else "NOT MET"),
        ("verification", "equal" if content["verification"]["ok"] else "NOT EQUAL"),
        ("found by", ", ".join(finders) or NOT_AVAILABLE),
        ("haqc", content["haqc"]),
    ]


def _remarks(first: Report, second: Report) -> list[Text]:
    remarks = ["In brackets: of the same model and target at 8/8."]
    if not _is_comparable(first, second):
        remarks.append("The scores were measured by another metric or on other data, so they are not compared.")
    if first["target"]["batch"] != second["target"]["batch"]:
        remarks.append("The batches differ, and so do activations; latency and energy are of one inference.")
    return [Text(remark) for remark in remarks]


def _is_comparable(first: Report, second: Report) -> bool:
    fields = ("metric", "unit", "data", "count", "labels", "data_free")
    digests = [content["provenance"]["digests"].get("data") for content in (first, second)]
    return digests[0] == digests[1] and all(first["accuracy"][f] == second["accuracy"][f] for f in fields)


def _layers(first: Report, second: Report, width: int) -> list[RenderableType]:
    """Makes the table of layers that differ, where both models have the same layers."""
    if [layer["name"] for layer in first["layers"]] != [layer["name"] for layer in second["layers"]]:
        return [Text("The models have different layers, so layers are not compared.")]
    pairs = list(zip(first["layers"], second["layers"], strict=True))
    differing = [(a, b) for a, b in pairs if layer_widths(a) != layer_widths(b)]
    shown = _dearest(differing)
    said = f"{len(differing)} of {len(pairs)} layers have other widths"
    if not shown:
        return [Text(), Text(f"{said}.")]
    rest = f"; the {len(shown)} that take the most energy" if len(shown) < len(differing) else ""
    titles = ("W/A in A", "in B", "Energy in A", "in B", "Latency in A", "in B")
    figures = [_cells(a, first) + _cells(b, second) for a, b in shown]
    ordered = [[row[i] for i in (0, 3, 1, 4, 2, 5)] for row in figures]
    cells = [max(cell_len(cell) for cell in column) for column in zip(titles, *ordered, strict=True)]
    table = plain_table("Layer", titles)
    for (layer, _), values in zip(shown, ordered, strict=True):
        table.add_row(*map(Text, (shortened(layer["name"], width - sum(cells) - GAP * len(cells)), *values)))
    return [Text(), Text(f"{said}{rest}; figures of one inference:"), table]


def _dearest(pairs: Sequence[tuple[Report, Report]]) -> list[tuple[Report, Report]]:
    """Gives the pairs of layers that take the most energy in either, in graph order."""
    ranked = sorted(range(len(pairs)), key=lambda place: -max(layer["energy_j"] or 0.0 for layer in pairs[place]))
    return [pairs[place] for place in sorted(ranked[:_MOST_LAYERS])]


def _cells(layer: Mapping[str, Any], content: Report) -> tuple[str, str, str]:
    batch = content["target"]["batch"]
    energy, latency = (None if layer[f] is None else layer[f] / batch for f in ("energy_j", "latency_s"))
    return layer_widths(layer), quantity(energy, "J"), quantity(latency, "s")


def _ratio(value: float | None, whole: float | None) -> float | None:
    return value / whole if value is not None and whole else None


def _change(after: float | None, before: float | None) -> str:
    ratio = _ratio(after, before)
    return NOT_AVAILABLE if ratio is None else f"{100 * (ratio - 1):+.1f} %"
