"""What ``haqc inspect`` prints: 80 columns, plain text in a pipe, and names that steer nothing."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.text import Text

from haqc.console import WIDTH, plain_table, quantity, shortened
from haqc.inspection import DEFAULT_DOMAIN, Agreement, Fixed, Inspection, Obstacle, OperatorUse, Port, SeenLayer
from haqc.passes.report.wording import NOT_AVAILABLE, share
from haqc.plaintext import visible

_MOST_LAYERS, _MOST_LINES, _MOST_NAMES = 60, 12, 4
_HEAVIEST = 30
_GAP = 2
_NAME_CELLS, _SENTENCE_CELLS = 30, 400
_COSTS = {
    "": NOT_AVAILABLE,
    "layer": "as a layer",
    "traffic": "by its traffic",
    "listed": "listed only",
    "free": "none",
}


def inspection(seen: Inspection) -> Group:
    """Makes what ``haqc inspect`` prints; of a large model the layers with the most products, and the first of others.

    Args:
        seen: what haqc sees in the model; ``to_json`` has all of it.
    """
    sections = (
        _opening(seen),
        _ports(seen),
        _layers(seen),
        _agreements(seen.agreements),
        _fixed(seen.fixed),
        _operators(seen.operators),
        _prices(seen),
        _verdict(seen),
    )
    parts = [part for section in sections if section for part in (Text(), *section)]
    return Group(*parts[1:])


def _opening(seen: Inspection) -> list[RenderableType]:
    source = seen.source
    opsets = ", ".join(f"{_short(domain or DEFAULT_DOMAIN)} {version}" for domain, version in source.opsets.items())
    after = sum(use.count for use in seen.operators)
    nodes = f"{source.nodes:,} nodes" + (f", {after:,} after clean-up" if after != source.nodes else "")
    producer = f"; written by {_short(source.producer)}" if source.producer else ""
    lines = [
        f"{_short(source.name)}: {quantity(source.file_bytes, 'B')}, {nodes}",
        f"Opset {opsets}; file format {source.ir_version}{producer}",
    ]
    if source.external:
        size = quantity(sum(size for _, size in source.external), "B")
        lines.append(f"External data: {size} in {_listed([name for name, _ in source.external])}")
    return [_paragraph(line) for line in (*lines, *seen.remarks)]


def _ports(seen: Inspection) -> list[RenderableType]:
    rows = [("in", port) for port in seen.inputs] + [("out", port) for port in seen.outputs]
    shown = rows[: 2 * _MOST_LINES]
    cells = [(way, port.type or NOT_AVAILABLE, shortened(_shape(port), 30), _bound(port)) for way, port in shown]
    tables = _table(
        "Tensor",
        ("", "Type", "Shape", "Priced at"),
        [port.name for _, port in shown],
        cells,
        left=("", "Type", "Shape"),
    )
    return [*tables, *_more(len(rows) - len(shown), "inputs and outputs")]


def _layers(seen: Inspection) -> list[RenderableType]:
    if not seen.layers:
        return [Text("No layers.")]
    rows = _heaviest(seen.layers)
    macs = seen.macs
    cells = [_layer_cells(layer, macs, seen.weights) for layer in rows]
    title = f"Layer ({len(seen.layers):,})"
    tables = _table(title, ("Kind", "Product", "MACs", "Share", "Weights", "Share"), [row.name for row in rows], cells)
    total = f"Total: {quantity(macs, 'MACs')} an inference, {quantity(seen.weights, 'weights')} stored in the layers."
    left_out = len(seen.layers) - len(rows)
    largest = [Text(f"The {len(rows)} largest layers; --json has the other {left_out:,} too.")] if left_out else []
    remark = "Product: rows x reduction x columns, * groups. ~ before the kind: it stays in float."
    return [*tables, *largest, Text(total), Text(remark)]


def _heaviest(layers: Sequence[SeenLayer]) -> list[SeenLayer]:
    """Gives all layers, or of very many the largest, in graph order."""
    if len(layers) <= _MOST_LAYERS:
        return list(layers)
    by_size = sorted(range(len(layers)), key=lambda index: (-(layers[index].macs or 0), -layers[index].weights))
    return [layers[index] for index in sorted(by_size[:_HEAVIEST])]


def _layer_cells(layer: SeenLayer, macs: int | None, weights: int) -> tuple[str, ...]:
    extents = (layer.rows, layer.reduction, layer.columns)
    product = "x".join("?" if extent is None else str(extent) for extent in extents)
    of_macs = None if macs is None or layer.macs is None else layer.macs / (macs or 1)
    return (
        f"{'~' if layer.float_reason else ''}{layer.kind}",
        product + (f" *{layer.groups}" if layer.groups > 1 else ""),
        quantity(layer.macs, ""),
        share(of_macs),
        quantity(layer.weights, ""),
        share(layer.weights / (weights or 1)),
    )


def _agreements(agreements: Sequence[Agreement]) -> list[RenderableType]:
    lines = [
        f"{_listed(entry.layers)}: one width of {entry.about}, {visible(entry.reason)} ({_listed(entry.tensors)})"
        for entry in agreements[:_MOST_LINES]
    ]
    return _section("Layers that must agree", lines, len(agreements) - len(lines), "groups") if lines else []


def _fixed(entries: Sequence[Fixed]) -> list[RenderableType]:
    """Says what is not searched, one line for each reason."""
    reasons: dict[tuple[int | None, str, str], list[str]] = {}
    for entry in entries:
        reasons.setdefault((entry.bits, entry.op, entry.reason), []).append(entry.name)
    lines = [
        f"{'float' if bits is None else f'{bits} bits'}: {_counted(names)}{f' ({_short(op)})' if op else ''}: "
        f"{visible(reason)}"
        for (bits, op, reason), names in reasons.items()
    ]
    shown = lines[:_MOST_LINES]
    return _section("Not searched", shown, len(lines) - len(shown), "reasons") if lines else []


def _operators(uses: Sequence[OperatorUse]) -> list[RenderableType]:
    rows = uses[: 2 * _MOST_LINES]
    names = [f"{use.domain}.{use.op}" if use.domain else use.op for use in rows]
    cells = [
        (f"{use.count:,}", _COSTS[use.cost], "yes" if use.mirrored else "NO", f"{use.quantised:,}") for use in rows
    ]
    tables = _table("Operator", ("Count", "Priced", "Mirror", "Quantised"), names, cells)
    return [*tables, *_more(len(uses) - len(rows), "operators")]


def _prices(seen: Inspection) -> list[RenderableType]:
    if seen.prices is None:
        return []
    total, grades = seen.prices["total"], seen.prices["grades"]
    figures = (
        f"latency {quantity(total['latency_s'], 's')} ({grades['latency']})",
        f"energy {quantity(total['energy_j'], 'J')} ({grades['energy']})",
        f"weights {quantity(total['weight_bytes'], 'B')}",
        f"peak activations {quantity(total['peak_activation_bytes'], 'B')}",
    )
    where = f"{_short(seen.prices['target'])} at 8/8, a batch of {seen.prices['batch']}"
    beside = f"not modelled: {share(seen.prices['not_modelled']['share_of_bytes'])} of the bytes"
    return [_paragraph(f"On {where}: {', '.join(figures)}; {beside}")]


def _verdict(seen: Inspection) -> list[RenderableType]:
    if seen.can_compile:
        first = "haqc takes this model: 'haqc cost' prices it, and nothing seen here is in the way of 'haqc compile'."
    elif seen.can_cost:
        first = "'haqc cost' takes this model; in the way of 'haqc compile':"
    else:
        first = "In the way of 'haqc cost' and 'haqc compile':"
    lines = [_paragraph(_obstacle(obstacle)) for obstacle in seen.obstacles[:_MOST_LINES]]
    options = [port.option for port in seen.inputs if port.option]
    shapes = [Text(f"  haqc inspect {visible(seen.source.file)} {visible(' '.join(options))}", overflow="fold")]
    is_open = options and not seen.can_cost
    more = _more(len(seen.obstacles) - len(lines), "obstacles")
    return [_paragraph(first, ""), *lines, *more, *(shapes if is_open else [])]


def _obstacle(obstacle: Obstacle) -> str:
    text = visible(obstacle.reason)
    return f"- {text if len(text) <= _SENTENCE_CELLS else shortened(text, _SENTENCE_CELLS)}"


def _section(title: str, lines: Sequence[str], left_out: int, what: str) -> list[RenderableType]:
    return [Text(title), *(_paragraph(f"- {line}") for line in lines), *_more(left_out, what)]


def _more(count: int, what: str) -> list[RenderableType]:
    return [Text(f"... and {count:,} more {what}; --json has them all.")] if count > 0 else []


def _table(
    title: str,
    titles: Sequence[str],
    names: Sequence[str],
    rows: Sequence[Sequence[str]],
    left: Sequence[str] = (),
) -> list[RenderableType]:
    """Makes a table whose names take what the figures leave of the width."""
    widths = [max(cell_len(cell) for cell in column) for column in zip(titles, *rows, strict=True)]
    room = max(8, WIDTH - sum(widths) - _GAP * len(widths))
    table = plain_table(title, titles)
    for column in table.columns:
        column.justify = "left" if column.header in (title, *left) else "right"
    for name, cells in zip(names, rows, strict=True):
        table.add_row(*(Text(cell) for cell in (shortened(name, room), *cells)))
    return [table]


def _shape(port: Port) -> str:
    if port.shape is None:
        return "unknown"
    return f"[{', '.join('?' if extent is None else str(extent) for extent in port.shape)}]"


def _bound(port: Port) -> str:
    if port.bound is None:
        return ""
    return shortened("x".join(map(str, port.bound)) or "scalar", 16)


def _counted(names: Sequence[str]) -> str:
    return _listed(names) if len(names) <= _MOST_NAMES else f"{len(names):,} of them, from {_short(names[0])} on"


def _listed(names: Sequence[str]) -> str:
    listed = ", ".join(_short(name) for name in names[:_MOST_NAMES])
    return listed + (f" and {len(names) - _MOST_NAMES:,} more" if len(names) > _MOST_NAMES else "")


def _short(name: str) -> str:
    return shortened(name, _NAME_CELLS)


def _paragraph(text: str, indent: str = "  ") -> Text:
    """Makes lines of 80 columns, further ones indented; characters may be two columns wide."""
    return Text(textwrap.fill(visible(text), WIDTH, subsequent_indent=indent, break_on_hyphens=False))
