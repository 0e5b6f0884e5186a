"""A whole compile: what it leaves is complete, true, within the budget, and the same every time."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from haqc.madeup import MEASURED

if TYPE_CHECKING:
    from tests.command_line import CommandLine, Compiled

pytest_plugins = ["tests.command_line"]

ROOT = Path(__file__).resolve().parents[1]
FILES = ["layers.csv", "model.onnx", "policy.json", "report.html", "report.json", "search.jsonl"]
PRICED = ("name", "weight_bits", "activation_bits", "macs", "cycles", "latency_s", "energy_j", "weight_bytes")
QUICK = ("--finetune", "0", "--evaluations", "2", "--reconstruct", "64")
HALF = ("--target", "edge", "--budget", "energy=0.5")


def read(folder: Path, name: str = "report.json") -> Any:
    return json.loads((folder / name).read_text(encoding="utf-8"))


def without_seconds(content: Any) -> Any:
    """Leaves the wall-clock figures out, wherever they stand."""
    if isinstance(content, dict):
        return {key: without_seconds(value) for key, value in content.items() if key != "seconds"}
    return [without_seconds(value) for value in content] if isinstance(content, list) else content


def same_bytes(first: Path, second: Path) -> None:
    """Fails unless two compiles left the same, but for the wall-clock figures."""
    for name in ("model.onnx", "policy.json", "layers.csv", "search.jsonl"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    texts = [json.dumps(without_seconds(read(folder))) for folder in (first, second)]
    assert texts[0] == texts[1]


def digits() -> dict[str, np.ndarray]:
    """Gives the digits as their model takes them."""
    with np.load(ROOT / "models" / "digits.npz") as file:
        arrays = {name: file[name] for name in file.files}
    return arrays | {name: arrays[name].astype(np.float32) / 16 for name in ("x_train", "x_test")}


def run_file(model: Path | onnx.ModelProto, images: np.ndarray) -> np.ndarray:
    """Runs a file in onnxruntime at its defaults, without any of haqc's code."""
    source = str(model) if isinstance(model, Path) else model.SerializeToString()
    session = onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: images})[0])


# What a compile leaves.


def test_all_files_stand(compiled: Compiled) -> None:
    assert sorted(path.name for path in compiled.folder.iterdir() if path.is_file()) == FILES
    onnx.checker.check_model(onnx.load(compiled.folder / "model.onnx"), full_check=True)
    assert (compiled.folder / "report.html").read_text(encoding="utf-8").rstrip().endswith("</html>")


def test_nothing_half_written_is_left(compiled: Compiled) -> None:
    assert [path for path in compiled.folder.rglob("*") if "part" in path.name] == []


def test_the_report_has_what_the_contract_names(compiled: Compiled) -> None:
    report = read(compiled.folder)
    assert {"accuracy", "cost", "allocators", "verification", "layers", "provenance"} <= set(report)
    assert {"metric", "data", "count", "float", "mirror", "emitted", "float_finetuned"} <= set(report["accuracy"])
    assert {"budget", "baseline", "policy"} <= set(report["cost"])
    for entry in report["allocators"]:
        assert {"name", "cost", "accuracy", "evaluations", "seconds"} <= set(entry)
        assert 1 <= entry["evaluations"] <= 4
    assert [entry["name"] for entry in report["allocators"] if entry["emitted"]]
    assert report["provenance"]["seed"] == 0
    assert report["provenance"]["budget"] == ["energy=0.5"]
    assert report["verification"]["ok"] is True
    assert report["interrupted"] is False


def test_every_layer_of_the_digits_runs_in_integers(compiled: Compiled) -> None:
    ran = [layer["runtime"] for layer in read(compiled.folder)["layers"]]
    assert {kernel["operator"] for kernel in ran} == {"QLinearConv", "QGemm"}
    assert all(kernel["integer"] and not kernel["reason"] for kernel in ran)


def test_the_reported_accuracy_is_that_of_the_file(compiled: Compiled) -> None:
    accuracy, data = read(compiled.folder)["accuracy"], digits()
    hits = run_file(compiled.folder / "model.onnx", data["x_test"]).argmax(axis=1) == data["y_test"]
    assert accuracy["emitted"] == hits.mean() * 100
    assert accuracy["count"] == len(data["y_test"]) == 540
    assert (accuracy["metric"], accuracy["labels"], accuracy["data_free"]) == ("top-1", True, False)
    original = run_file(ROOT / "models" / "digits.onnx", data["x_test"]).argmax(axis=1) == data["y_test"]
    assert accuracy["float"] == original.mean() * 100
    assert accuracy["reference"] == max(accuracy["float"], accuracy["float_finetuned"])
    paired = hits.astype(float) - original
    if accuracy["reference"] == accuracy["float"]:
        expected = paired.std(ddof=1) / np.sqrt(len(paired)) * 100
        assert accuracy["paired_standard_error"] == pytest.approx(expected, rel=1e-12)
    assert accuracy["difference"] == pytest.approx(accuracy["emitted"] - accuracy["reference"], abs=1e-12)


def test_the_best_trial_is_emitted(compiled: Compiled) -> None:
    report = read(compiled.folder)
    trials = [json.loads(line) for line in (compiled.folder / "search.jsonl").read_bytes().splitlines()[1:]]
    assert report["trials"] == trials
    best = max(trial["accuracy"] for trial in trials)
    widths = [f"{layer['weight_bits']}/{layer['activation_bits']}" for layer in report["layers"]]
    (emitted,) = [trial for trial in trials if trial["bits"] == widths]
    assert emitted["accuracy"] == best
    assert [entry["name"] for entry in report["allocators"] if entry["emitted"]] == [emitted["allocator"]]
    assert all(trial["cost"]["energy_j"] <= report["cost"]["budget"][0]["limit"] for trial in trials)
    assert len({trial["key"] for trial in trials}) == len(trials)


def test_the_files_agree_on_the_widths(compiled: Compiled) -> None:
    report, policy = read(compiled.folder), read(compiled.folder, "policy.json")
    with (compiled.folder / "layers.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    carried = {entry.key: entry.value for entry in onnx.load(compiled.folder / "model.onnx").metadata_props}
    assert json.loads(carried["haqc"])["policy"] == policy
    keys = ("name", "weight_bits", "activation_bits")
    expected = [tuple(str(layer[key]) for key in keys) for layer in report["layers"]]
    assert [tuple(str(layer[key]) for key in keys) for layer in policy["layers"]] == expected
    assert [tuple(row[key] for key in keys) for row in rows] == expected


def test_the_jobs_of_a_compile(compiled: Compiled) -> None:
    trials = len((compiled.folder / "search.jsonl").read_bytes().splitlines()) - 1
    assert compiled.jobs.count("score") == trials
    assert (compiled.jobs.count("tune"), compiled.jobs.count("tune_float")) == (1, 2)


@pytest.mark.slow
def test_the_reported_split_is_not_seen_before_the_end(
    haqc: CommandLine, jobs: object, compiled: Compiled, tmp_path: Path
) -> None:
    # Other labels on the reported split change the figures on it and nothing else that was decided.
    data = digits()
    np.savez(tmp_path / "true.npz", **data)
    np.savez(tmp_path / "false.npz", **data | {"y_test": (data["y_test"] + 1) % 10})
    for name in ("true", "false"):
        outcome = haqc.compile_digits(tmp_path / name, "--data", tmp_path / f"{name}.npz", *QUICK)
        assert outcome.code == 0, outcome.err
    first, second = ((tmp_path / name / "search.jsonl").read_bytes().splitlines()[1:] for name in ("true", "false"))
    assert first == second
    assert read(tmp_path / "true", "policy.json") == read(tmp_path / "false", "policy.json")
    assert read(tmp_path / "true")["accuracy"]["emitted"] > 80 > read(tmp_path / "false")["accuracy"]["emitted"]


# Budgets.


@pytest.mark.slow
@pytest.mark.parametrize(
    "budgets",
    [["latency=0.7"], ["size=0.4"], ["memory=0.6"], ["energy=0.6", "latency=0.9", "size=0.5", "memory=0.7"]],
    ids=",".join,
)
def test_budgets_hold(haqc: CommandLine, jobs: object, tmp_path: Path, budgets: list[str]) -> None:
    more = [word for budget in budgets[1:] for word in ("--budget", budget)]
    outcome = haqc.compile_digits(tmp_path / "out", *QUICK, *more, budget=budgets[0])
    assert outcome.code == 0, outcome.err
    limits = read(tmp_path / "out")["cost"]["budget"]
    assert [limit["text"] for limit in limits] == budgets
    assert all(limit["met"] for limit in limits)
    check_price(haqc, tmp_path / "out", "edge")
    fields = {"energy": "energy_j", "latency": "latency_s", "size": "weight_bytes", "memory": "peak_activation_bytes"}
    cost = read(tmp_path / "out")["cost"]
    for limit in limits:
        field, fraction = fields[limit["metric"]], float(limit["text"].partition("=")[2])
        assert cost["policy"][field] <= limit["limit"] == fraction * cost["baseline"][field]
        assert outcome.out.count(f"Budget {limit['text']}: ") == 1


def check_price(haqc: CommandLine, folder: Path, target: str) -> None:
    """Fails unless ``haqc cost`` prices the emitted policy as the report does."""
    priced = haqc("cost", haqc.digits, "--target", target, "--policy", folder / "policy.json", "--format", "json")
    assert priced.code == 0, priced.err
    content, report = json.loads(priced.out), read(folder)
    assert content["total"] == report["cost"]["policy"]
    assert content["baseline"] == report["cost"]["baseline"]
    for ours, theirs in zip(report["layers"], content["layers"], strict=True):
        assert {key: ours[key] for key in PRICED} == {key: theirs[key] for key in PRICED}


def test_the_shared_folder_keeps_its_budget(haqc: CommandLine, compiled: Compiled) -> None:
    check_price(haqc, compiled.folder, "edge")
    limit = read(compiled.folder)["cost"]["budget"][0]
    assert limit["value"] <= limit["limit"] == 0.5 * read(compiled.folder)["cost"]["baseline"]["energy_j"]


@pytest.mark.slow
def test_absolute_budgets_on_a_batch(haqc: CommandLine, jobs: object, tmp_path: Path) -> None:
    asked = ("compile", haqc.digits, "--target", "cloud", "--out", tmp_path / "out", *QUICK)
    outcome = haqc(*asked, "--budget", "energy=40uJ", "--budget", "latency=10ms", "--budget", "size=20KiB")
    assert outcome.code == 0, outcome.err
    check_price(haqc, tmp_path / "out", "cloud")
    cost = read(tmp_path / "out")["cost"]
    assert [limit["met"] for limit in cost["budget"]] == [True, True, True]
    energy, latency, size = cost["budget"]
    assert energy["limit"] == pytest.approx(16 * 40e-6, rel=1e-12)  # one batch of 16, asked for one inference
    assert latency["limit"] == pytest.approx(10e-3, rel=1e-12)
    assert size["limit"] == 20 * 1024
    assert cost["per_inference"]["policy"]["energy_j"] == pytest.approx(cost["policy"]["energy_j"] / 16, rel=1e-12)
    assert cost["per_inference"]["policy"]["energy_j"] <= 40e-6


# Pins and widths.


def test_default_pins(compiled: Compiled) -> None:
    layers = {layer["name"]: layer for layer in read(compiled.folder)["layers"]}
    assert (layers["stem"]["weight_bits"], layers["stem"]["activation_bits"]) == (8, 8)
    assert layers["stem"]["reason"] == "reads the network's input"
    assert (layers["classifier"]["weight_bits"], layers["classifier"]["activation_bits"]) == (8, 8)
    assert layers["classifier"]["reason"] == "last layer before an output"


@pytest.mark.slow
def test_pins_of_the_user(haqc: CommandLine, jobs: object, tmp_path: Path) -> None:
    pins = ("--pin", "block[12].*=6/5", "--pin", "last=3", "--no-default-pins")
    outcome = haqc.compile_digits(tmp_path / "out", *QUICK, *pins, budget="energy=0.7")
    assert outcome.code == 0, outcome.err
    layers = {layer["name"]: layer for layer in read(tmp_path / "out")["layers"]}
    for name, layer in layers.items():
        if re.match("block[12]", name):
            assert (layer["weight_bits"], layer["activation_bits"]) == (6, 5), name
            assert layer["reason"] == "pinned by 'block[12].*'"
    assert (layers["last"]["weight_bits"], layers["last"]["activation_bits"]) == (3, 3)
    assert layers["stem"]["reason"] == ""
    trials = read(tmp_path / "out")["trials"]
    position = list(layers).index("classifier")
    assert {trial["bits"][position] for trial in trials} != {"8/8"}


@pytest.mark.slow
def test_constraints_of_the_user(haqc: CommandLine, jobs: object, tmp_path: Path) -> None:
    asked = (
        "--allocator",
        "greedy",
        "--at-least",
        "block1.*=4/5",
        "--same-bits",
        "block[34].*",
        "--keep-float",
        "block2.depthwise",
    )
    outcome = haqc.compile_digits(tmp_path / "out", *QUICK, *asked, budget="energy=0.7")
    assert outcome.code == 0, outcome.err
    report = read(tmp_path / "out")
    layers = {layer["name"]: layer for layer in report["layers"]}
    bits = {name: (layer["weight_bits"], layer["activation_bits"]) for name, layer in layers.items()}
    assert all(weight >= 4 and data >= 5 for name, (weight, data) in bits.items() if name.startswith("block1"))
    assert len({widths for name, widths in bits.items() if re.match("block[34]", name)}) == 1
    assert layers["block3.expand"]["reason"] == "one width for all that 'block[34].*' matches"
    assert layers["block1.expand"]["reason"] == "at least 4 bits by 'block1.*'"
    kept = layers["block2.depthwise"]
    assert (bits["block2.depthwise"], kept["float"]) == ((8, 8), "kept in float by 'block2.depthwise'")
    assert kept["energy_j"] == kept["baseline"]["energy_j"]  # there is no float on this chip
    options = report["provenance"]["options"]
    assert (options["at_least"], options["same_bits"]) == ({"block1.*": "4/5"}, ["block[34].*"])
    assert options["keep_float"] == ["block2.depthwise"]
    (node,) = [
        node for node in onnx.load(tmp_path / "out" / "model.onnx").graph.node if node.name == "block2.depthwise"
    ]
    given = {initializer.name: initializer for initializer in onnx.load(haqc.digits).graph.initializer}
    weight, stored = node.input[1], onnx.load(tmp_path / "out" / "model.onnx").graph.initializer
    (found,) = [initializer for initializer in stored if initializer.name == weight]
    assert found.data_type == onnx.TensorProto.FLOAT and found.dims == given[weight].dims
    assert report["verification"]["ok"] is True
    assert re.search(r"block2\.depthwise +float", outcome.out)
    again = haqc.compile_digits(tmp_path / "out", *QUICK, *asked[:-1], "last", "--resume", budget="energy=0.7")
    assert "options.keep_float changed" in again.sentence(2)


@pytest.mark.slow
def test_one_bit(haqc: CommandLine, jobs: object, tmp_path: Path) -> None:
    assert haqc.compile_digits(tmp_path / "out", budget="size=0.2").code == 3
    outcome = haqc.compile_digits(tmp_path / "out", *QUICK, "--min-bits", "1", budget="size=0.2")
    assert outcome.code == 0, outcome.err
    assert min(layer["weight_bits"] for layer in read(tmp_path / "out")["layers"]) == 1
    check_price(haqc, tmp_path / "out", "edge")


# Data.


@pytest.mark.slow
def test_data_free(haqc: CommandLine, jobs: Any, tmp_path: Path) -> None:
    model = tmp_path / "digits.onnx"
    model.write_bytes(haqc.digits.read_bytes())
    outcome = haqc("compile", model, *HALF, "--out", tmp_path / "out", "--evaluations", "2", "--reconstruct", "256")
    assert outcome.code == 0, outcome.err
    assert "No data: inputs are made up; 'agreement' is agreement with the float model, not accuracy" in outcome.err
    assert "AGREEMENT WITH THE FLOAT MODEL, NOT ACCURACY" in outcome.out
    assert "accuracy" not in " ".join(outcome.out.split()).replace(MEASURED, "")
    report = read(tmp_path / "out")
    accuracy = report["accuracy"]
    assert (accuracy["metric"], accuracy["labels"], accuracy["data_free"]) == ("agreement", False, True)
    assert (accuracy["float"], accuracy["float_finetuned"]) == (100.0, None)
    options = report["provenance"]["options"]
    assert (options["finetune"], options["reconstruct"], options["final_finetune"]) == (0, 256, 0)
    assert jobs.count("tune") == jobs.count("tune_float") == 0
    reconstruction = report["reconstruction"]
    assert [*reconstruction["tried"]][-1] == "reconstructed"
    assert reconstruction["samples"] == 1024
    assert all(0 <= stretch["after"] <= stretch["before"] for stretch in reconstruction["stretches"])
    assert any(stretch["after"] < stretch["before"] for stretch in reconstruction["stretches"])
    assert accuracy["search"]["mirror"] == max(reconstruction["search"].values())
    finalists = report["finalists"]
    assert jobs.count("rescore") == len(finalists) > 1
    winner = max(finalists, key=lambda finalist: finalist["merit"])["key"]
    assert {trial["key"]: trial["accuracy"] for trial in report["trials"]}[winner] == reconstruction["search"]["before"]
    html = (tmp_path / "out" / "report.html").read_text(encoding="utf-8").lower()
    assert "agreement with the float model" in html


@pytest.mark.slow
def test_data_without_labels(haqc: CommandLine, jobs: object, tmp_path: Path) -> None:
    images = digits()["x_train"]
    np.savez(tmp_path / "images.npz", x=images)
    asked = ("compile", haqc.digits, *HALF, "--data", tmp_path / "images.npz", "--out", tmp_path / "out")
    outcome = haqc(*asked, "--evaluations", "2", "--final-finetune", "64", "--allocator", "uniform")
    assert outcome.code == 0, outcome.err
    assert "No labels; 'agreement' is agreement with the float model, not accuracy" in outcome.err
    accuracy = read(tmp_path / "out")["accuracy"]
    assert (accuracy["metric"], accuracy["labels"], accuracy["data_free"]) == ("agreement", False, False)
    assert accuracy["count"] == len(images) - len(images) * 7 // 10 - len(images) // 10
    assert "AGREEMENT WITH THE FLOAT MODEL, NOT ACCURACY" in outcome.out


def test_a_model_whose_output_is_no_scores(haqc: CommandLine, jobs: object, tmp_path: Path) -> None:
    draw = np.random.default_rng(3)
    kernels = {
        name: draw.normal(0, 0.3, shape).astype(np.float32)
        for name, shape in {"first": (8, 1, 3, 3), "second": (8, 8, 3, 3), "third": (2, 8, 3, 3)}.items()
    }
    nodes, last = [], "image"
    for name in kernels:
        nodes.append(helper.make_node("Conv", [last, name], [f"{name}_sum"], f"conv_{name}", pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"{name}_sum"], [f"{name}_map"], f"relu_{name}"))
        last = f"{name}_map"
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", channels, 6, 6])
        for name, channels in (("image", 1), (last, 2))
    ]
    tensors = [onnx.numpy_helper.from_array(kernel, name) for name, kernel in kernels.items()]
    graph = helper.make_graph(nodes, "maps", ends[:1], ends[1:], tensors)
    model = tmp_path / "maps.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), model)
    asked = ("compile", model, "--target", "edge", "--budget", "size=0.7", "--out", tmp_path / "out")
    outcome = haqc(*asked, "--evaluations", "2", "--reconstruct", "64")
    assert outcome.code == 0, outcome.err
    assert "'cosine' is agreement with the float model, not accuracy" in outcome.err
    accuracy = read(tmp_path / "out")["accuracy"]
    assert accuracy["metric"] == "cosine"
    assert 50 < accuracy["emitted"] <= 100
    assert accuracy["float"] == pytest.approx(100, abs=1e-4)
    assert haqc("verify", tmp_path / "out").code == 0


@pytest.mark.slow
def test_a_final_softmax_is_seen_through(haqc: CommandLine, jobs: object, compiled: Compiled, tmp_path: Path) -> None:
    proto = onnx.load(haqc.digits)
    (scores,) = proto.graph.output
    proto.graph.node.append(helper.make_node("Softmax", [scores.name], ["shares"], "softmax", axis=-1))
    scores.name = "shares"
    model = tmp_path / "digits.onnx"
    onnx.save(proto, model)
    np.savez(tmp_path / "digits.npz", **digits())
    asked = ("compile", model, *HALF, "--data", tmp_path / "digits.npz", "--out", tmp_path / "out", *haqc.tiny)
    outcome = haqc(*asked)
    assert outcome.code == 0, outcome.err
    # Trained on what goes into the Softmax, it is the same search as without one, number for number; only merits are
    # read from the Softmax, whose 32 bits round otherwise.
    with_softmax, without = read(tmp_path / "out"), read(compiled.folder)
    merits = [[trial.pop("merit") for trial in report["trials"]] for report in (with_softmax, without)]
    assert with_softmax["trials"] == without["trials"]
    np.testing.assert_allclose(*merits, rtol=0, atol=1e-4)
    for key in ("float", "float_finetuned", "mirror", "emitted"):
        assert with_softmax["accuracy"][key] == without["accuracy"][key]
    emitted = onnx.load(tmp_path / "out" / "model.onnx")
    assert [node.op_type for node in emitted.graph.node].count("Softmax") == 1
    shares = run_file(emitted, digits()["x_test"][:32])
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_a_model_with_nothing_to_decide(haqc: CommandLine, jobs: object, tmp_path: Path) -> None:
    pins = ("--pin", "*=8/8", "--no-default-pins")
    outcome = haqc.compile_digits(tmp_path / "out", *QUICK, *pins, budget="energy=1")
    assert outcome.code == 0, outcome.err
    report = read(tmp_path / "out")
    assert report["cost"]["policy"] == report["cost"]["baseline"]
    assert len(report["trials"]) == 1


# What is specialised.


@pytest.mark.slow
def test_policies_differ_between_targets_and_metrics(haqc: CommandLine, jobs: object, tmp_path: Path) -> None:
    policies = {}
    cells = (("edge", "energy=0.5"), ("cloud", "energy=0.5"), ("edge", "latency=0.5"), ("edge", "size=0.5"))
    for target, budget in cells:
        out = tmp_path / f"{target}-{budget}"
        asked = ("compile", haqc.digits, "--target", target, "--budget", budget, "--out", out, *QUICK)
        assert haqc(*asked).code == 0
        report = json.loads((out / "report.json").read_text(encoding="utf-8"))
        policies[target, budget] = [(layer["weight_bits"], layer["activation_bits"]) for layer in report["layers"]]
    assert len({tuple(policy) for policy in policies.values()}) == len(policies)


# Failures at the end.


def test_a_file_that_differs_is_not_emitted(
    haqc: CommandLine, jobs: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnx_ir as ir

    from haqc.passes.emit import EMITTERS, emit_qcdq

    def emit_wrongly(*arguments: Any) -> Any:
        model = emit_qcdq(*arguments)
        scale = next(value for name, value in model.graph.initializers.items() if "scale" in name and value.uses())
        scale.const_value = ir.tensor(scale.const_value.numpy() * np.float32(1.5), name=scale.name)
        return model

    monkeypatch.setitem(EMITTERS, "qcdq", emit_wrongly)
    sentence = haqc.compile_digits(tmp_path / "out", *QUICK, "--allocator", "uniform").sentence(4)
    assert sentence.startswith("the emitted file does not match the mirror: onnxruntime, unoptimised: the codes of ")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [".state", "search.jsonl"]


def test_a_mirror_that_differs_is_refused(
    haqc: CommandLine, jobs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from haqc import case

    build = case.from_onnx

    def build_wrongly(model: Any) -> Any:
        mirror = build(model)
        mirror.value("block3.expand.weight").data *= 1.01
        return mirror

    monkeypatch.setattr(case, "from_onnx", build_wrongly)
    sentence = haqc.compile_digits(tmp_path / "out").sentence(4)
    assert re.match(r"the mirror differs from the model at output 'logits' by 0\.0\d+ of its largest", sentence)
    assert ", first at tensor 'block3.expand.out' of Conv 'block3.expand'" in sentence
    assert (jobs.done, haqc.tree(tmp_path)) == ([], {})


# Ctrl-C.


@pytest.mark.slow
def test_ctrl_c_before_any_policy(haqc: CommandLine, jobs: Any, tmp_path: Path) -> None:
    def interrupt(job: Any, count: int) -> None:
        if job.method == "score":
            raise KeyboardInterrupt

    jobs.fault = interrupt
    assert "interrupted before any policy was evaluated" in haqc.compile_digits(tmp_path / "out").sentence(130)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [".state", "search.jsonl"]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["shares", "tune"])
def test_ctrl_c_outside_the_search(haqc: CommandLine, jobs: Any, tmp_path: Path, method: str) -> None:
    def interrupt(job: Any, count: int) -> None:
        if job.method == method:
            raise KeyboardInterrupt

    jobs.fault = interrupt
    sentence = haqc.compile_digits(tmp_path / "out").sentence(130)
    assert sentence == "interrupted before anything was emitted; add --resume to go on where it was"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [".state", "search.jsonl"]


@pytest.mark.slow
def test_ctrl_c_in_the_search_emits_the_best_so_far(haqc: CommandLine, jobs: Any, tmp_path: Path) -> None:
    def interrupt(job: Any, count: int) -> None:
        if job.method == "score" and count == 6:
            raise KeyboardInterrupt

    jobs.fault = interrupt
    outcome = haqc.compile_digits(tmp_path / "out")
    assert outcome.code == 0, outcome.err
    report = read(tmp_path / "out")
    assert report["interrupted"] is True
    assert 1 <= len(report["trials"]) < 6
    assert haqc("verify", tmp_path / "out").code == 0


# The same every time.


@pytest.mark.slow
def test_the_same_command_gives_the_same_bytes(
    haqc: CommandLine, jobs: object, compiled: Compiled, tmp_path: Path
) -> None:
    np.random.seed(7)  # the state of the old global generator must not matter
    assert haqc.compile_digits(tmp_path / "again").code == 0
    same_bytes(compiled.folder, tmp_path / "again")


@pytest.mark.slow
def test_another_seed_gives_another_search(haqc: CommandLine, jobs: object, compiled: Compiled, tmp_path: Path) -> None:
    assert haqc.compile_digits(tmp_path / "other", "--seed", str(2**63 - 1)).code == 0
    first, second = ((folder / "search.jsonl").read_bytes() for folder in (compiled.folder, tmp_path / "other"))
    assert first.splitlines()[1:] != second.splitlines()[1:]


@pytest.mark.slow
@pytest.mark.parametrize("count", ["1", "2"])
def test_worker_processes_give_the_same_bytes(
    haqc: CommandLine, compiled: Compiled, tmp_path: Path, count: str
) -> None:
    assert haqc.compile_digits(tmp_path / "out", "--jobs", count).code == 0
    same_bytes(compiled.folder, tmp_path / "out")
