"""What ``haqc targets list`` and ``haqc targets show`` print."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.box import Box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from haqc.datasheet import DataSheet, Peak
from haqc.passes.report.wording import quantity
from haqc.plaintext import visible
from haqc.precision import Container, Precision
from haqc.target import Target

_WIDTH = 80
_RULE = Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)


def target_list(targets: Sequence[Target]) -> Group:
    """Makes the list of targets: name, kind, grades of latency and energy, and below them what each is."""
    table = _table(("Target", "Kind", "Batch", "Latency", "Energy"), ())
    for target in targets:
        grades = (target.latency_grade, target.energy_grade)
        table.add_row(target.name, target.kind, str(target.batch), *grades)
    return Group(table, Text(), *(_paragraph(f"{target.name}: {target.title}") for target in targets))


def target_sheet(sheet: DataSheet) -> Group:
    """Makes the data sheet of a target: what it does at each pair of widths, and where its numbers come from."""
    target = sheet.target
    head = [
        _paragraph(f"{target.name}: {target.title}"),
        Text(f"Kind {target.kind}, clock {quantity(target.hardware.clock_hz, 'Hz')}, batch {target.batch}, "
             f"modes: {', '.join(target.modes)}"),
        Text(f"Grades: latency {target.latency_grade}, energy {target.energy_grade}"),
        *map(_paragraph, _widths(target.precision)),
    ]  # fmt: skip
    figures = [_paragraph(f"No peak rates: {sheet.refusal}")] if sheet.refusal else _figures(sheet)
    sources = [_paragraph(f"{name}: {source}") for name, source in target.sources]
    return Group(*head, Text(), *figures, Text(), Text("Sources"), *sources)


def _figures(sheet: DataSheet) -> list[Text | Table]:
    figures = ("Peak MAC/s", "Depthwise MAC/s", "Ridge MAC/B", "Energy/MAC")
    table = _table(("W/A", *figures), figures)
    for peak in sheet.peaks:
        table.add_row(*_row(peak))
    energy = sheet.off_chip_energy_j_per_byte
    bytes_ = f"Memory: {sheet.bandwidth_bytes_per_s / 1e9:.4g} GB/s at 8/8, " + (
        f"{quantity(energy, 'J')} per byte moved" if energy else "its energy stands in that of arithmetic"
    )
    remark = (
        "Read off the cost model with large layers. MAC: multiply-accumulate, two operations of a data sheet. Ridge: "
        "MAC per byte moved, above which arithmetic binds. Energy: memories on the chip and leakage included."
    )
    return [table, Text(), _paragraph(bytes_), _paragraph(remark, "")]


def _paragraph(text: str, indent: str = "  ") -> Text:
    """Makes lines of 80 columns, further ones indented."""
    return Text(textwrap.fill(visible(text), _WIDTH, subsequent_indent=indent, break_on_hyphens=False))


def _row(peak: Peak) -> tuple[str, ...]:
    counts = (peak.macs_per_s, peak.depthwise_macs_per_s, peak.ridge_macs_per_byte)
    return (str(peak.bits), *(quantity(count, "") for count in counts), quantity(peak.mac_energy_j, "J"))


def _widths(precision: Precision) -> list[str]:
    stored = [("weights", precision.weight_container), ("activations", precision.activation_container)]
    exact = all(container == "exact" for _, container in stored)
    how = "; ".join(f"{name} {_stored(container)}" for name, container in stored)
    results = precision.output_bits
    return [
        f"Widths: {precision.describe()}",
        f"Storage: {'packed' if exact else how}; results at "
        + ("the width of what reads them" if results == "consumers" else f"{results} bits")
        + f", sums at {precision.accumulator_bits} bits" + (", float is there" if precision.has_float else ""),
    ]  # fmt: skip


def _stored(container: Container) -> str:
    if isinstance(container, tuple):
        return f"in {', '.join(map(str, container))} bits"
    return "packed" if container == "exact" else "in the next power of two"


def _table(titles: Sequence[str], figures: Sequence[str]) -> Table:
    table = Table(box=_RULE, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for title in titles:
        table.add_column(title, justify="right" if title in figures else "left", no_wrap=True)
    return table
