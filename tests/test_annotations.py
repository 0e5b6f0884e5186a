"""``haqc annotations``: what a file says of itself survives other tools, and nothing else is believed."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx
import onnx_ir as ir
import onnxruntime
import pytest

from haqc import annotations
from haqc.annotations import ANNOTATIONS_SCHEMA, read_annotations
from haqc.errors import ModelError
from haqc.onnxfile import METADATA_KEY

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from tests.command_line import CommandLine, Compiled

pytest_plugins = ["tests.command_line"]

Content = dict[str, Any]


@pytest.fixture
def content(compiled: Compiled) -> Content:
    return read_annotations(compiled.folder / "model.onnx")


def annotated(compiled: Compiled, path: Path, text: str) -> Path:
    """Writes the emitted file with other annotations."""
    proto = onnx.load(compiled.folder / "model.onnx")
    (entry,) = [entry for entry in proto.metadata_props if entry.key == METADATA_KEY]
    entry.value = text
    onnx.save(proto, path)
    return path


def test_what_a_file_says_of_itself(haqc: CommandLine, compiled: Compiled) -> None:
    outcome = haqc("annotations", compiled.folder / "model.onnx", "--json")
    assert (outcome.code, outcome.err) == (0, "")
    said = json.loads(outcome.out)
    report = json.loads((compiled.folder / "report.json").read_text(encoding="utf-8"))
    assert said["schema"] == ANNOTATIONS_SCHEMA
    assert said["format"] == "qcdq"
    assert said["policy"] == json.loads((compiled.folder / "policy.json").read_text(encoding="utf-8"))
    assert said["cost"] == {key: value for key, value in report["cost"].items() if key in said["cost"]}
    assert said["target"]["name"] == report["target"]["name"]
    assert said["provenance"]["digests"] == report["provenance"]["digests"]


def test_the_lines_for_people(haqc: CommandLine, compiled: Compiled) -> None:
    outcome = haqc("annotations", compiled.folder / "model.onnx")
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert lines[0].startswith("model.onnx: qcdq, written by haqc ")
    assert "Target edge, mode reference, batch 1" in lines
    assert any(line.split() == ["classifier", "Gemm", "8/8"] for line in lines)
    assert "SHA-256 of model:" in outcome.out and "agent" not in outcome.out  # there was none
    assert max(map(len, lines)) <= 80


def test_they_survive_other_tools(compiled: Compiled, tmp_path: Path, content: Content) -> None:
    source = compiled.folder / "model.onnx"
    onnx.save(ir.to_proto(ir.from_proto(onnx.load(source))), tmp_path / "round.onnx")
    onnx.save(onnx.shape_inference.infer_shapes(onnx.load(source)), tmp_path / "inferred.onnx")
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
    for name in ("round.onnx", "inferred.onnx", "optimised.onnx"):
        assert read_annotations(tmp_path / name) == content


def test_a_file_without_any_is_refused(haqc: CommandLine) -> None:
    assert "carries no annotations of haqc" in haqc("annotations", haqc.digits).sentence(2)


def test_a_newer_schema_is_refused(haqc: CommandLine, compiled: Compiled, content: Content, tmp_path: Path) -> None:
    newer = json.dumps(content | {"schema": ANNOTATIONS_SCHEMA + 1, "policy": "of another shape"})
    sentence = haqc("annotations", annotated(compiled, tmp_path / "newer.onnx", newer)).sentence(2)
    assert "annotations of schema 2, and this haqc reads 1; use the version that wrote it" in sentence


def put(*keys: str | int, value: Any) -> Callable[[Content], None]:
    def change(content: Content) -> None:
        place: Any = content
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value

    return change


MISTAKES: list[tuple[Callable[[Content], None], str]] = [
    (put("schema", value=True), "they have no schema"),
    (put("schema", value="1"), "they have no schema"),
    (put("policy", value=[]), "'policy' is missing"),
    (put("provenance", value=None), "'provenance' is missing"),
    (put("target", "batch", value=1.5), "'target.batch' is missing"),
    (put("target", "name", value=["edge"]), "'target.name' is missing"),
    (put("cost", "policy", "energy_j", value="3"), "'cost.policy' lacks a figure"),
    (put("cost", "baseline", value={}), "'cost.baseline' lacks a figure"),
    (put("cost", "baseline", "energy_j", value=10**400), "'cost.baseline' lacks a figure"),
    (put("cost", "budget", value={}), "'cost.budget' is missing"),
    (put("policy", "layers", value="all"), "'policy' is none"),
    (put("policy", "layers", 0, value="stem"), "'policy.layers' holds what is no layer"),
    (put("policy", "layers", 0, "weight_bits", value=9), "layer 'stem' has no widths of 1 to 8"),
    (put("policy", "layers", 0, "activation_bits", value=True), "layer 'stem' has no widths of 1 to 8"),
    (put("policy", "tensors", value=[1]), "'policy.tensors' holds what is no width"),
    (put("policy", "tensors", "x", value=0), "'policy.tensors' holds what is no width"),
]


@pytest.mark.parametrize(("change", "words"), MISTAKES, ids=range(len(MISTAKES)))
def test_what_haqc_did_not_write_is_refused(
    content: Content, change: Callable[[Content], None], words: str, tmp_path: Path
) -> None:
    wrong = copy.deepcopy(content)
    change(wrong)
    model = ir.Model(ir.Graph([], [], nodes=[]), ir_version=10, metadata_props={METADATA_KEY: json.dumps(wrong)})
    with pytest.raises(ModelError, match="has annotations that haqc did not write: ") as refused:
        annotations.checked(model, tmp_path / "model.onnx")
    assert words in str(refused.value)


@pytest.mark.parametrize("text", ["", "[", "[" * 100_000, '{"schema": NaN}', "[1]", "null", '{"schema":' + "9" * 5000])
def test_what_is_no_json_is_refused(text: str, tmp_path: Path) -> None:
    model = ir.Model(ir.Graph([], [], nodes=[]), ir_version=10, metadata_props={METADATA_KEY: text})
    with pytest.raises(ModelError, match="annotations"):
        annotations.checked(model, tmp_path / "model.onnx")


def test_what_is_too_large_is_refused(content: Content, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(annotations, "LARGEST_BYTES", 1000)
    model = ir.Model(ir.Graph([], [], nodes=[]), ir_version=10, metadata_props={METADATA_KEY: json.dumps(content)})
    with pytest.raises(ModelError, match="larger than any that haqc writes"):
        annotations.checked(model, tmp_path / "model.onnx")


def test_names_that_do_not_print_are_escapes(
    haqc: CommandLine, compiled: Compiled, content: Content, tmp_path: Path
) -> None:
    hostile = copy.deepcopy(content)
    hostile["policy"]["layers"][0]["name"] = "stem\x1b[31m\u202e" + "x" * 400
    hostile["target"]["name"] = "edge\n\x07"
    path = annotated(compiled, tmp_path / "hostile.onnx", json.dumps(hostile))
    outcome = haqc("annotations", path)
    assert outcome.code == 0
    assert not {"\x1b", "\u202e", "\x07"} & {*outcome.out}
    assert max(map(len, outcome.out.splitlines())) <= 80
    shutil.copy(path, tmp_path / "copy.onnx")
