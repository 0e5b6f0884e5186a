"""The roofline (Williams, Waterman and Patterson, CACM 52(4), 2009) with every layer at 8/8 and at the policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from haqc.errors import DataError
from haqc.figures.style import INK, MUTED, WEIGHT, quantities

_ROOM = 3.0


def draw_roofline(axes: Any, content: Mapping[str, Any]) -> None:
    """Draws roofs and layers on logarithmic axes.

    Args:
        axes: matplotlib's axes.
        content: the report (``docs/report-schema.md``).

    Raises:
        DataError: the target has no roofs, or the report is of an earlier version.
    """
    roofs = content.get("roofline")
    if not roofs:
        raise DataError("the report has no roofs, which a table of measurements lacks; choose another --kind")
    layers, batch = content["layers"], content["target"]["batch"]
    is_free = roofs["results_are_free"]
    pairs = [(_point(y, y["baseline"], batch, is_free), _point(y, y, batch, is_free)) for y in layers]
    known = [(before, after) for before, after in pairs if before and after]
    if not known:
        raise DataError("the report has no latencies of layers, so there is no roofline; choose another --kind")
    xs, ys = zip(*(point for pair in known for point in pair), strict=True)
    bandwidth = roofs["bandwidth_bytes_per_s"]
    full = next(p for p in roofs["peaks"] if (p["weight_bits"], p["activation_bits"]) == (8, 8))["macs_per_s"]
    left, right = min(*xs, full / bandwidth) / _ROOM, max(*xs, full / bandwidth) * _ROOM
    top = _roofs(axes, roofs, right, max(*ys, full))
    start = min(left, top / bandwidth)
    axes.plot([start, top / bandwidth], [start * bandwidth, top], color=INK, linewidth=1.4, zorder=2)
    for (x0, y0), (x1, y1) in known:
        axes.plot([x0, x1], [y0, y1], color=MUTED, linewidth=0.6, alpha=0.5, zorder=1)
    axes.scatter(*zip(*(before for before, _ in known), strict=True), s=22, facecolors="white", edgecolors=MUTED,
                 zorder=3, label="layer at 8/8")  # fmt: skip
    axes.scatter(*zip(*(after for _, after in known), strict=True), s=22, color=WEIGHT, edgecolors="white",
                 linewidths=0.5, zorder=4, label="layer at this policy")  # fmt: skip
    axes.set(xscale="log", yscale="log", xlim=(left, right), ylim=(min(ys) / _ROOM, top * 1.5))
    quantities(axes.xaxis, "")
    quantities(axes.yaxis, "MAC/s")
    axes.set_xlabel("MAC / byte moved" + (" (writing is free)" if is_free else ""))
    axes.legend(loc="lower right", fontsize=8)


def _roofs(axes: Any, roofs: Mapping[str, Any], right: float, highest: float) -> float:
    """Draws the roofs that lie within the figure; names that of 8/8 and the highest, and gives its height."""
    bandwidth = roofs["bandwidth_bytes_per_s"]
    shown = [peak for peak in roofs["peaks"] if peak["macs_per_s"] <= max(highest, right * bandwidth / 2)]
    top = max(peak["macs_per_s"] for peak in shown)
    highest = next(peak for peak in shown if peak["macs_per_s"] == top)  # several pairs of widths may be as fast
    for peak in shown:
        rate, bits = peak["macs_per_s"], (peak["weight_bits"], peak["activation_bits"])
        is_full = bits == (8, 8)
        axes.plot([rate / bandwidth, right], [rate, rate], color=INK if is_full else MUTED,
                  linewidth=1.4 if is_full else 0.7, alpha=1 if is_full else 0.5, zorder=2)  # fmt: skip
        if is_full or peak is highest:
            axes.annotate(f"W{bits[0]} A{bits[1]}", (right, rate), (-2, 2), textcoords="offset points", ha="right",
                          fontsize=7, color=MUTED)  # fmt: skip
    return float(top)


def _point(layer: Mapping[str, Any], entry: Mapping[str, Any], batch: int, is_free: bool) -> tuple[float, float] | None:
    """Gives a layer's multiply-accumulates per byte moved and per second."""
    moved, macs = entry.get("moved_bytes") or {}, layer["macs"] * batch
    total = sum(moved.values()) - (moved.get("outputs", 0.0) if is_free else 0.0)
    return (macs / total, macs / entry["latency_s"]) if total and entry["latency_s"] and macs else None
