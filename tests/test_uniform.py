"""The benchmark of uniform widths prints what was measured, and says what was not."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks.networks import real_networks
from benchmarks.uniform import TITLES, WAYS, WIDTHS, Subject, main

CELL = {
    "reference": 82.9,
    "emitted": 82.5,
    "difference": -0.4,
    "paired_standard_error": 0.25,
    "search": 84.05,
    "search_float": 78.6,
    "cpu_s": 61.4,
}


def test_cells_are_printed_from_their_files(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "resnet8-W4A4-labels.json").write_text(json.dumps(CELL), encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["uniform", "--out", str(tmp_path), "--print"])
    main()
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 2 * len(WIDTHS) * len(WAYS)
    assert {line.count("|") for line in (head, *rows)} == {len(TITLES) + 1}
    assert sum("not measured" in row for row in rows) == len(rows) - 1
    assert "| resnet8 | W4A4 | labels | 82.90 | 82.50 | -0.40 ± 0.25 | 84.05 (78.60) | 61 |" in rows


@pytest.mark.slow
def test_a_cell_is_measured(shared: Path, tmp_path: Path) -> None:
    """Eight bits cost ResNet-8 nothing, by the emitted file and on the whole reported split."""
    cell = Subject(real_networks(tmp_path)[0], "calibrated", tmp_path).measure("W8A8")
    assert cell["reference"] == pytest.approx(75.58, abs=0.005)
    assert abs(cell["difference"]) <= 4 * cell["paired_standard_error"] < 1.2
    assert cell.keys() >= CELL.keys()
