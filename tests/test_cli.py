"""The command line: every mistake is one sentence and an exit code, and leaves nothing behind."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

if TYPE_CHECKING:
    from tests.command_line import CommandLine, Compiled

pytest_plugins = ["tests.command_line"]

ROOT = Path(__file__).resolve().parents[1]
HALF = ("--target", "edge", "--budget", "energy=0.5")
WHOLE = ("--target", "edge", "--budget", "energy=1")
DRAWING = "Bernoulli"


def small_model(path: Path, *, then: str = "Relu", classes: int | None = None) -> Path:
    """Writes a 3 x 3 convolution of 8 x 8 images, what follows it, and, where there are classes, their scores."""
    draw = np.random.default_rng(5)
    kernel = draw.normal(0, 0.3, (4, 1, 3, 3)).astype(np.float32)
    nodes = [helper.make_node("Conv", ["image", "kernel"], ["map"], "conv", pads=[1, 1, 1, 1])]
    nodes.append(helper.make_node(then, ["map"], ["after"], "then"))
    tensors, last, shape = [onnx.numpy_helper.from_array(kernel, "kernel")], "after", [None, 4, 8, 8]
    if classes:
        weight = draw.normal(0, 0.1, (256, classes)).astype(np.float32)
        tensors.append(onnx.numpy_helper.from_array(weight, "weight"))
        nodes.append(helper.make_node("Flatten", ["after"], ["flat"], "flatten"))
        nodes.append(helper.make_node("Gemm", ["flat", "weight"], ["scores"], "classify"))
        last, shape = "scores", [None, classes]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 8, 8])
    output = helper.make_tensor_value_info(last, TensorProto.FLOAT, ["batch", *shape[1:]])
    graph = helper.make_graph(nodes, "small", [image], [output], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
    return path


def scaled_digits(**changes: np.ndarray) -> dict[str, np.ndarray]:
    """Gives the digits as their model takes them, with some arrays replaced."""
    with np.load(ROOT / "models" / "digits.npz") as file:
        arrays = {name: file[name] for name in file.files}
    arrays |= {name: arrays[name].astype(np.float32) / 16 for name in ("x_train", "x_test")}
    return arrays | changes


# Usage.


@pytest.mark.parametrize("command", [("compile",), ("sweep",), ("emit", "--policy", "p.json")])
def test_a_folder_is_no_standard_output(haqc: CommandLine, command: tuple[str, ...], tmp_path: Path) -> None:
    outcome = haqc(*command, haqc.digits, "--target", "edge", "--out", "-")
    assert "which holds no folder; name a folder, and add --json" in outcome.sentence(2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["comple"], r"No such command 'comple'\. Did you mean 'compile'\?; see 'haqc --help'"),
        (["targets", "chek"], r"No such command 'chek'\. Did you mean 'check'.*\?; see 'haqc targets --help'"),
        (["compile"], "Missing argument 'model'; see 'haqc compile --help'"),
        (["verify"], "Missing argument 'path'; see 'haqc verify --help'"),
        (["compile", "m.onnx", "--budget", "energy=0.5"], "Missing option '--target'.*; see 'haqc compile --help'"),
        (["compile", "m.onnx", "--target", "edge"], "there is nothing to fit; give --budget METRIC=VALUE"),
        (["compile", "m.onnx", *HALF, "--evaluation", "4"], "No such option: --evaluation .*--evaluations"),
        (["compile", "m.onnx", *HALF, "--seed", "-1"], "'--seed': .* greater than or equal to 0"),
        (["compile", "m.onnx", *HALF, "--seed", str(2**63)], "'--seed': .* less than or equal to"),
        (["compile", "m.onnx", *HALF, "--jobs", "many"], "'--jobs': .* valid integer"),
        (["compile", "m.onnx", *HALF, "--min-bits", "9"], "'--min-bits': .* less than or equal to 8"),
        (["compile", "m.onnx", *HALF, "--pin", "conv=9/9"], "pin 'conv=9/9' is malformed; write NAME=W/A"),
        (["compile", "m.onnx", *HALF, "--pin", "8/8"], "pin '8/8' is malformed; write NAME=W/A"),
        (["compile", "m.onnx", *HALF, "--at-least", "a=0"], "--at-least 'a=0' is malformed; write NAME=W/A"),
        (["cost", "m.onnx", "--target", "edge", "--bits", "9"], "bits '9' are malformed; write a width such as 8"),
        (["cost", "m.onnx", "--target", "edge", "--bits", "4/"], "bits '4/' are malformed"),
        (["cost", "m.onnx", "--target", "edge", "--bits", "4", "--policy", "p.json"], "either --bits or --policy"),
        (["cost", "m.onnx", "--target", "edge", "--format", "xml"], "unknown format 'xml'; allowed are table, json"),
        (["cost", "m.onnx", "--target", "edge", "--batch", "0"], "'--batch': .* greater than or equal to 1"),
    ],
)
def test_wrong_usage(haqc: CommandLine, arguments: list[str], said: str) -> None:
    assert re.search(said, haqc(*arguments).sentence(2))


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ("latency=10", r"'latency=10' is no fraction in \(0, 1\]; did you mean latency=10ms\?"),
        ("energy=0", "budget 'energy=0' is no fraction"),
        ("energy", "lacks '='; write METRIC=VALUE"),
        ("enrgy=0.5", r"unknown budget metric 'enrgy' \(did you mean 'energy'\?\); allowed are energy, latency"),
        ("energy=3ms", "unknown unit 'ms' in budget 'energy=3ms'; energy takes J, mJ"),
        (
            "size=big",
            "has no number above zero; write a fraction such as size=0.5 or a value with a unit such as size=10K",
        ),
        ("energy=nan", "has no number above zero; write"),
        ("energy=-1mJ", "has no number above zero; write"),
    ],
)
def test_a_malformed_budget(haqc: CommandLine, tmp_path: Path, budget: str, said: str) -> None:
    assert re.search(said, haqc.compile_digits(tmp_path / "out", budget=budget).sentence(2))
    assert haqc.tree(tmp_path) == {}


def test_no_command_shows_the_help(haqc: CommandLine) -> None:
    outcome = haqc()
    assert (outcome.code, outcome.err) == (0, "")
    assert "compile" in outcome.out


def test_a_message_is_one_line_whatever_it_quotes(haqc: CommandLine) -> None:
    assert haqc("cost", "a\x1b[2J\nb.onnx", "--target", "edge").sentence(2).startswith("'a\\u001b[2J\\u000ab.onnx'")


# Models.


@pytest.mark.parametrize("command", ["compile", "cost"])
@pytest.mark.parametrize("content", ["text", "empty", "truncated", "missing", "folder"])
def test_what_is_no_model(haqc: CommandLine, tmp_path: Path, command: str, content: str) -> None:
    model = tmp_path / "model.onnx"
    if content == "folder":
        model.mkdir()
    elif content != "missing":
        whole = haqc.digits.read_bytes()
        model.write_bytes({"text": b"this is no model", "empty": b"", "truncated": whole[: len(whole) // 2]}[content])
    before = haqc.tree(tmp_path)
    options = HALF if command == "compile" else HALF[:2]
    outcome = haqc(command, model, *options, *(["--out", tmp_path / "out"] if command == "compile" else []))
    others = {"missing": "does not exist; give", "folder": "cannot be read", "empty": "is empty; export or copy"}
    reason = others.get(content, "is not an ONNX file")
    assert f"'{model}' {reason}" in outcome.sentence(2)
    assert haqc.tree(tmp_path) == before


def test_an_operator_that_draws_at_random(haqc: CommandLine, tmp_path: Path) -> None:
    model = small_model(tmp_path / "model.onnx", then=DRAWING)
    before = haqc.tree(tmp_path)
    sentence = haqc("compile", model, *WHOLE, "--out", tmp_path / "out").sentence(2)
    assert f"node 'then' ({DRAWING}, opset 21) draws at random" in sentence
    assert "haqc cost" in sentence
    assert haqc.tree(tmp_path) == before
    priced = haqc("cost", model, *HALF[:2], "--format", "json")
    assert priced.code == 0
    assert [layer["name"] for layer in json.loads(priced.out)["layers"]] == ["conv"]


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/hostname", "inside/../../secret.bin"])
def test_external_data_outside_the_folder(haqc: CommandLine, tmp_path: Path, location: str) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(4 * 1 * 9 * 4))
    folder = tmp_path / "models"
    folder.mkdir()
    model = small_model(folder / "model.onnx")
    proto = onnx.load(model)
    kernel = proto.graph.initializer[0]
    kernel.ClearField("raw_data")
    kernel.data_location = TensorProto.EXTERNAL
    kernel.external_data.add(key="location", value=location)
    model.write_bytes(proto.SerializeToString())
    before = haqc.tree(tmp_path)
    for command in (["compile", model, *HALF, "--out", tmp_path / "out"], ["cost", model, *HALF[:2]]):
        sentence = haqc(*command).sentence(2)
        assert (
            f"external data of tensor 'kernel' points outside the folder of 'model.onnx' (to '{location}')" in sentence
        )
    assert haqc.tree(tmp_path) == before


# Targets.


def test_an_unknown_target(haqc: CommandLine, tmp_path: Path) -> None:
    outcome = haqc("compile", haqc.digits, "--target", "egde", "--budget", "energy=0.5", "--out", tmp_path / "out")
    assert outcome.sentence(2).startswith("unknown target 'egde' (did you mean 'edge'?); built in are ")
    assert haqc.tree(tmp_path) == {}


def test_a_target_file_that_is_missing_or_wrong(haqc: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "chip.toml"
    arguments = ("compile", haqc.digits, "--target", file, "--budget", "energy=0.5", "--out", tmp_path / "out")
    assert f"target file '{file}' does not exist" in haqc(*arguments).sentence(2)
    file.write_text("batch = ", encoding="utf-8")
    assert f"target file '{file}': line 1: is no TOML text" in haqc(*arguments).sentence(2)
    assert list(haqc.tree(tmp_path)) == ["chip.toml"]


def test_targets(haqc: CommandLine, tmp_path: Path) -> None:
    listed = haqc("targets", "list")
    assert listed == haqc("targets")
    assert {"cloud", "edge"} <= {line.split()[0] for line in listed.out.splitlines() if line}
    shown = haqc("targets", "show", "edge", "--toml")
    assert shown.out.rstrip("\n") == (ROOT / "targets" / "edge.toml").read_text(encoding="utf-8").rstrip()
    assert haqc("targets", "check", ROOT / "targets" / "edge.toml").code == 0
    assert "unknown target 'egde'" in haqc("targets", "show", "egde").sentence(2)
    chip = tmp_path / "chip.toml"
    chip.write_text(shown.out.replace("batch = 1", "batches = 1"), encoding="utf-8")
    checked = haqc("targets", "check", chip)
    assert (checked.code, checked.out) == (2, "")
    assert "'batches'" in checked.err
    assert "Traceback" not in checked.err


# Data.


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("large label", "labels reach from 0 to 10, but the model has 10 outputs; number the classes from 0 to 9"),
        ("negative label", "reach from -1 to 9, but the model has 10 outputs; number the classes from 0"),
        ("no samples", "is empty; store samples"),
        ("no arrays", "holds no arrays; store x_train, y_train"),
        ("too few labels", "has 1257 samples and 'y_train' has 1256"),
        ("unknown array", r"unknown array 'x_trian' \(did you mean 'x_train'\?\)"),
        ("NaN", "holds NaN or infinity"),
        ("wrong shape", "8|input"),
    ],
)
def test_data_that_do_not_fit(haqc: CommandLine, tmp_path: Path, case: str, said: str) -> None:
    digits = scaled_digits()
    images, labels = digits["x_train"], digits["y_train"]
    arrays = {
        "large label": lambda: digits | {"y_train": np.where(np.arange(len(labels)) == 3, 10, labels)},
        "negative label": lambda: digits | {"y_train": np.where(np.arange(len(labels)) == 3, -1, labels)},
        "no samples": lambda: {"x": images[:0], "y": labels[:0]},
        "no arrays": lambda: {},
        "too few labels": lambda: digits | {"y_train": labels[:-1]},
        "unknown array": lambda: digits | {"x_trian": images},
        "NaN": lambda: digits | {"x_train": np.full_like(images, np.nan)},
        "wrong shape": lambda: {"x": images[:, :, :7], "y": labels},
    }[case]()
    data = tmp_path / "data.npz"
    np.savez(data, **arrays)
    before = haqc.tree(tmp_path)
    sentence = haqc.compile_digits(tmp_path / "out", "--data", data).sentence(2)
    assert str(data) in sentence or data.name in sentence
    assert re.search(said, sentence), sentence
    assert haqc.tree(tmp_path) == before


@pytest.mark.parametrize("kind", ["empty folder", "empty file", "missing", "folder of empty folders", "pickle"])
def test_data_that_are_none(haqc: CommandLine, tmp_path: Path, kind: str) -> None:
    data = tmp_path / ("data.npz" if kind in ("empty file", "pickle") else "data")
    if kind == "empty file":
        data.write_bytes(b"")
    elif kind == "pickle":
        np.savez(data, x=np.array([{"a": 1}], dtype=object))
    elif kind != "missing":
        data.mkdir()
    if kind == "folder of empty folders":
        (data / "cat").mkdir()
    before = haqc.tree(tmp_path)
    sentence = haqc.compile_digits(tmp_path / "out", "--data", data).sentence(2)
    assert str(data) in sentence
    assert haqc.tree(tmp_path) == before


def test_labels_for_a_model_that_is_no_classifier(haqc: CommandLine, tmp_path: Path) -> None:
    model, data = small_model(tmp_path / "model.onnx"), tmp_path / "data.npz"
    np.savez(data, **scaled_digits())
    before = haqc.tree(tmp_path)
    outcome = haqc("compile", model, *WHOLE, "--out", tmp_path / "out", "--data", data)
    assert "labels do not fit the model's output of shape [" in outcome.sentence(2)
    assert ", 4, 8, 8]; class labels need an output [batch, classes]" in outcome.err
    assert haqc.tree(tmp_path) == before


def test_data_in_the_wrong_scale(haqc: CommandLine, tmp_path: Path) -> None:
    # The file holds 0 to 16 where the network was trained on 0 to 1; without its description nothing divides by 16.
    sentence = haqc.compile_digits(tmp_path / "out", "--data", ROOT / "models" / "digits.npz").sentence(2)
    assert re.match(
        r"the float model reaches \d+\.\d\d % on the search split of 'digits.npz', where guessing ", sentence
    )
    assert "check the scaling (scale, mean, std, layout" in sentence
    assert haqc.tree(tmp_path) == {}


# Budgets that cannot be met.


@pytest.mark.parametrize("budget", ["energy=0.01", "latency=1ns", "size=1B"])
def test_a_budget_that_cannot_be_met(haqc: CommandLine, tmp_path: Path, budget: str) -> None:
    sentence = haqc.compile_digits(tmp_path / "out", budget=budget).sentence(3)
    metric = budget.partition("=")[0]
    assert sentence.startswith(f"budget {budget} cannot be met: the smallest reachable {metric} is ")
    assert "with 2/2 everywhere but 'stem' and 'classifier' at 8/8" in sentence
    assert haqc.tree(tmp_path) == {}


@pytest.mark.slow
def test_the_smallest_reachable_budget_can_be_met(haqc: CommandLine, jobs: object, tmp_path: Path) -> None:
    advised = re.search("allow (energy=[0-9.]+)", haqc.compile_digits(tmp_path / "out", budget="energy=1nJ").err)
    assert advised is not None
    outcome = haqc.compile_digits(tmp_path / "out", "--evaluations", "1", "--finetune", "0", budget=advised[1])
    assert outcome.code == 0, outcome.err
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["cost"]["budget"][0]["met"] is True


def test_two_budgets_of_which_one_cannot_be_met(haqc: CommandLine, tmp_path: Path) -> None:
    sentence = haqc.compile_digits(tmp_path / "out", "--budget", "size=1B").sentence(3)
    assert sentence.startswith("budget size=1B cannot be met")
    assert haqc.tree(tmp_path) == {}


# Pins.


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--pin", "stemm=8/8"], r"pin 'stemm' matches no layer \(did you mean 'stem'\?\); 'haqc cost' lists"),
        (["--pin", "last=1/1", "--target", "chip.toml"], "pin 'last' asks for 1-bit weights; offered are"),
        (["--at-least", "stemm=4"], r"--at-least 'stemm' matches no layer \(did you mean 'stem'\?\)"),
        (["--same-bits", "block1"], r"--same-bits 'block1' matches no layer \(did you mean 'block1\.expand'\?\)"),
        (["--keep-float", "lost"], r"--keep-float 'lost' matches no layer \(did you mean 'last'\?\)"),
        (
            ["--keep-float", "last", "--pin", "last=4"],
            r"pin 'last' matches no layer that is quantised: 'last' stays in",
        ),
        (["--keep-float", "*"], "holds no layer that can be quantised"),
        (["--mode", "fast"], "target 'edge' has no mode 'fast'"),
    ],
)
def test_options_that_do_not_fit_the_model_or_target(
    haqc: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    edge = (ROOT / "targets" / "edge.toml").read_text(encoding="utf-8")
    (tmp_path / "chip.toml").write_text(edge.replace("[1, 2, 3, 4, 5, 6, 7, 8]", "[4, 8]"), encoding="utf-8")
    before = haqc.tree(tmp_path)
    assert re.search(said, haqc.compile_digits(tmp_path / "out", *options).sentence(2))
    assert haqc.tree(tmp_path) == before


# Output folders.


def test_an_output_folder_that_is_a_file(haqc: CommandLine, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("mine", encoding="utf-8")
    for path in (out, out / "below"):
        assert f"'{path}' cannot be written" in haqc.compile_digits(path).sentence(2)
    assert haqc.tree(tmp_path) == {"out": b"mine"}


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs /proc, a folder that nobody can write to")
@pytest.mark.parametrize("out", ["/proc/haqc", "/proc/missing/haqc", "/proc/self/task"])
def test_an_output_folder_that_cannot_be_written(haqc: CommandLine, out: str) -> None:
    sentence = haqc.compile_digits(Path(out), "--force").sentence(2)
    assert sentence.startswith(f"'{out}' cannot be written (")
    assert sentence.endswith("name another folder with --out")


def test_an_output_folder_that_is_not_empty(haqc: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    sentence = haqc.compile_digits(tmp_path).sentence(2)
    assert sentence.startswith(f"'{tmp_path}' is not empty; add --resume to go on there, --force to replace what haqc")
    assert haqc.tree(tmp_path) == {"notes.txt": b"mine"}


@pytest.mark.parametrize("option", ["--force", "--resume"])
def test_a_model_in_the_output_folder_survives(haqc: CommandLine, tmp_path: Path, option: str) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(haqc.digits.read_bytes())
    before = haqc.tree(tmp_path)
    sentence = haqc("compile", model, *HALF, "--out", tmp_path, option).sentence(2)
    assert (
        sentence == f"'{model}' was not left there by a compile, and would be replaced; name another folder with --out"
    )
    assert haqc.tree(tmp_path) == before


# What prints.


def test_cost_prints_a_table_json_and_csv(haqc: CommandLine) -> None:
    asked = ("cost", haqc.digits, "--target", "edge", "--bits", "4/8")
    table, as_json, as_csv = haqc(*asked), haqc(*asked, "--format", "json"), haqc(*asked, "--format", "csv")
    assert [outcome.code for outcome in (table, as_json, as_csv)] == [0, 0, 0]
    assert table.err == as_json.err == as_csv.err == ""
    content = json.loads(as_json.out)
    assert {"model", "target", "batch", "layers", "total", "baseline"} <= set(content)
    assert {(layer["weight_bits"], layer["activation_bits"]) for layer in content["layers"][1:]} == {(4, 8)}
    rows = list(csv.DictReader(as_csv.out.splitlines()))
    names = [layer["name"] for layer in content["layers"]]
    assert [row["name"] for row in rows] == names
    assert sum(float(row["energy_j"]) for row in rows) == pytest.approx(content["total"]["energy_j"], rel=1e-12)
    assert all(name in table.out for name in names)


def test_cost_of_eight_bits_is_the_baseline(haqc: CommandLine) -> None:
    content = json.loads(haqc("cost", haqc.digits, "--target", "cloud", "--format", "json").out)
    assert content["total"] == content["baseline"]
    assert content["batch"] == 16


def test_cost_of_a_larger_batch(haqc: CommandLine) -> None:
    asked = ("cost", haqc.digits, "--target", "edge", "--format", "json")
    one, four = (json.loads(haqc(*asked, "--batch", str(batch)).out) for batch in (1, 4))
    assert four["batch"] == 4
    assert four["total"]["weight_bytes"] == one["total"]["weight_bytes"]
    assert four["total"]["peak_activation_bytes"] == 4 * one["total"]["peak_activation_bytes"]
    assert one["total"]["energy_j"] < four["total"]["energy_j"] <= 4 * one["total"]["energy_j"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": 1}', "[" * 100_000], ids=range(5))
def test_cost_of_a_policy_that_is_none(haqc: CommandLine, tmp_path: Path, content: str) -> None:
    policy = tmp_path / "policy.json"
    policy.write_text(content, encoding="utf-8")
    sentence = haqc("cost", haqc.digits, "--target", "edge", "--policy", policy).sentence(2)
    assert sentence.startswith(f"'{policy}' ")


def test_cost_of_a_policy_that_is_missing(haqc: CommandLine, tmp_path: Path) -> None:
    sentence = haqc("cost", haqc.digits, "--target", "edge", "--policy", tmp_path / "p.json").sentence(2)
    assert sentence == f"'{tmp_path / 'p.json'}' cannot be read (No such file or directory); " + (
        "give a policy.json of 'haqc compile'"
    )


def test_report_prints_what_the_compile_printed(haqc: CommandLine, compiled: Compiled) -> None:
    again = haqc("report", compiled.folder)
    assert (again.code, again.err, again.out) == (0, "", compiled.outcome.out)
    as_json = haqc("report", compiled.folder, "--json")
    assert json.loads(as_json.out) == json.loads((compiled.folder / "report.json").read_text(encoding="utf-8"))


def test_report_puts_two_compiles_side_by_side(haqc: CommandLine, compiled: Compiled) -> None:
    shown = haqc("report", compiled.folder, "--compare", compiled.folder)
    assert (shown.code, shown.err) == (0, "")
    assert "0 of 15 layers have other widths." in shown.out
    assert max(map(len, shown.out.splitlines())) <= 80
    assert "holds no report.json" in haqc("report", compiled.folder, "--compare", compiled.folder.parent).sentence(2)
    sentence = haqc("report", compiled.folder, "--compare", compiled.folder, "--json").sentence(2)
    assert sentence.endswith("give one of them")


def test_report_opens_its_page(haqc: CommandLine, compiled: Compiled, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or True)
    outcome = haqc("report", compiled.folder, "--open")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    assert opened == [(compiled.folder / "report.html").resolve().as_uri()]
    monkeypatch.setattr(webbrowser, "open", lambda url: False)
    assert "open the file by hand" in haqc("report", compiled.folder, "--open").sentence(2)


def test_a_compile_says_how_good_the_float_model_is(compiled: Compiled) -> None:
    assert re.fullmatch(
        r"float model on the search split \(125 samples\): \d+\.\d\d % top-1\n", compiled.outcome.err
    ), compiled.outcome.err


@pytest.mark.slow
def test_quiet_prints_nothing(
    haqc: CommandLine, jobs: object, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    outcome = haqc.compile_digits(tmp_path / "out", "--quiet", "--finetune", "0")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    assert haqc("verify", tmp_path / "out", "--quiet").out == ""
    assert capfd.readouterr() == ("", "")  # nor do the libraries below


@pytest.mark.slow
def test_json_prints_the_report_and_nothing_else(haqc: CommandLine, jobs: object, tmp_path: Path) -> None:
    outcome = haqc.compile_digits(
        tmp_path / "out", "--json", "--finetune", "0", "--reconstruct", "0", "--allocator", "uniform"
    )
    assert (outcome.code, outcome.err) == (0, "")
    assert json.loads(outcome.out) == json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_the_output_folder_is_named_after_the_model(
    haqc: CommandLine, jobs: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    model = small_model(tmp_path / "models" / "net.onnx")
    outcome = haqc("compile", model, *WHOLE)
    assert outcome.code == 0, outcome.err
    assert (tmp_path / "net.haqc" / "model.onnx").is_file()
    assert list(haqc.tree(tmp_path / "models")) == ["net.onnx"]


# As a process of its own.


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["targets", "list"],
        *(pytest.param(each, marks=pytest.mark.slow) for each in (["--version"], ["compile", "--help"])),
    ],
    ids=" ".join,
)
def test_what_needs_no_heavy_library_loads_none(arguments: list[str]) -> None:
    done = python("-X", "importtime", "-m", "haqc", *arguments)
    assert done.returncode == 0, done.stderr
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "haqc" in loaded
    assert loaded.isdisjoint({"torch", "onnxruntime", "onnx"})


@pytest.mark.slow
def test_as_a_process() -> None:
    done = python("-m", "haqc", "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"haqc \d+\.\d+\.\d+\n", done.stdout)
    done = python("-m", "haqc", "compile", "models/digits.npz", *HALF, "--out", "build/never")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == ("haqc: 'models/digits.npz' is not an ONNX file, or is truncated; export or copy it again\n")
    assert not (ROOT / "build" / "never").exists()


@pytest.mark.slow
def test_a_name_that_the_terminal_lacks_the_letters_for(tmp_path: Path) -> None:
    proto = onnx.load(small_model(tmp_path / "model.onnx"))
    proto.graph.node[0].name = "\u6f22"
    onnx.save(proto, tmp_path / "model.onnx")
    for output in ("table", "json", "csv"):
        command = [sys.executable, "-m", "haqc", "cost", str(tmp_path / "model.onnx"), "-t", "edge", "-f", output]
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=False, env={"PYTHONIOENCODING": "ascii"}
        )
        assert done.returncode == 0, done.stderr
