"""Quality and cost of what each point of a sweep emitted, with standard errors, and the float reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from haqc.budget import FIELDS
from haqc.errors import DataError
from haqc.figures.front import cost_axis
from haqc.figures.style import INK, MUTED, allocator_colour
from haqc.passes.report.wording import figure, score_name
from haqc.plaintext import visible


def draw_swept(axes: Any, content: Mapping[str, Any]) -> None:
    """Draws the emitted files' quality on the reported split over their cost.

    Args:
        axes: matplotlib's axes.
        content: the front (``docs/sweep.md``).

    Raises:
        DataError: no point has a file that was measured.
    """
    points = [p for p in content["points"] if p["feasible"] and p["accuracy"]["emitted"] is not None]
    if not points:
        raise DataError("the front has no point with a measured file; sweep again with wider budgets")
    field = FIELDS[content["metric"]]
    points.sort(key=lambda point: point["cost"][field])  # what a dearer budget holds may cost less
    costs, scores = [p["cost"][field] for p in points], [p["accuracy"]["emitted"] for p in points]
    axes.plot(costs, scores, color=MUTED, linewidth=1.2, zorder=1)
    axes.errorbar(costs, scores, [p["accuracy"]["standard_error"] or 0.0 for p in points], fmt="none", ecolor=INK,
                  elinewidth=0.9, zorder=2)  # fmt: skip
    for name in dict.fromkeys(p["allocator"] for p in points):
        own = [p for p in points if p["allocator"] == name]
        axes.scatter([p["cost"][field] for p in own], [p["accuracy"]["emitted"] for p in own], s=24, zorder=3,
                     color=allocator_colour(name), label=visible(name))  # fmt: skip
    accuracy = content["accuracy"]
    if accuracy["reference"] is not None:
        words = f"float, {figure(accuracy['reference'], accuracy['unit'])}"
        axes.axhline(accuracy["reference"], color=MUTED, linestyle="--", linewidth=0.9, label=words)
    cost_axis(axes, content["metric"], content["target"]["batch"])
    axes.set_ylabel(score_name(accuracy) + (" (%)" if accuracy["unit"] == "%" else ""), fontsize=8)
    axes.legend(fontsize=7, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1))
