"""NNCF's post-training quantisation of ONNX files: 8 bits, its fast bias correction (the other
form fails on one of the networks: it builds a graph in which a tensor is defined twice)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nncf
import onnx

if TYPE_CHECKING:
    from benchmarks.peers.tools.job import Forward, Job, file_in_onnxruntime, main
else:
    from job import Forward, Job, file_in_onnxruntime, main  # the script runs by itself, beside this module


def quantise(job: Job) -> tuple[Forward, str]:
    samples = nncf.Dataset([{job.input: sample[None]} for sample in job.calibration])
    model = nncf.quantize(
        onnx.load(job.model),
        samples,
        subset_size=len(job.calibration),
        preset=nncf.QuantizationPreset.MIXED if job.recipe == "mixed" else nncf.QuantizationPreset.PERFORMANCE,
    )
    result = job.out / "model.onnx"
    onnx.save(model, result)
    return file_in_onnxruntime(result, job.input), "file"


if __name__ == "__main__":
    main(quantise, nncf.__version__)
