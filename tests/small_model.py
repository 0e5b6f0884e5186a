"""Small ONNX models written as text, and how to run them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import onnx.parser
import onnxruntime
from onnx import numpy_helper


def small_model(text: str, constants: Mapping[str, object], opset: int = 21, ir_version: int = 8) -> onnx.ModelProto:
    """Makes a valid model of a graph in ONNX's text form, ``(inputs) => (outputs) { nodes }``.

    A list of integers is an int64 constant, a number a float32 scalar; arrays stay as they are.
    """
    header = f'<ir_version: {ir_version}, opset_import: ["": {opset}]> small '
    model = onnx.parser.parse_model(header + text)
    for name, value in constants.items():
        if isinstance(value, float):
            value = np.float32(value)  # noqa: PLW2901
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    onnx.checker.check_model(model)
    return model


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    """Draws seeded normal numbers, float32."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def run(model: onnx.ModelProto, **inputs: np.ndarray) -> list[np.ndarray]:
    """Runs a model in onnxruntime, unoptimised and on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return list(session.run(None, inputs))
