"""What ``haqc targets calibrate`` prints."""

from __future__ import annotations

from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from haqc.calibrate_target import TargetFit
from haqc.calibrated_file import ACCEPTED_ERROR
from haqc.console import quantity
from haqc.target import Target

_MOST_LISTED = 25


def fit_summary(fit: TargetFit, target: Target, path: Path | None) -> RenderableType:
    """Makes the lines about a fit: what was left out and predicted, the factors, the grades, the file.

    Args:
        fit: the fit.
        target: the target of the calibrated copy.
        path: the copy; ``None`` where it is printed.
    """
    lines = [f"Each network, predicted by a fit to the {fit.networks - 1} others:"]
    for each in fit.held_out[:_MOST_LISTED]:
        case = each.measurement
        name = f"{case.model.stem} {case.layer}".strip()
        measured, predicted = quantity(case.latency_s, "s"), quantity(each.latency_s, "s")
        lines.append(f"  {name}: measured {measured}, predicted {predicted} ({100 * each.latency_error:+.1f} %)")
    if len(fit.held_out) > _MOST_LISTED:
        lines.append(f"  and {len(fit.held_out) - _MOST_LISTED} more")
    energy = "" if fit.energy_error is None else f", of energy {100 * fit.energy_error:.1f} %"
    lines.append(f"Mean held-out error of latency {100 * fit.latency_error:.1f} %{energy}.")
    scales = fit.scales
    speeds = {"conv": scales.conv, "pointwise": scales.pointwise, "depthwise": scales.depthwise, "dense": scales.dense}
    listed = ", ".join(f"{name} {value:.2f}" for name, value in speeds.items())
    others = f"overhead {scales.overhead:.2f}, energy {scales.energy:.2f}"
    lines.append(f"Times what the file says: speed of {listed}; {others}.")
    lines.append(f"Grades: latency {target.latency_grade}, energy {target.energy_grade}.")
    if fit.latency_error > ACCEPTED_ERROR:
        lines.append(f"The error is over {100 * ACCEPTED_ERROR:.0f} %, so the grade of latency stays as it was.")
    if path is not None:
        lines.append(f"Written to {path}.")
    return Group(*(Text(line) for line in lines))
