"""Runtimes in another process: what they give comes back, and whatever goes wrong there becomes one line."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from haqc.content import Content
from haqc.passes.verify import outside, verify_openvino
from haqc.passes.verify.openvino import OPENVINO
from haqc.passes.verify.outside import OutsideRuntime, RuntimeRefuses
from tests.passes.small_graphs import GRAPHS, Prepared

DOUBLE = """
import json, sys
from pathlib import Path
import numpy as np
folder = Path(sys.argv[1])
task = json.loads((folder / "task.json").read_text())
assert task == {"inputs": ["a/b", "c"], "outputs": ["y"], "parts": 2}
with np.load(folder / "inputs.npz") as file:
    np.savez(folder / "outputs.npz", o0=2 * file["i0"] + file["i1"])
(folder / "answer.json").write_text(json.dumps({"version": (folder / "model.onnx").read_bytes().decode()}))
"""
INPUTS = {"a/b": np.arange(4.0), "c": np.ones(4)}


def ran(tmp_path: Path, script: str, interpreter: str = sys.executable) -> outside.Answer:
    (tmp_path / "script.py").write_text(script, encoding="utf-8")
    return OutsideRuntime("numpy", tmp_path / "script.py").run(interpreter, Content(b"1.2"), INPUTS, ["y"], 2)


def test_arrays_come_back(tmp_path: Path) -> None:
    answer = ran(tmp_path, DOUBLE)
    assert answer.version == "1.2"
    np.testing.assert_array_equal(answer.outputs["y"], [1, 3, 5, 7])


@pytest.mark.parametrize(
    ("script", "line"),
    [
        ("import os; os.abort()", r"^it was ended by signal 6$"),
        ("raise ValueError('no such operator')", r"^ValueError: no such operator$"),
        ("import sys; sys.exit(3)", r"^it ended with code 3$"),
        ("pass", r"^it left no results$"),
    ],
)
def test_what_goes_wrong_is_a_line(tmp_path: Path, script: str, line: str) -> None:
    with pytest.raises(RuntimeRefuses, match=line):
        ran(tmp_path, script)


def test_what_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "LIMIT_S", 0.5)
    with pytest.raises(RuntimeRefuses, match=r"^it did not end within 0.5 s$"):
        ran(tmp_path, "import time; time.sleep(60)")


def test_an_interpreter_that_is_not_there_is_a_line(tmp_path: Path) -> None:
    with pytest.raises(RuntimeRefuses, match="cannot be run"):
        ran(tmp_path, "pass", str(tmp_path / "python"))


def test_the_interpreter_is_this_one_or_the_one_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HAQC_NUMPY_PYTHON", raising=False)
    assert OutsideRuntime("numpy", Path()).interpreter == sys.executable
    assert OutsideRuntime("no_such_runtime", Path()).interpreter is None
    monkeypatch.setenv("HAQC_NO_SUCH_RUNTIME_PYTHON", "elsewhere")
    assert OutsideRuntime("no_such_runtime", Path()).interpreter == "elsewhere"


def test_openvino_decides_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    prepared = Prepared.of(GRAPHS["conv_relu"]())
    quantised = prepared.quantise(prepared.random_policy(1))
    monkeypatch.setenv("HAQC_OPENVINO_PYTHON", str(tmp_path / "python"))
    line = verify_openvino(quantised.emit(), {"x": quantised.inputs(4)[0]})
    assert (line.status, line.ok, line.decides) == ("refused", False, False)
    assert "cannot be run" in str(line.first_difference)


@pytest.mark.parametrize("name", ["residual", "squeeze_excite"])
def test_openvino_computes_what_onnxruntime_computes(name: str) -> None:
    if OPENVINO.interpreter is None:
        pytest.skip("needs openvino, here or in the interpreter that HAQC_OPENVINO_PYTHON names")
    prepared = Prepared.of(GRAPHS[name]())
    quantised = prepared.quantise(prepared.random_policy(1))
    line = verify_openvino(quantised.emit(), {"x": quantised.inputs(8)[0]})
    assert line.status == "equal", line.first_difference
    assert line.tensors == len(quantised.codes.activations)
