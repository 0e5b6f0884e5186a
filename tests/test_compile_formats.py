"""A compile in several formats: one search, one folder, every file verified by who reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import onnx
import pytest

from haqc.formats import CHOICES, beside_files
from haqc.onnxfile import METADATA_KEY

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from tests.command_line import CommandLine

pytest_plugins = ["tests.command_line"]

QUICK = ("--evaluations", "2", "--finetune", "0", "--reconstruct", "0", "--allocator", "greedy")


@pytest.fixture(scope="module")
def folder(haqc: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("formats") / "digits.haqc"
    asked = [option for name in CHOICES for option in ("--format", name)]
    with haqc.inline():
        outcome = haqc("compile", haqc.digits, "-t", "edge", "-b", "energy=0.5", "--out", out, *QUICK, *asked, "-q")
    assert outcome.code == 0, outcome.err
    return out


def test_every_format_is_a_file(folder: Path) -> None:
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert [entry["format"] for entry in report["formats"]] == list(CHOICES)
    assert report["formats"][0]["file"] == "model.onnx"
    for entry in report["formats"]:
        assert (folder / entry["file"]).stat().st_size == entry["bytes"]
        assert 0 < entry["container_bytes"] < entry["bytes"]
        assert 0 < entry["compressed_bytes"] < entry["bytes"]
        model = onnx.load(folder / entry["file"])
        (text,) = [pair.value for pair in model.metadata_props if pair.key == METADATA_KEY]
        assert json.loads(text)["policy"] == json.loads((folder / "policy.json").read_text(encoding="utf-8"))


def test_sizes_stand_side_by_side(folder: Path) -> None:
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    stored = report["stored"]
    assert stored["packed_bytes"] == report["cost"]["policy"]["weight_bytes"]
    assert stored["packed_bytes"] <= stored["container_bytes"] == report["model"]["weights"]  # a byte for each
    assert stored["file_bytes"] == (folder / "model.onnx").stat().st_size
    assert stored["compressed_file_bytes"] < stored["file_bytes"]


def test_all_files_are_verified_again(haqc: CommandLine, folder: Path) -> None:
    outcome = haqc("verify", folder, "--json")
    assert outcome.code == 0, outcome.err
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert json.loads(outcome.out)["consumers"] == report["verification"]["consumers"]


def test_formats_do_not_bear_on_the_search_and_old_ones_go(haqc: CommandLine, folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    with haqc.inline() as jobs:
        outcome = haqc(
            "compile", haqc.digits, "-t", "edge", "-b", "energy=0.5", "--out", folder, *QUICK, "--resume", "-q"
        )
    assert outcome.code == 0, outcome.err
    assert jobs.count("score") == 0
    after = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert {*before} - {*after} == {*beside_files()} & {*before}
    assert [name for name in ("model.onnx", "policy.json", "search.jsonl") if before[name] != after[name]] == []


def test_an_unknown_format_is_refused(haqc: CommandLine) -> None:
    sentence = haqc("compile", haqc.digits, "-t", "edge", "-b", "energy=0.5", "--format", "onnx").sentence(2)
    assert "'onnx' is no format; there are qcdq, " in sentence
