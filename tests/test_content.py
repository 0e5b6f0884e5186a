"""Models that one file cannot hold: the limit is lowered here, so that small ones are such."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from haqc import onnxfile
from haqc.content import Content
from haqc.errors import ModelError
from haqc.passes.verify import check, kernels, verify
from haqc.runtime import Runtime
from tests.command_line import CommandLine
from tests.passes.small_graphs import GRAPHS, Prepared

pytest_plugins = ("tests.command_line",)

LIMIT_BYTES = 4_500


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(onnxfile, "LARGEST_BYTES", LIMIT_BYTES)
    return LIMIT_BYTES


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return Prepared.of(GRAPHS["residual"]())


def test_a_small_model_is_one_file(prepared: Prepared) -> None:
    content = Content.of(prepared.model, "some.onnx")
    assert content.files == {"some.onnx": onnxfile.serialise(prepared.model)}
    assert content.checkable() == content.graph
    assert content.nbytes == len(content.graph)


def test_weights_lie_apart_and_everything_runs(prepared: Prepared, limit: int, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="one ONNX file holds less than 2"):
        onnxfile.serialise(prepared.model)
    content = Content.of(prepared.model, "large.onnx")
    assert {*content.apart} == {"a1.w", "a2.w", "b1.w", "b2.w"}
    assert content.files == Content.of(prepared.model, "large.onnx").files
    assert [*content.files] == ["large.onnx.data", "large.onnx"]
    for name, part in content.files.items():
        (tmp_path / name).write_bytes(part)
    x = np.random.default_rng(1).standard_normal((3, 3, 8, 8)).astype(np.float32)
    expected = onnx.reference.ReferenceEvaluator(onnx.load(tmp_path / "large.onnx")).run(None, {"x": x})[0]
    read, again = onnxfile.read(tmp_path / "large.onnx"), content.model()
    for optimised in (True, False):
        for source in (content, tmp_path / "large.onnx", Content.of(read), Content.of(again)):
            given = Runtime(source, optimised=optimised).run({"x": x})["y"]
            np.testing.assert_allclose(given, expected, rtol=1e-4, atol=1e-5)
    check(prepared.model)


def test_an_emitted_model_is_verified_with_its_weights_apart(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxfile, "LARGEST_BYTES", 1_500)
    quantised = prepared.quantise(prepared.random_policy(1))
    emitted, probe = quantised.emit(), quantised.network.probe(quantised.inputs())
    assert not Content.of(prepared.model.clone()).apart.keys() & {"c1.w"}  # below what is worth a place of its own
    with pytest.raises(ModelError, match="one ONNX file holds less than 2"):
        monkeypatch.setattr(onnxfile, "LARGEST_BYTES", 100)
        verify(emitted, probe)
    monkeypatch.setattr(onnxfile, "LARGEST_BYTES", 4_000)
    verification = verify(emitted, probe)
    assert verification.ok, verification.first_difference
    assert all(kernel.is_integer for kernel in kernels(emitted, prepared.graph).values())


@pytest.mark.slow
@pytest.mark.usefixtures("jobs")
def test_a_compile_of_a_large_model_leaves_two_files(
    haqc: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick, out = ("--finetune", "0", "--evaluations", "2", "--reconstruct", "64"), tmp_path / "out"
    with monkeypatch.context() as lowered:
        lowered.setattr(onnxfile, "LARGEST_BYTES", 20_000)
        outcome = haqc.compile_digits(out, *quick)
        assert outcome.code == 0, outcome.err
        assert haqc("verify", out).code == 0
    large = json.loads((out / "report.json").read_text(encoding="utf-8"))
    files = {path.name: path.stat().st_size for path in out.glob("model.onnx*")}
    assert {*files} == {"model.onnx", "model.onnx.data"}
    assert large["formats"][0]["bytes"] == sum(files.values())
    onnx.checker.check_model(out / "model.onnx", full_check=True)
    assert haqc("verify", out).code == 0
    assert haqc.compile_digits(out, *quick, "--force").code == 0
    assert not (out / "model.onnx.data").exists()
    assert json.loads((out / "report.json").read_text(encoding="utf-8"))["accuracy"] == large["accuracy"]
