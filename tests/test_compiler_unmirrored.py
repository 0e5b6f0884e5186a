"""A model with operators that the mirror lacks compiles, unless it would have to be trained through one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import numpy_helper

from haqc.mirror.node import Function, Node, Registry

if TYPE_CHECKING:
    from tests.command_line import CommandLine

pytest_plugins = ["tests.command_line"]

TEXT = """
    <ir_version: 10, opset_import: ["": 21]>
    pipeline (float[N, 8] x) => (float[N, 4] y) {
        scaled = Softsign (x)
        h = Gemm (scaled, w1, b1)
        r = Relu (h)
        n = Erf (r)
        y = Gemm (n, w2, b2)
    }
"""


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Has an operator without a mirror before its layers, and another between them."""
    build = Registry.build

    def lacking(registry: Registry, node: Node) -> Function:
        if node.op in ("Softsign", "Erf"):
            raise node.refuse("has no mirror")
        return build(registry, node)

    monkeypatch.setattr(Registry, "build", lacking)
    source = np.random.default_rng(0)
    model = onnx.parser.parse_model(TEXT)
    model.graph.node[0].name, model.graph.node[3].name = "first", "between"
    for name, shape in {"w1": (8, 16), "b1": (16,), "w2": (16, 4), "b2": (4,)}.items():
        model.graph.initializer.append(numpy_helper.from_array(source.standard_normal(shape).astype(np.float32), name))
    onnx.save(model, tmp_path / "pipeline.onnx")
    return tmp_path / "pipeline.onnx"


@pytest.mark.usefixtures("jobs")
def test_it_compiles_without_training(haqc: CommandLine, pipeline: Path, tmp_path: Path) -> None:
    options = (
        *("--target", "edge", "--budget", "energy=0.9"),
        *("--finetune", "0", "--evaluations", "2", "--reconstruct", "64"),
    )
    done = haqc("compile", pipeline, *options, "--no-default-pins", "--out", tmp_path / "out")
    assert done.code == 0, done.err
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["verification"]["ok"] is True


def test_training_through_it_is_refused(haqc: CommandLine, pipeline: Path, tmp_path: Path) -> None:
    options = ("--target", "edge", "--budget", "energy=0.9", "--finetune", "16", "--evaluations", "2")
    done = haqc("compile", pipeline, *options, "--no-default-pins", "--out", tmp_path / "out")
    assert done.sentence(2).startswith("node 'between' (Erf, opset 21) has no mirror, and lies between")


@pytest.mark.usefixtures("jobs")
def test_what_only_comes_before_the_layers_may_stay(haqc: CommandLine, pipeline: Path, tmp_path: Path) -> None:
    model = onnx.load(pipeline)
    model.graph.node[3].CopyFrom(onnx.helper.make_node("Identity", ["r"], ["n"]))
    onnx.save(model, pipeline)
    options = (
        "--target",
        "edge",
        "--budget",
        "energy=0.9",
        "--finetune",
        "16",
        "--final-finetune",
        "16",
        "--evaluations",
        "2",
    )
    done = haqc("compile", pipeline, *options, "--no-default-pins", "--out", tmp_path / "out")
    assert done.code == 0, done.err


def test_it_is_priced(haqc: CommandLine, pipeline: Path) -> None:
    done = haqc("cost", pipeline, "--target", "edge", "--format", "json")
    assert done.code == 0, done.err
    assert [layer["op"] for layer in json.loads(done.out)["layers"]] == ["Gemm", "Gemm"]
