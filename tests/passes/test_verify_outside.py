"""Runtimes in another process: what they give comes back, and whatever goes wrong there becomes one line."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto

from haqc.content import Content
from haqc.passes.verify import openvino, outside, verify_openvino
from haqc.passes.verify.openvino import OPENVINO
from haqc.passes.verify.outside import OutsideRuntime, RuntimeRefuses
from tests.passes.small_graphs import GRAPHS, Builder, Prepared

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
WRONG_AT_A_FREE_BATCH = """
import json, sys
from pathlib import Path
import numpy as np, onnx, onnxruntime
folder = Path(sys.argv[1])
task = json.loads((folder / "task.json").read_text())
model = onnx.load(folder / "model.onnx")
batch = model.graph.input[0].type.tensor_type.shape.dim[0]
x = np.load(folder / "inputs.npz")["i0"]
pieces = np.split(x, task["parts"])
assert not batch.HasField("dim_value") or batch.dim_value == len(pieces[0])
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
found = [session.run(task["outputs"], {"x": piece}) for piece in pieces]
arrays = [np.concatenate(parts) for parts in zip(*found)]
if not batch.HasField("dim_value"):
    arrays = [array + array.dtype.type(2) for array in arrays]
np.savez(folder / "outputs.npz", **{f"o{index}": array for index, array in enumerate(arrays)})
(folder / "answer.json").write_text(json.dumps({"version": "1"}))
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
    (line,) = verify_openvino(quantised.emit(), {"x": quantised.inputs(4)[0]})
    assert (line.status, line.ok, line.decides) == ("refused", False, False)
    assert "cannot be run" in str(line.first_difference)


@pytest.mark.parametrize("name", ["residual", "squeeze_excite"])
def test_openvino_computes_what_onnxruntime_computes(name: str) -> None:
    if OPENVINO.interpreter is None:
        pytest.skip("needs openvino, here or in the interpreter that HAQC_OPENVINO_PYTHON names")
    prepared = Prepared.of(GRAPHS[name]())
    quantised = prepared.quantise(prepared.random_policy(1))
    (line,) = verify_openvino(quantised.emit(), {"x": quantised.inputs(8)[0]})
    assert line.status == "equal", line.first_difference
    assert line.tensors == len(quantised.codes.activations)


def test_what_differs_is_tried_at_fixed_shapes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(WRONG_AT_A_FREE_BATCH, encoding="utf-8")
    monkeypatch.setattr(openvino, "OPENVINO", OutsideRuntime("onnxruntime", script))
    prepared = Prepared.of(GRAPHS["conv_relu"]())
    quantised = prepared.quantise(prepared.random_policy(1))
    free, fixed = verify_openvino(quantised.emit(), {"x": quantised.inputs(32)[0]})
    assert (free.name, free.status, free.decides) == ("OpenVINO, float32", "differs", False)
    assert (fixed.name, fixed.status, fixed.decides) == ("OpenVINO, float32, fixed shapes", "equal", False)


def classed() -> ModelProto:
    """Patches, and in front of them a token for each sample, as the batch's extent says."""
    b = Builder()
    x = b.node("Conv", ["x", b.weight("w", 16, 3, 4, 4), b.weight("bias", 16)], "patches", strides=[4, 4])
    rows = b.node("Transpose", [b.node("Reshape", [x, b.constant("flat", [0, 16, 4], int)], "f")], "r", perm=[0, 2, 1])
    extents = [b.node("Shape", ["x"], "batch", start=0, end=1), b.constant("rest", [1, 16], int)]
    token = b.node("Expand", [b.weight("token", 1, 1, 16), b.node("Concat", extents, "extents", axis=0)], "token_rows")
    x = b.node("Concat", [token, rows], "all", axis=1)
    b.node("MatMul", [x, b.weight("w1", 16, 4)], "y")
    return b.model({"x": (3, 8, 8)}, {"y": (5, 4)})


def test_openvino_mixes_up_biases_where_the_batch_is_free_and_read() -> None:
    """A trap of OpenVINO 2026.4.1: an upgrade that mends it makes the first line equal."""
    if OPENVINO.interpreter is None:
        pytest.skip("needs openvino, here or in the interpreter that HAQC_OPENVINO_PYTHON names")
    prepared = Prepared.of(classed())
    quantised = prepared.quantise(prepared.random_policy(1))
    free, fixed = verify_openvino(quantised.emit(), {"x": quantised.inputs(8)[0]})
    assert (free.status, fixed.status) == ("differs", "equal"), fixed.first_difference
    assert "'patches'" in str(free.first_difference)
