"""Loads encodings into AIMET's simulation: a script of its own, for an interpreter that has aimet_onnx.

Argument: a folder with ``inputs.npz`` and ``task.json``, as :mod:`haqc.passes.verify.outside` leaves them. The first
input says whether AIMET ties ranges, as by default. Then come models, as many as the task has parts, and as many
documents of encodings, both as bytes. Each of these pairs becomes a simulation, which reads the inputs behind them. It
leaves ``outputs.npz``, a pair's outputs behind the other's, and ``answer.json``.
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
    count = task["parts"]
    with np.load(folder / "inputs.npz", allow_pickle=False) as file:
        quantsim._tie_qtzrs = bool(file["i0"])  # AIMET has no public name for it
        contents = [file[f"i{index}"].tobytes() for index in range(1, 2 * count + 1)]
        given = {name: file[f"i{index}"] for index, name in enumerate(task["inputs"]) if index > 2 * count}
    outputs = []
    for model, document in zip(contents[:count], contents[count:], strict=True):
        proto = onnx.load_from_string(model)
        simulation = quantsim.QuantizationSimModel(
            proto, dummy_input={name: array[:1] for name, array in given.items()}
        )
        quantsim.load_encodings_to_sim(simulation, json.loads(document), strict=False)
        outputs += simulation.session.run(None, given)  # AIMET names outputs anew and keeps their order
    members: dict[str, Any] = {f"o{index}": array for index, array in enumerate(outputs)}
    np.savez(folder / "outputs.npz", **members)
    version = metadata.version("aimet-onnx")
    (folder / "answer.json").write_text(json.dumps({"version": version}), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
