"""Writes what a compile found: ``report.json``, ``layers.csv`` and ``report.html``."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from haqc.errors import OutputError
from haqc.passes.report.csv import layers_csv
from haqc.passes.report.html import render_html

SCHEMA = 1
"""The ``schema`` of the reports this haqc writes (``docs/report-schema.md``)."""


@dataclass(frozen=True, slots=True)
class ReportFiles:
    """Where the three files of a report lie."""

    json: Path
    csv: Path
    html: Path


def report(content: Mapping[str, Any], folder: Path) -> ReportFiles:
    """Writes a report into ``folder``, which must exist; the same content gives the same bytes.

    All three texts are made before the first is written, and each file is put in place whole.

    Args:
        content: the report (``docs/report-schema.md``): plain JSON values, every figure finite or null.
        folder: the output folder.

    Raises:
        ValueError: a figure is not finite.
        OutputError: a file cannot be written.
    """
    files = ReportFiles(folder / "report.json", folder / "layers.csv", folder / "report.html")
    texts = {
        files.json: json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n",
        files.csv: layers_csv(content["layers"]),
        files.html: render_html(content),
    }
    for path, text in texts.items():
        # A lone surrogate (a file name that is not UTF-8) becomes \udcxx, which is also what JSON calls it.
        _replace(path, text.encode("utf-8", "backslashreplace"))
    return files


def _replace(path: Path, data: bytes) -> None:
    """Puts a file in place whole: whoever looks sees the old file or the new one."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        # Exclusive creation follows no link that somebody left under this name.
        with partial.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise OutputError(
            f"cannot write '{path}' ({error.strerror}); make room or choose another folder with --out"
        ) from error
