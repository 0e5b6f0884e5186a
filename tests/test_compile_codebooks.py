"""Compiles with ``--weights kmeans``: the file, its size, its verification, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from tests.command_line import CommandLine

pytest_plugins = ["tests.command_line"]

DIGITS = Path(__file__).resolve().parents[1] / "models" / "digits.onnx"
KMEANS = ("--target", "edge", "--weights", "kmeans", "--budget", "size=0.6")
TINY = ("--evaluations", "3", "--finetune", "16", "--final-finetune", "64", "--quiet")


@pytest.fixture(scope="module")
def folder(haqc: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("codebooks") / "out"
    with haqc.inline():
        outcome = haqc("compile", DIGITS, *KMEANS, *TINY, "--out", out)
    assert outcome.code == 0, outcome.err
    return out


def report(folder: Path) -> Any:
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def test_the_size_is_that_of_the_files_initialisers(folder: Path) -> None:
    stored = onnx.load(folder / "model.onnx").graph.initializer
    content = report(folder)
    whole = sum(numpy_helper.to_array(tensor).nbytes for tensor in stored)
    limit = content["cost"]["budget"][0]
    assert content["cost"]["policy"]["weight_bytes"] == limit["value"] == whole
    assert content["storage"] == {
        "initialiser_bytes": whole,
        "file_bytes": (folder / "model.onnx").stat().st_size,
    }
    assert limit["met"] and limit["limit"] == 0.6 * content["cost"]["baseline"]["weight_bytes"]
    assert not any(name.endswith(".weight") for name in (tensor.name for tensor in stored))


def test_the_page_says_what_was_counted(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Its weights are indices and codebooks" in page
    assert "are tensors that it stores" in page


def test_what_is_not_priced_is_null(folder: Path) -> None:
    content = report(folder)
    assert content["cost"]["policy"]["energy_j"] is content["cost"]["policy"]["latency_s"] is None
    assert all(layer["energy_j"] is None and layer["activation_bits"] == 32 for layer in content["layers"])
    notes = {entry.key: entry.value for entry in onnx.load(folder / "model.onnx").metadata_props}
    assert json.loads(notes["haqc"])["format"] == "codebook"
    policy = json.loads((folder / "policy.json").read_text(encoding="utf-8"))
    assert all("activations stay in float" in layer["float_data"] for layer in policy["layers"])


def test_verify_and_report_read_it(haqc: CommandLine, folder: Path) -> None:
    found = json.loads(haqc("verify", folder, "--json").out)
    assert found["ok"]
    compared = [each["compared"] for each in found["consumers"] if each["status"] != "absent"]
    assert compared == ["values", "values", "weights"]
    assert found["consumers"][2]["values"] == report(folder)["model"]["weights"]
    assert haqc("verify", folder / "model.onnx", "--quiet").code == 0
    assert "n/a" in haqc("report", folder).out


def test_a_changed_codebook_is_not_verified(haqc: CommandLine, folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "out"
    shutil.copytree(folder, copy)
    model = onnx.load(copy / "model.onnx")
    book = next(tensor for tensor in model.graph.initializer if tensor.name.endswith("_codebook"))
    book.CopyFrom(numpy_helper.from_array(np.nextafter(numpy_helper.to_array(book), np.float32(9)), book.name))
    onnx.save(model, copy / "model.onnx")
    said = haqc("verify", copy, "--quiet").sentence(4)
    (weight,) = (
        entry.value
        for node in model.graph.node
        for entry in node.metadata_props
        if entry.key == "haqc.weight" and book.name.split("_")[0] == node.input[1].split("_")[0]
    )
    assert f"the weights of tensor '{weight}' differ" in said


@pytest.mark.slow
@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize("kept", [True, False])
def test_a_resumed_compile_leaves_the_same_bytes(haqc: CommandLine, folder: Path, tmp_path: Path, kept: bool) -> None:
    copy = tmp_path / "out"
    shutil.copytree(folder, copy)
    (copy / "model.onnx").unlink()
    if not kept:
        (copy / ".state" / "codebooks.json").unlink()
    assert haqc("compile", DIGITS, *KMEANS, *TINY, "--out", copy, "--resume").code == 0
    for name in ("model.onnx", "policy.json", "layers.csv", "search.jsonl"):
        assert (copy / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize("text", ["", "[]", "[[1.0]]", "[[1e999]]", '{"a": 1}'])
def test_damaged_codebooks_are_refused(haqc: CommandLine, folder: Path, tmp_path: Path, text: str) -> None:
    copy = tmp_path / "out"
    shutil.copytree(folder, copy)
    (copy / ".state" / "codebooks.json").write_text(text, encoding="utf-8")
    said = haqc("compile", DIGITS, *KMEANS, *TINY, "--out", copy, "--resume").sentence(2)
    assert "codebooks.json' is damaged; start again with --force" in said


def test_other_budgets_are_refused(haqc: CommandLine, tmp_path: Path) -> None:
    words = ("--target", "edge", "--weights", "kmeans", "--budget", "energy=0.5", "--out", tmp_path / "out")
    said = haqc("compile", DIGITS, *words).sentence(2)
    assert said.startswith("budget 'energy=0.5' needs quantised activations")
    assert not (tmp_path / "out").exists()


def test_a_size_out_of_reach_is_refused_with_the_smallest(haqc: CommandLine, tmp_path: Path) -> None:
    words = ("--target", "edge", "--weights", "kmeans", "--budget", "size=0.1", "--out", tmp_path / "out")
    assert "the smallest reachable size is" in haqc("compile", DIGITS, *words).sentence(3)
