"""``haqc verify`` and ``haqc report``: what a compile left still computes, and says, what it did."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest

from haqc.check import check_folder_or_file, read_report
from haqc.errors import DataError

if TYPE_CHECKING:
    from tests.command_line import CommandLine, Compiled

pytest_plugins = ["tests.command_line"]

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "models" / "digits.data.toml"


class Silence:
    """Listens to what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def copied(compiled: Compiled, tmp_path: Path) -> Path:
    """A copy of the compiled folder, to be damaged."""
    return Path(shutil.copytree(compiled.folder, tmp_path / "digits.haqc"))


@pytest.fixture
def unlabelled(tmp_path: Path) -> Path:
    """Images as the model takes them, without labels."""
    with np.load(ROOT / "models" / "digits.npz") as file:
        np.savez(tmp_path / "images.npz", x=file["x_train"].astype(np.float32) / 16)
    return tmp_path / "images.npz"


def change(model: Path, layer: str, part: str, amount: int) -> str:
    """Adds to one value of the largest initializer whose name holds ``layer`` and ``part``; gives that name."""
    proto = onnx.load(model)
    found = [tensor for tensor in proto.graph.initializer if layer in tensor.name and part in tensor.name]
    tensor = max(found, key=lambda one: int(np.prod(one.dims)))
    array = onnx.numpy_helper.to_array(tensor).copy()
    place = int(np.argmin(array))
    array.flat[place] += amount
    tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    onnx.save(proto, model)
    return tensor.name


# A folder.


def test_a_folder_is_verified(haqc: CommandLine, compiled: Compiled) -> None:
    before = haqc.tree(compiled.folder)
    outcome = haqc("verify", compiled.folder)
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert lines[0] == "model.onnx: ONNX checker passed, 64 probe inputs"
    assert "  onnxruntime, unoptimised against mirror: equal by the rule" in lines
    assert "  onnxruntime, defaults against onnxruntime, unoptimised: equal by the rule" in lines
    equal = sum(line.endswith("equal by the rule") for line in lines)  # OpenVINO too, where it is installed
    counted = [line.strip() for line in lines if "codes differ" in line]
    assert len(counted) == equal
    assert all(line.endswith("codes differ" if line.startswith("0 of") else "codes differ, by one") for line in counted)
    assert max(map(len, lines)) <= 80
    assert haqc.tree(compiled.folder) == before


def test_the_verdict_is_that_of_the_report(haqc: CommandLine, compiled: Compiled) -> None:
    outcome = haqc("verify", compiled.folder, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    result, reported = json.loads(outcome.out), read_report(compiled.folder)["verification"]
    assert result == {"file": "model.onnx"} | {key: value for key, value in reported.items() if key != "accuracy"}
    decisive = [consumer for consumer in result["consumers"] if consumer["decides"]]
    assert [consumer["status"] for consumer in decisive] == ["equal", "equal"]
    assert all(consumer["values"] > 100_000 for consumer in decisive)


def test_the_accuracy_is_measured_again(haqc: CommandLine, compiled: Compiled) -> None:
    outcome = haqc("verify", compiled.folder, "--data", DATA, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    accuracy = read_report(compiled.folder)["accuracy"]
    expected = {key: accuracy[key] for key in ("metric", "unit", "count", "emitted", "mirror")}
    assert json.loads(outcome.out)["accuracy"] == expected
    shown = haqc("verify", compiled.folder, "--data", DATA).out.splitlines()[-1]
    assert shown == f"  top-1 accuracy {accuracy['emitted']:.2f} % on 540 held-out samples"


def test_an_accuracy_that_is_not_the_mirrors_is_refused(haqc: CommandLine, copied: Path, tmp_path: Path) -> None:
    report = read_report(copied)
    mirror, tolerance = report["accuracy"]["mirror"], report["verification"]["accuracy"]["tolerance"]
    report["accuracy"]["mirror"] = mirror - tolerance - 0.5
    (copied / "report.json").write_text(json.dumps(report), encoding="utf-8")
    sentence = haqc("verify", copied, "--data", DATA).sentence(4)
    assert sentence.startswith(
        f"'{copied / 'model.onnx'}' does not match: its top-1 is {mirror} where the mirror's was "
    )
    assert sentence.endswith(f"(allowed is a difference of {tolerance:.3g}); compile again")
    assert haqc("verify", copied).code == 0
    # On other data there is nothing to compare with.
    with np.load(ROOT / "models" / "digits.npz") as file:
        np.savez(tmp_path / "other.npz", x=file["x_train"].astype(np.float32) / 16, y=file["y_train"])
    assert haqc("verify", copied, "--data", tmp_path / "other.npz").code == 0


def test_a_report_without_formats_is_refused(haqc: CommandLine, copied: Path) -> None:
    report = read_report(copied)
    for wrong in ([], "qcdq", [{"format": "../qcdq"}], [{"format": ["qcdq"]}], [{}]):
        (copied / "report.json").write_text(json.dumps(report | {"formats": wrong}), encoding="utf-8")
        assert "lists no formats that this haqc knows" in haqc("verify", copied).sentence(2)


def test_labels_overrule_the_agreement_of_a_report(copied: Path) -> None:
    """What was compiled without data is judged by the data that turn up later."""
    report = read_report(copied)
    report["accuracy"]["metric"] = "agreement"
    (copied / "report.json").write_text(json.dumps(report), encoding="utf-8")
    accuracy = check_folder_or_file(copied, str(DATA), Silence())["accuracy"]
    assert (accuracy["metric"], accuracy["emitted"], accuracy["mirror"]) == (
        "top-1",
        report["accuracy"]["emitted"],
        None,
    )


def test_data_without_labels_give_no_accuracy(compiled: Compiled, unlabelled: Path) -> None:
    listener = Silence()
    result = check_folder_or_file(compiled.folder, str(unlabelled), listener)
    assert "accuracy" not in result
    assert listener.said == ["'images.npz' has no labels, so no accuracy is measured"]


@pytest.mark.parametrize(
    ("layer", "part", "amount", "tensor"),
    [
        ("block2.project", "weight", 3, "'block2.project"),
        ("block4.depthwise", "weight", 3, "'block4.depthwise"),
        ("stem", "bias", 4000, "'stem"),
        ("classifier", "weight", 60, "'logits'"),
    ],
)
def test_a_changed_file_is_found(
    haqc: CommandLine, copied: Path, layer: str, part: str, amount: int, tensor: str
) -> None:
    assert layer in change(copied / "model.onnx", layer, part, amount)
    for options in ([], ["--json"], ["--quiet"]):
        sentence = haqc("verify", copied, *options).sentence(4)
        assert sentence.startswith(f"'{copied / 'model.onnx'}' does not match: onnxruntime, unoptimised: ")
        assert tensor in sentence
        assert "differ" in sentence
        assert sentence.endswith("; compile again")


def test_a_file_that_is_no_longer_whole_is_refused(haqc: CommandLine, copied: Path) -> None:
    model = copied / "model.onnx"
    model.write_bytes(model.read_bytes()[:-5000])
    assert f"'{model}' is not " in haqc("verify", copied).sentence(2)
    model.unlink()
    assert f"'{model}' does not exist" in haqc("verify", copied).sentence(2)


def test_another_file_in_its_place_is_refused(haqc: CommandLine, copied: Path) -> None:
    shutil.copy(haqc.digits, copied / "model.onnx")
    assert "'block1." in haqc("verify", copied).sentence(2)


@pytest.mark.parametrize("damage", ["missing", "cut", "text", "pickle"])
def test_a_damaged_probe_is_refused(haqc: CommandLine, copied: Path, damage: str) -> None:
    probe = copied / ".state" / "probe.npz"
    content = probe.read_bytes()
    probe.unlink()
    if damage == "pickle":
        np.savez(probe, names=np.array([{}], dtype=object))
    elif damage != "missing":
        probe.write_bytes(content[:1000] if damage == "cut" else b"no probe")
    sentence = haqc("verify", copied).sentence(2)
    assert sentence.startswith(f"'{probe}' is missing; " if damage == "missing" else f"'{probe}' is not a probe ")


# A file alone.


def test_a_file_alone_is_checked_against_itself(haqc: CommandLine, compiled: Compiled, tmp_path: Path) -> None:
    model = Path(shutil.copy(compiled.folder / "model.onnx", tmp_path / "alone.onnx"))
    outcome = haqc("verify", model)
    assert outcome.code == 0
    assert outcome.err == (
        "a file alone: only the runtime's agreement with itself is checked; name the folder to check all\n"
    )
    assert outcome.out.startswith("alone.onnx: ONNX checker passed, 64 probe inputs\n")
    assert "against mirror" not in outcome.out
    change(model, "block2.project", "weight", 3)
    assert haqc("verify", model).code == 0  # still a file that agrees with itself, which is all that is promised


def test_a_file_alone_with_data(haqc: CommandLine, compiled: Compiled, tmp_path: Path, unlabelled: Path) -> None:
    model = Path(shutil.copy(compiled.folder / "model.onnx", tmp_path / "alone.onnx"))
    result = json.loads(haqc("verify", model, "--data", DATA, "--json").out)
    assert result["accuracy"]["emitted"] == read_report(compiled.folder)["accuracy"]["emitted"]
    assert result["accuracy"]["mirror"] is None
    assert "accuracy" not in json.loads(haqc("verify", model, "--data", unlabelled, "--json").out)


@pytest.mark.parametrize("metadata", [None, "{", "[]"])
def test_a_file_that_haqc_did_not_emit_is_refused(
    haqc: CommandLine, compiled: Compiled, tmp_path: Path, metadata: str | None
) -> None:
    proto = onnx.load(compiled.folder / "model.onnx")
    (entry,) = [entry for entry in proto.metadata_props if entry.key == "haqc"]
    entry.key, entry.value = ("haqc", metadata) if metadata else ("other", "")
    onnx.save(proto, tmp_path / "alone.onnx")
    sentence = haqc("verify", tmp_path / "alone.onnx").sentence(2)
    assert ("was not emitted by haqc; compile the model first" if metadata is None else "was edited after") in sentence


def test_a_model_of_the_user_is_refused(haqc: CommandLine, tmp_path: Path) -> None:
    assert "was not emitted by haqc; compile the model first" in haqc("verify", haqc.digits).sentence(2)
    assert "does not exist; give the folder of a compile, or" in haqc("verify", tmp_path / "missing").sentence(2)


# Reports.


@pytest.mark.parametrize("command", ["report", "verify"])
def test_a_folder_without_a_report(haqc: CommandLine, tmp_path: Path, command: str) -> None:
    sentence = haqc(command, tmp_path).sentence(2)
    assert sentence == f"'{tmp_path}' holds no report.json; name the output folder of 'haqc compile'"
    (tmp_path / "search.jsonl").touch()
    sentence = haqc(command, tmp_path).sentence(2)
    assert sentence.endswith("holds no report.json, for what was begun there has not ended; run it again with --resume")
    (tmp_path / "front.json").touch()
    assert "name the folder of one of its points" in haqc("verify", tmp_path).sentence(2)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "cannot be read as a report; compile again"),
        (b"{", "cannot be read as a report"),
        (b"[" * 100_000, "cannot be read as a report"),
        (b"\xff", "cannot be read as a report"),
        (b"[]", "is no report of haqc; name the output folder of 'haqc compile'"),
        (b'{"schema": 1}', "is no report of haqc"),
    ],
    ids=range(6),
)
def test_a_damaged_report(haqc: CommandLine, copied: Path, content: bytes, said: str) -> None:
    (copied / "report.json").write_bytes(content)
    for command in ("report", "verify"):
        assert f"'{copied / 'report.json'}' {said}" in haqc(command, copied).sentence(2)


@pytest.mark.parametrize(
    ("change_to", "said"),
    [
        ({"accuracy": []}, "is no report of haqc"),
        ({"layers": {}}, "is no report of haqc"),
        ({"schema": 2}, "has report schema 2; this haqc reads 1: compile again"),
        ({"schema": None}, "has report schema None; this haqc reads 1: compile again"),
    ],
)
def test_a_report_with_other_content(copied: Path, change_to: dict[str, Any], said: str) -> None:
    content = read_report(copied) | change_to
    (copied / "report.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DataError, match=said):
        read_report(copied)


def test_a_huge_report_is_not_read(copied: Path) -> None:
    with (copied / "report.json").open("r+b") as file:
        file.truncate((1 << 28) + 1)
    with pytest.raises(DataError, match="is larger than any report"):
        read_report(copied)


def test_names_that_steer_a_terminal_are_harmless(haqc: CommandLine, copied: Path) -> None:
    report = read_report(copied)
    report["layers"][0]["name"] = report["model"]["name"] = "a\x1b[2Jb"
    (copied / "report.json").write_text(json.dumps(report), encoding="utf-8")
    shown = haqc("report", copied).out
    assert "\x1b" not in shown
    assert "a\\u001b[2Jb" in shown
    renamed = copied / "\x1b[2J.onnx"
    shutil.copy(copied / "model.onnx", renamed)
    assert "\x1b" not in haqc("verify", renamed).out
