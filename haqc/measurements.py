"""Measured layers and networks, as a user writes them down to calibrate a target."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path

from haqc.errors import DataError, nearest
from haqc.graph import FULL_BITS

MAX_FILE_BYTES = 2**24
_REQUIRED = ("model", "latency_s")
_OPTIONAL = ("layer", "weight_bits", "activation_bits", "batch", "energy_j")
_COLUMNS = (*_REQUIRED, *_OPTIONAL)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one layer, or a whole network, took on a board.

    Attributes:
        line: its line in the file.
        model: ONNX file.
        layer: name of the layer; empty for the whole network.
        weight_bits, activation_bits: widths of every layer.
        batch: inferences that were measured together.
        latency_s: seconds for the batch.
        energy_j: joules for the batch, or ``None`` where it was not measured.
    """

    line: int
    model: Path
    layer: str
    weight_bits: int
    activation_bits: int
    batch: int
    latency_s: float
    energy_j: float | None


def read_measurements(path: Path) -> tuple[Measurement, ...]:
    """Reads a file of measurements; ``docs/calibration.md`` describes its columns.

    Args:
        path: the CSV file; models are named relative to its folder and lie within it.

    Raises:
        DataError: the file cannot be read, or a row is malformed; the message names its line.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise DataError(f"measurements '{path}' cannot be read ({error.strerror}); give a CSV file") from error
    if len(content) > MAX_FILE_BYTES:
        raise DataError(f"measurements '{path}' are over {MAX_FILE_BYTES // 2**20} MiB; keep the rows that matter")
    try:
        rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"measurements '{path}' are no CSV text in UTF-8 ({error}); export them again") from error
    if not rows:
        raise DataError(f"measurements '{path}' hold no rows; add one per network or layer that was measured")
    _require_columns(path, [name for name in rows[0] if name is not None])
    return tuple(_measurement(path, line, row) for line, row in enumerate(rows, start=2))


def _require_columns(path: Path, names: list[str]) -> None:
    unknown = [name for name in names if name not in _COLUMNS]
    if unknown:
        raise DataError(
            f"measurements '{path}', line 1: unknown column '{unknown[0][:40]}'{nearest(unknown[0], _COLUMNS)}; "
            f"allowed are {', '.join(_COLUMNS)}"
        )
    missing = [name for name in _REQUIRED if name not in names]
    if missing:
        raise DataError(f"measurements '{path}', line 1: column '{missing[0]}' is missing; add it to the heading")


def _measurement(path: Path, line: int, row: dict[str, str]) -> Measurement:
    place = f"measurements '{path}', line {line}"
    if None in row or None in row.values():
        raise DataError(f"{place}: the row does not have as many cells as the heading; mend it")
    model = row["model"].strip()
    found = (path.parent / model).resolve()
    if not model or Path(model).is_absolute() or not found.is_relative_to(path.parent.resolve()):
        raise DataError(f"{place}: model '{model}' must be the path of an ONNX file in the measurements' folder")
    latency_s = _number(row["latency_s"], "latency_s", place)
    return Measurement(
        line=line,
        model=found,
        layer=row.get("layer", "").strip(),
        weight_bits=_whole(row.get("weight_bits", ""), "weight_bits", place, FULL_BITS, FULL_BITS),
        activation_bits=_whole(row.get("activation_bits", ""), "activation_bits", place, FULL_BITS, FULL_BITS),
        batch=_whole(row.get("batch", ""), "batch", place, 1, 65_536),
        latency_s=latency_s,
        energy_j=_number(row["energy_j"], "energy_j", place) if row.get("energy_j", "").strip() else None,
    )


def _number(text: str, name: str, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise DataError(f"{place}: {name} must be a number above zero, not '{text[:40]}'; correct or drop the row")
    return value


def _whole(text: str, name: str, place: str, default: int, most: int) -> int:
    text = text.strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise DataError(f"{place}: {name} must be a whole number from 1 to {most}, not '{text[:40]}'")
    return int(text)
