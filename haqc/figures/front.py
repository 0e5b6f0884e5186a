"""Score and cost of every trial, the front among them, each allocator's best, and the budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from haqc.budget import FIELDS, UNITS, Metric
from haqc.errors import DataError
from haqc.figures.style import INK, MUTED, allocator_colour, quantities
from haqc.passes.report.wording import score_name
from haqc.plaintext import visible


def draw_front(axes: Any, content: Mapping[str, Any]) -> None:
    """Draws the trials over the cost that the first budget is of.

    Args:
        axes: matplotlib's axes.
        content: the report (``docs/report-schema.md``).

    Raises:
        DataError: no trial was scored.
    """
    limit = content["cost"]["budget"][0]
    field = FIELDS[limit["metric"]]
    trials = [trial for trial in content["trials"] if None not in (trial["accuracy"], trial["cost"][field])]
    if not trials:
        raise DataError("the report has no trial with a score, so there is no front; choose another --kind")
    for name in dict.fromkeys(trial["allocator"] for trial in trials):
        own = [trial for trial in trials if trial["allocator"] == name]
        axes.scatter([t["cost"][field] for t in own], [t["accuracy"] for t in own], s=12, alpha=0.55,
                     color=allocator_colour(name), linewidths=0, label=visible(name))  # fmt: skip
    steps = front([(t["cost"][field], t["accuracy"]) for t in trials], content["accuracy"]["higher_is_better"])
    axes.plot(*zip(*steps, strict=True), drawstyle="steps-post", color=MUTED, linewidth=1.2, zorder=1, label="front")
    for entry in content["allocators"]:
        if entry["cost"] and entry["accuracy"] is not None:
            axes.scatter(entry["cost"][field], entry["accuracy"], marker="D", s=70 if entry["emitted"] else 30,
                         color=allocator_colour(entry["name"]), zorder=4,
                         edgecolors=INK if entry["emitted"] else "white")  # fmt: skip
    axes.axvline(limit["limit"], color=MUTED, linestyle="--", linewidth=0.9, label="budget")
    cost_axis(axes, limit["metric"], content["target"]["batch"])
    metric = score_name(content["accuracy"])
    axes.set_ylabel(f"{metric}, search split" + (" (%)" if content["accuracy"]["unit"] == "%" else ""), fontsize=8)
    axes.legend(fontsize=7, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1))


def cost_axis(axes: Any, metric: Metric, batch: int) -> None:
    """Names the horizontal axis after a metric of the budget, and its figures with prefixes and the unit."""
    unit = next(iter(UNITS[metric]))  # the one without a prefix
    quantities(axes.xaxis, unit)
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel(metric + ("" if unit == "B" or batch == 1 else f" of one batch of {batch}"))


def front(points: Sequence[tuple[float, float]], higher_is_better: bool = True) -> list[tuple[float, float]]:
    """Gives the points that no cheaper one equals, the cheapest first.

    >>> front([(3, 80), (1, 70), (2, 69), (2, 75), (3, 75)])
    [(1, 70), (2, 75), (3, 80)]
    """
    sign = 1 if higher_is_better else -1
    kept: list[tuple[float, float]] = []
    for cost, score in sorted(points, key=lambda point: (point[0], -sign * point[1])):
        if not kept or sign * score > sign * kept[-1][1]:
            kept.append((cost, score))
    return kept
