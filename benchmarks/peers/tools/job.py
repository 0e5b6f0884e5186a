"""What every tool's script does around its own work: reads the job, runs the result, writes what it gives.

It runs in the tool's own environment and imports nothing of haqc.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

RUN = 250
"""Samples that run together, where the model takes any number."""

Forward = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Job:
    """One network to quantise.

    Attributes:
        model: the float ONNX file.
        input: name of its input.
        calibration: samples to choose ranges by, shape ``[N, ...]``.
        weights, activations: widths.
        recipe: which of the tool's methods.
        widths: widths of tensors by name that differ from these, as haqc pins them; empty leaves it to the tool.
        out: folder for what comes out.
    """

    model: Path
    input: str
    calibration: np.ndarray
    weights: int
    activations: int
    recipe: str
    widths: dict[str, int]
    out: Path


def main(quantise: Callable[[Job], tuple[Forward, str]], version: str) -> None:
    """Quantises, then runs the search split and the reported one.

    Args:
        quantise: gives what runs the quantised network, and whether that is a file or a simulator.
        version: of the tool.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    words = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    data = np.load(words.pop("data"))
    job = Job(model=Path(words.pop("model")), calibration=data["calibration"], out=folder, **words)
    start = time.process_time()
    forward, what = quantise(job)
    seconds = time.process_time() - start
    for split in ("search", "reported"):
        parts = [forward(data[split][start : start + RUN]) for start in range(0, len(data[split]), RUN)]
        np.save(folder / f"{split}.npy", np.concatenate(parts))
    (folder / "done.json").write_text(json.dumps({"ran": what, "version": version, "cpu_s": seconds}), encoding="utf-8")


def file_in_onnxruntime(path: Path, name: str) -> Forward:
    """Gives what runs a file in onnxruntime at its defaults, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda batch: np.asarray(session.run(None, {name: batch})[0])
