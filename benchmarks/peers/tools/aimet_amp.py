"""AIMET's automatic mixed precision for ONNX, in its own environment: a folder in, what it came to out.

The folder has ``job.json`` (``model``, ``input``, ``data``) and the arrays that it names: samples to calibrate with,
images and labels to search with, and images to report on. Candidates are W8A8, W4A8 and W4A4, and one point of accuracy
may be lost on the images it searches with; sensitivities are of the first 1,000 of these, its binary search over the
front is of 5,000 at most, and else it is as it comes.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import aimet_onnx
import numpy as np
import onnx
import onnxruntime
from aimet_onnx.common.defs import CallbackFunc, QuantizationDataType
from aimet_onnx.mixed_precision import choose_mixed_precision

BATCH, RUN = 32, 250
FIRST, SECOND = 1_000, 5_000
DROP = 0.01
CANDIDATES = [
    ((activation, QuantizationDataType.int), (weight, QuantizationDataType.int))
    for activation, weight in ((8, 8), (8, 4), (4, 4))
]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    data, name = np.load(job["data"]), job["input"]
    seen = 0

    def outputs(session: onnxruntime.InferenceSession, images: np.ndarray, size: int) -> np.ndarray:
        parts = range(0, len(images), size)
        return np.concatenate([session.run(None, {name: images[start : start + size]})[0] for start in parts])

    def accuracy(session: onnxruntime.InferenceSession, count: int) -> float:
        nonlocal seen
        images, labels = data["search"][:count], data["labels"][:count]
        seen += len(images)
        return float((outputs(session, images, RUN).argmax(axis=1) == labels).mean())

    sim = aimet_onnx.QuantizationSimModel(
        onnx.load(job["model"]),
        param_type=aimet_onnx.qtype.int(8),
        activation_type=aimet_onnx.qtype.int(8),
        quant_scheme="tf_enhanced",
    )
    choose_mixed_precision(
        sim,
        CANDIDATES,
        CallbackFunc(accuracy, FIRST),
        CallbackFunc(accuracy, SECOND),
        allowed_accuracy_drop=DROP,
        results_dir=str(folder),
        clean_start=True,
        forward_pass_callback=CallbackFunc(lambda session, _: outputs(session, data["calibration"], BATCH)),
        use_all_amp_candidates=True,
    )
    np.save(folder / "reported.npy", outputs(sim.session, data["reported"], RUN))
    log = dict(json.loads((folder / "amp_info_list.json").read_text(encoding="utf-8")))
    front = json.loads((folder / "pareto_list.json").read_text(encoding="utf-8"))
    shares = [share for share, score, *_ in front if score == log["final score"]]
    found = {"share": min(shares), "evaluated": seen, "version": aimet_onnx.__version__}
    (folder / "done.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
