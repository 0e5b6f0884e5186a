"""The benchmark of formats, in short: files at random policies compute in onnxruntime what the mirror computes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.formats import Campaign, main
from haqc.formats import RUNNABLE, FormatName
from haqc.runtime import VERSION

FORMATS: tuple[FormatName, ...] = ("qcdq", "qdq-native", "matmulnbits")
RUNTIMES = ("onnxruntime, unoptimised", "onnxruntime, defaults")


def check(name: str, folder: Path, count: int) -> None:
    rows = Campaign(name, folder).rows(count, FORMATS)
    assert {form.partition(",")[0] for form, _ in rows} == {*FORMATS} == RUNNABLE - {"codebook"}
    for (form, consumer), row in rows.items():
        if consumer in RUNTIMES:
            assert row.statuses == {"equal": count}, (form, consumer, row.first)
    assert {(form, runtime) for form in (*FORMATS, "qdq-native, opset 25") for runtime in RUNTIMES} <= {*rows}


@pytest.mark.slow
def test_digits(tmp_path: Path) -> None:
    check("digits", tmp_path, 2)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet8", "fashion", "vit"])
def test_networks(name: str, shared: Path, tmp_path: Path) -> None:
    check(name, tmp_path, 1)


def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *options: str | Path) -> list[str]:
    command = ["formats", "--count", "1", "--only", "digits", "--format", "qcdq", *map(str, options)]
    monkeypatch.setattr(sys, "argv", command)
    main()
    return capsys.readouterr().out.splitlines()[2:]


def test_a_row_is_printed_for_each_consumer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rows = printed(monkeypatch, capsys, "--out", tmp_path)
    assert [row.split(" | ")[:7] for row in rows[:2]] == [
        ["| digits", "qcdq", f"{runtime} {VERSION}", "1", "1", "0", "0"] for runtime in RUNTIMES
    ]
    monkeypatch.setattr("benchmarks.formats.Subject.of", lambda path: pytest.fail("measured once more"))
    assert printed(monkeypatch, capsys, "--out", tmp_path) == rows, "what is kept is not measured again"


def test_nothing_is_measured_where_it_is_to_be_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert printed(monkeypatch, capsys, "--out", tmp_path, "--print") == []
