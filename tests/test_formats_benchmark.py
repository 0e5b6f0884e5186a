"""The benchmark of formats, in short: files at random policies compute in onnxruntime what the mirror computes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.formats import main, measured
from benchmarks.subjects import FILES, Subject, model_file
from haqc.formats import RUNNABLE, FormatName

FORMATS: tuple[FormatName, ...] = ("qcdq", "qdq-native", "matmulnbits")
RUNTIMES = ("onnxruntime, unoptimised", "onnxruntime, defaults")


def check(subject: Subject, count: int) -> None:
    rows = measured(subject, count, FORMATS)
    assert {form.partition(",")[0] for form, _ in rows} == {*FORMATS} == RUNNABLE - {"codebook"}
    for (form, consumer), row in rows.items():
        if consumer in RUNTIMES:
            assert row.statuses == {"equal": count}, (form, consumer, row.first)
    assert {(form, runtime) for form in (*FORMATS, "qdq-native, opset 25") for runtime in RUNTIMES} <= {*rows}


def test_digits() -> None:
    check(Subject.of(FILES["digits"]), 2)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet8", "fashion", "vit"])
def test_networks(name: str, shared: Path, tmp_path: Path) -> None:
    check(Subject.of(model_file(name, tmp_path)), 1)


def test_a_row_is_printed_for_each_consumer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    command = ["formats", "--count", "1", "--only", "digits", "--format", "qcdq", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", command)
    main()
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split(" | ")[:5] for row in rows[:2]] == [
        ["| digits", "qcdq", runtime, "1", "1"] for runtime in RUNTIMES
    ]
