"""Runs a model in QONNX's executor: a script of its own, for an interpreter that has qonnx and need not have haqc.

Arguments: a folder with ``model.onnx``, ``inputs.npz`` and ``task.json``, where ``outputs.npz`` and ``answer.json`` are
left. Arrays are numbered; their names stand in the task.
"""

from __future__ import annotations

import importlib
import json
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import onnx


def main(folder: Path) -> None:
    """Does what the task says."""
    modules = "core.modelwrapper", "core.onnx_exec", "transformation.infer_shapes"
    wrapper, executor, shapes = (importlib.import_module(f"qonnx.{name}") for name in modules)
    task = json.loads((folder / "task.json").read_text(encoding="utf-8"))
    with np.load(folder / "inputs.npz", allow_pickle=False) as file:
        pieces = [np.split(file[f"i{index}"], task["parts"]) for index in range(len(task["inputs"]))]
    proto = onnx.load(folder / "model.onnx")
    first = dict(zip(task["inputs"], (piece[0] for piece in pieces), strict=True))
    for value in proto.graph.input:
        shape = value.type.tensor_type.shape
        shape.ClearField("dim")
        for extent in first[value.name].shape:
            shape.dim.add().dim_value = extent
    for value in proto.graph.output:
        value.type.tensor_type.ClearField("shape")
    del proto.graph.value_info[:]
    model = wrapper.ModelWrapper(proto).transform(shapes.InferShapes())
    results = [
        executor.execute_onnx(model, dict(zip(task["inputs"], piece, strict=True)))
        for piece in zip(*pieces, strict=True)
    ]
    arrays = [np.concatenate([np.atleast_1d(result[name]) for result in results]) for name in task["outputs"]]
    members: dict[str, Any] = {f"o{index}": array for index, array in enumerate(arrays)}
    np.savez(folder / "outputs.npz", **members)
    (folder / "answer.json").write_text(json.dumps({"version": metadata.version("qonnx")}), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
