"""The copy of a target file that a calibration leaves: its text with the factors, their error, and the grades."""

from __future__ import annotations

import re
from pathlib import Path

from haqc import targets
from haqc.calibrate_target import TargetFit
from haqc.errors import OutputError
from haqc.target import Target

ACCEPTED_ERROR = 0.2
"""Mean held-out error, as a share, up to which a figure is graded ``calibrated``; above it the grade stays.

A grade ``calibrated`` of an earlier fit does not stay: above it, it becomes ``estimate``.
"""

_NOTE = "what is graded calibrated: the fit of [calibration]; else: "


def calibrated_text(text: str, fit: TargetFit, measurements: str) -> str:
    """Writes a fit into the text of a target file.

    Args:
        text: the file; tables of an earlier calibration are replaced.
        fit: the fit.
        measurements: name of the file that was fitted to.

    Returns:
        the text with a table ``[calibration]``, and with the grades of what is predicted well enough moved.
    """
    tables = re.split(r"(?m)^(?=\[)", text)
    kept = [table.rstrip() for table in tables if not table.startswith("[calibration]")]
    graded = [_graded(table, fit) if table.startswith("[grades]") else table for table in kept]
    return "\n\n".join([*graded, _table(fit, measurements)]) + "\n"


def write_calibrated(path: Path, target: Target, fit: TargetFit, measurements: str) -> Target:
    """Writes the calibrated copy of a target file, and reads it back.

    Args:
        path: the copy, which must not be there yet.
        target: the target that was fitted.
        fit: the fit.
        measurements: name of the file that was fitted to.

    Returns:
        the target of the copy.

    Raises:
        OutputError: the copy is there already, cannot be written, or does not read back as what was fitted.
    """
    _write_new(path, calibrated_text(target.text, fit, measurements))
    mistakes = targets.check(path)
    if mistakes:
        path.unlink()
        raise OutputError(
            f"the text of target '{target.name}' cannot be changed in place ({mistakes[0]}); write [grades] and "
            "[calibration] as tables of their own, as built-in targets do"
        )
    return targets.load(str(path))


def _write_new(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError as error:
        raise OutputError(f"'{path}' is there already; name another file with --out, or move it away") from error
    except OSError as error:
        raise OutputError(f"'{path}' cannot be written ({error.strerror}); name another file with --out") from error


def _table(fit: TargetFit, measurements: str) -> str:
    scales, energy_error = fit.scales, fit.energy_error
    models = sorted({each.measurement.model.stem for each in fit.held_out})
    figures = [
        ("conv_speed", scales.conv),
        ("pointwise_speed", scales.pointwise),
        ("depthwise_speed", scales.depthwise),
        ("dense_speed", scales.dense),
        ("overhead", scales.overhead),
        ("energy", scales.energy),
    ]
    lines = [f"{key} = {value:.6g}" for key, value in figures]
    lines += [f"networks = {fit.networks}", f"measurements = {len(fit.held_out)}"]
    lines.append(f"held_out_latency_error_percent = {100 * fit.latency_error:.1f}")
    if energy_error is not None:
        lines.append(f"held_out_energy_error_percent = {100 * energy_error:.1f}")
    lines.append(f"fitted_on = {_quoted(', '.join(models))}")
    lines.append(f"source = {_quoted(f'haqc targets calibrate on {measurements}')}")
    return "\n".join(["[calibration]", *lines])


def _graded(table: str, fit: TargetFit) -> str:
    for key, error in (("latency", fit.latency_error), ("energy", fit.energy_error)):
        if error is not None and error <= ACCEPTED_ERROR:
            table = re.sub(rf'(?m)^({key}[ \t]*=[ \t]*)(["\']).*?\2', r'\1"calibrated"', table)
        else:
            table = re.sub(rf'(?m)^({key}[ \t]*=[ \t]*)(["\'])calibrated\2', r'\1"estimate"', table)
    table = table.replace(_NOTE, "")
    if '"calibrated"' in table:
        table = re.sub(r'(?m)^(source[ \t]*=[ \t]*["\'])', lambda found: found[1] + _NOTE, table)
    return table


def _quoted(text: str) -> str:
    """Gives a TOML string on one line, without what would end it, 900 characters at most."""
    plain = "".join(letter if letter.isprintable() and letter not in '"\\' else "_" for letter in text)
    return f'"{plain[:900]}"'
