"""What a target file of kind ``lookup`` may say, and the table of measurements beside it."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

from haqc.errors import TargetError, nearest
from haqc.graph import FULL_BITS
from haqc.hardware.lookup import Lookup, Measured, Signature
from haqc.precision import FLOAT_BITS
from haqc.target import Target
from haqc.targets.description import Description, Quantity, Table, Text

MAX_TABLE_BYTES = 64 * 2**20
"""A table of half a million rows takes less."""

MAX_ROWS = 500_000
_MOST = 2**40
_COLUMNS = (
    *("op", "kernel", "stride", "in_channels", "out_channels", "groups", "height", "width", "batch"),
    *("weight_bits", "activation_bits", "latency_s", "energy_j"),
)
_OPS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


class MeasurementsTable(Table):
    """Where the measurements are."""

    file: Text
    clock_mhz: Quantity


class LookupDescription(Description):
    """A whole target file of kind ``lookup``."""

    kind: Literal["lookup"]
    table: MeasurementsTable

    def hardware_in(self, folder: Path) -> Lookup:
        """Reads the table, which lies in the folder of the target file.

        Raises:
            TargetError: the table cannot be read, or a row of it is malformed or there twice.
        """
        return self._lookup(self._content(folder))

    def target(self, name: str, text: str, folder: Path) -> Target:
        """Makes the target; its text names the digest of the table, so that a changed table is a changed target.

        Raises:
            TargetError: like :meth:`hardware_in`.
        """
        digest = hashlib.sha256(self._content(folder)).hexdigest()
        made = super().target(name, text, folder)
        return replace(made, text=f"{text.rstrip()}\n# {self.table.file}: sha256 {digest}\n")

    def _content(self, folder: Path) -> bytes:
        name = self.table.file
        path = (folder / name).resolve()
        if Path(name).is_absolute() or not path.is_relative_to(folder.resolve()):
            raise TargetError(f"table '{name}' lies outside the target file's folder; put it beside the target file")
        try:
            if not path.is_file():
                raise TargetError(f"table '{name}' is not beside the target file; put it there, or correct 'file'")
            with path.open("rb") as file:
                content = file.read(MAX_TABLE_BYTES + 1)
        except (OSError, ValueError) as error:
            raise TargetError(f"table '{name}' cannot be read ({error}); check its name and permissions") from error
        if len(content) > MAX_TABLE_BYTES:
            raise TargetError(f"table '{name}' is over {MAX_TABLE_BYTES // 2**20} MiB; keep the layers that are needed")
        return content

    def _lookup(self, content: bytes) -> Lookup:
        cells: dict[tuple[Signature, int, int], Measured] = {}
        lines: dict[tuple[Signature, int, int], int] = {}
        for line, key, measured in _rows(content, self.table.file):
            if key in cells:
                raise TargetError(
                    f"table '{self.table.file}', line {line}: {key[0]} at {key[1]}/{key[2]} bits stands in line "
                    f"{lines[key]} already; keep one of them"
                )
            cells[key], lines[key] = measured, line
        if not cells:
            raise TargetError(f"table '{self.table.file}' has no rows; add at least one measured layer")
        return Lookup(self.table.clock_mhz * 1e6, self.table.file, cells)


def _rows(content: bytes, file: str) -> Iterator[tuple[int, tuple[Signature, int, int], Measured]]:
    """Yields each row of a table with its line."""
    try:
        reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        header = next(reader, [])
        unknown = [name for name in header if name not in _COLUMNS]
        if unknown:
            raise TargetError(
                f"table '{file}', line 1: unknown column '{unknown[0]}'{nearest(unknown[0], _COLUMNS)}; "
                f"allowed are {', '.join(_COLUMNS)}"
            )
        missing = [name for name in _COLUMNS if header.count(name) != 1]
        if missing:
            raise TargetError(f"table '{file}', line 1: column '{missing[0]}' must stand there once; mend the heading")
        for count, cells in enumerate(reader, start=1):
            if not cells:
                continue
            place = f"table '{file}', line {reader.line_num}"
            if count > MAX_ROWS:
                raise TargetError(f"{place}: more than {MAX_ROWS:,} rows; keep the layers that are needed")
            if len(cells) != len(header):
                raise TargetError(f"{place}: {len(cells)} cells under {len(header)} columns; mend the row")
            yield reader.line_num, *_row(dict(zip(header, cells, strict=True)), place)
    except (csv.Error, UnicodeDecodeError) as error:
        raise TargetError(f"table '{file}' is no CSV text in UTF-8 ({error}); export it again") from error


def _row(row: dict[str, str], place: str) -> tuple[tuple[Signature, int, int], Measured]:
    op = row["op"].strip()
    if op not in _OPS:
        raise TargetError(f"{place}: op '{op[:40]}' is no layer{nearest(op, _OPS)}; allowed are {', '.join(_OPS)}")
    kernel, stride = (_extents(row[name], name, place) for name in ("kernel", "stride"))
    if len(kernel) != len(stride) or bool(kernel) == (op in ("Gemm", "MatMul")):
        raise TargetError(
            f"{place}: kernel '{row['kernel'][:20]}' and stride '{row['stride'][:20]}' do not fit {op}; a convolution "
            "has one extent per axis in both, such as 3x3 and 1x1, and Gemm and MatMul leave both empty"
        )
    names = ("in_channels", "out_channels", "groups", "height", "width", "batch")
    channels_in, channels_out, groups, height, width, batch = (_whole(row[name], name, place) for name in names)
    weight, activation = (_width(row[name], name, place) for name in ("weight_bits", "activation_bits"))
    signature = Signature(op, kernel, stride, channels_in, channels_out, groups, height * width, batch)
    latency, energy = (_positive(row[name], name, place) for name in ("latency_s", "energy_j"))
    return (signature, weight, activation), Measured(latency, energy)


def _extents(text: str, name: str, place: str) -> tuple[int, ...]:
    return tuple(_whole(part, name, place) for part in text.strip().split("x")) if text.strip() else ()


def _whole(text: str, name: str, place: str) -> int:
    match = re.fullmatch(r"[0-9]{1,13}", text.strip())
    if match is None or not 1 <= int(match[0]) <= _MOST:
        raise TargetError(f"{place}: {name} must be a whole number from 1 to {_MOST:,}, not '{text[:40]}'")
    return int(match[0])


def _width(text: str, name: str, place: str) -> int:
    bits = _whole(text, name, place)
    if bits > FULL_BITS and bits != FLOAT_BITS:
        raise TargetError(f"{place}: {name} must be 1 to {FULL_BITS}, or {FLOAT_BITS} for float, not {bits}")
    return bits


def _positive(text: str, name: str, place: str) -> float:
    try:
        value = float(text) if "_" not in text else -1.0
    except ValueError:
        value = -1.0
    if not 0 < value < 1e12:
        raise TargetError(f"{place}: {name} must be a number above zero, not '{text[:40]}'; measure it again")
    return value
