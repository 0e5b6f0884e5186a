"""What ``haqc verify`` prints, and what a summary says of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group
from rich.text import Text

from haqc.console.table import shortened
from haqc.passes.report.wording import figure, margin_words, metric_name, spread
from haqc.plaintext import visible


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
        end = f"{compared} differ" + (", by one" if compared == "codes" and consumer["different"] else "")
        lines.append(Text(f"    {consumer['different']:,} of {consumer['values']:,} {end}"))
    margins = margin_words(content)
    if margins:
        lines.append(Text(f"  {margins}"))
    accuracy = content.get("accuracy")
    if accuracy is not None:
        name = shortened(metric_name(accuracy["metric"]), 30)
        value = figure(accuracy["emitted"], accuracy["unit"])
        lines.append(Text(f"  {name} {value} on {accuracy['count']:,} held-out samples"))
    return Group(*lines)


def verification_lines(verification: Mapping[str, Any], unit: str) -> list[Text]:
    """Says in a line or a few where the emitted file was verified, and where it was not."""
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
