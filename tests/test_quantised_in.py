"""A file that was quantised already is compiled from its float graph, and says so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.command_line import CommandLine, Compiled
from tests.small_model import draw, small_model

pytest_plugins = ("tests.command_line",)

PLAIN = (
    *("--target", "edge", "--budget", "energy=0.95"),
    *("--finetune", "0", "--evaluations", "1", "--no-default-pins", "--reconstruct", "64"),
)
TEXT = """(float[N, 1, 8, 8] x) => (float[N, 4] y) {
    q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) c = Conv(d, K) r = Relu(c) f = Flatten(r)
    y = Gemm(f, W, b) }"""


@pytest.mark.usefixtures("jobs")
def test_quantisers_of_the_file_are_removed_and_it_compiles(haqc: CommandLine, tmp_path: Path) -> None:
    constants = {"K": draw(3, 1, 3, 3), "W": draw(108, 4), "b": draw(4), "s": 0.05}
    model = small_model(TEXT, constants | {"z": draw(1).astype("int8")[0]}, ir_version=10)
    path = tmp_path / "in.onnx"
    path.write_bytes(model.SerializeToString())
    outcome = haqc("compile", path, *PLAIN, "--out", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    assert "the file was quantised already; its float graph was restored" in outcome.err
    accuracy = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))["accuracy"]
    assert accuracy["float"] == 100.0  # agreement of the float graph with itself


@pytest.mark.slow
@pytest.mark.usefixtures("jobs")
def test_what_haqc_emitted_goes_in_again(haqc: CommandLine, compiled: Compiled, tmp_path: Path) -> None:
    path = tmp_path / "again.onnx"
    shutil.copy(compiled.folder / "model.onnx", path)
    outcome = haqc("compile", path, *PLAIN, "--out", tmp_path / "out", "--json")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["model"]["layers"] == 15
