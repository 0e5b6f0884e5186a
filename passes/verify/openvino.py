"""Whether OpenVINO computes what onnxruntime computes, where it is installed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx_ir as ir

from haqc.passes.verify.compare import against_unoptimised
from haqc.passes.verify.consumer import Compared, Consumer
from haqc.passes.verify.cut import Cut
from haqc.passes.verify.outside import OutsideRuntime, RuntimeRefuses
from haqc.probe import parts
from haqc.runtime import Runtime

NAME = "OpenVINO, float32"

OPENVINO = OutsideRuntime("openvino", Path(__file__).with_name("run_openvino.py"))


def verify_openvino(model: ir.Model, inputs: Mapping[str, np.ndarray]) -> Consumer:
    """Compares OpenVINO with onnxruntime, unoptimised, on OpenVINO's own codes, by the rule for runtimes at defaults.

    What it finds decides nothing: where OpenVINO computes something else, or fails, the file is still what was asked.

    Args:
        model: an emitted model that onnxruntime runs.
        inputs: arrays by graph input.
    """
    pieces = Cut.of(model)
    compared: Compared = "codes" if pieces.codes else "values"
    line = Consumer(NAME, "", "absent", "onnxruntime, unoptimised", compared, decides=False)
    interpreter = OPENVINO.interpreter
    if interpreter is None:
        return line
    cut = Runtime(pieces.cut_model, optimised=False)
    count = parts(len(next(iter(inputs.values()))), cut.samples_per_run)
    try:
        answer = OPENVINO.run(interpreter, pieces.exposed_model, inputs, cut.outputs, count)
    except RuntimeRefuses as error:
        return replace(line, status="refused", first_difference=str(error))
    found = against_unoptimised(NAME, answer.version, answer.outputs, pieces, cut, inputs)
    return replace(found, decides=False)
