"""Loads encodings into AIMET's simulation: a script of its own, for an interpreter that has aimet_onnx.

Argument: a folder with ``model.onnx``, ``inputs.npz`` and ``task.json``, as :mod:`haqc.passes.verify.outside` leaves
them, the first input being the encodings as bytes of JSON. It leaves ``outputs.npz`` and ``answer.json``.
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
    quantsim: Any = importlib.import_module("aimet_onnx.quantsim")
    task = json.loads((folder / "task.json").read_text(encoding="utf-8"))
    with np.load(folder / "inputs.npz", allow_pickle=False) as file:
        encodings = json.loads(file["i0"].tobytes())
        given = {name: file[f"i{index}"] for index, name in enumerate(task["inputs"]) if index}
    model = onnx.load(folder / "model.onnx")
    simulation = quantsim.QuantizationSimModel(model, dummy_input={name: array[:1] for name, array in given.items()})
    quantsim.load_encodings_to_sim(simulation, encodings, strict=False)
    outputs = simulation.session.run(None, given)  # AIMET names outputs anew and keeps their order
    members: dict[str, Any] = {f"o{index}": array for index, array in enumerate(outputs)}
    np.savez(folder / "outputs.npz", **members)
    version = metadata.version("aimet-onnx")
    (folder / "answer.json").write_text(json.dumps({"version": version}), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
