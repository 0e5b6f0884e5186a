"""onnxruntime's static quantisation: 8 bits, weights per channel, U8S8 QDQ, after its own pre-processing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

if TYPE_CHECKING:
    from benchmarks.peers.tools.job import Forward, Job, file_in_onnxruntime, main
else:
    from job import Forward, Job, file_in_onnxruntime, main  # the script runs by itself, beside this module

METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "entropy": CalibrationMethod.Entropy,
    "percentile": CalibrationMethod.Percentile,
}


class Reader(CalibrationDataReader):  # type: ignore[misc]
    """Hands out the calibration samples."""

    def __init__(self, job: Job) -> None:
        size = 32
        parts = range(0, len(job.calibration), size)
        self.rest = iter([{job.input: job.calibration[start : start + size]} for start in parts])

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Gives the next samples, or nothing."""
        return next(self.rest, None)


def quantise(job: Job) -> tuple[Forward, str]:
    prepared, result = job.out / "prepared.onnx", job.out / "model.onnx"
    quant_pre_process(job.model, prepared)
    quantize_static(
        prepared,
        result,
        Reader(job),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=METHODS[job.recipe],
    )
    return file_in_onnxruntime(result, job.input), "file"


if __name__ == "__main__":
    main(quantise, onnxruntime.__version__)
