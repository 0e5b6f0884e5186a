"""Runs a model in OpenVINO: a script of its own, for an interpreter that has openvino and need not have haqc.

Arguments: a folder with ``model.onnx``, ``inputs.npz`` and ``task.json``, where ``outputs.npz`` and ``answer.json`` are
left. Arrays are numbered; their names stand in the task. Floats are computed in float32, and not in bfloat16, which is
the default of processors that have it; and what products with narrow weights read is not quantised once more, which is
the default too.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np


def main(folder: Path) -> None:
    """Does what the task says."""
    openvino = importlib.import_module("openvino")
    task = json.loads((folder / "task.json").read_text(encoding="utf-8"))
    with np.load(folder / "inputs.npz", allow_pickle=False) as file:
        pieces = [np.split(file[f"i{index}"], task["parts"]) for index in range(len(task["inputs"]))]
    hints = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0}
    settings = {**hints, "INFERENCE_NUM_THREADS": 1}
    compiled = openvino.compile_model(str(folder / "model.onnx"), "CPU", settings)
    ports = [compiled.output(name) for name in task["outputs"]]
    results = []
    for piece in zip(*pieces, strict=True):
        found = compiled(dict(zip(task["inputs"], piece, strict=True)))
        results.append([np.atleast_1d(np.array(found[port])) for port in ports])
    arrays = [np.concatenate(parts) for parts in zip(*results, strict=True)]
    members: dict[str, Any] = {f"o{index}": array for index, array in enumerate(arrays)}
    np.savez(folder / "outputs.npz", **members)
    (folder / "answer.json").write_text(
        json.dumps({"version": openvino.__version__.partition("-")[0]}), encoding="utf-8"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
