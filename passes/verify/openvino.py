"""Whether OpenVINO computes what onnxruntime computes, where it is installed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx_ir as ir

from haqc.content import Content
from haqc.passes.verify.compare import against_unoptimised
from haqc.passes.verify.consumer import Compared, Consumer
from haqc.passes.verify.cut import Cut
from haqc.passes.verify.outside import OutsideRuntime, RuntimeRefuses
from haqc.probe import parts
from haqc.runtime import Runtime

NAME = "OpenVINO, float32"
FIXED_NAME = f"{NAME}, fixed shapes"

OPENVINO = OutsideRuntime("openvino", Path(__file__).with_name("run_openvino.py"))


def verify_openvino(model: ir.Model, inputs: Mapping[str, np.ndarray]) -> tuple[Consumer, ...]:
    """Compares OpenVINO with onnxruntime, unoptimised, on OpenVINO's own codes, by the rule for runtimes at defaults.

    What it finds decides nothing: where OpenVINO computes something else, or fails, the file is still what was asked.
    Where it computes something else, and extents of the inputs are free, a second line says what it makes of the file
    with the shapes of what it is given: there are transformations that go wrong at free extents alone.

    Args:
        model: an emitted model that onnxruntime runs.
        inputs: arrays by graph input.
    """
    pieces = Cut.of(model)
    interpreter = OPENVINO.interpreter
    if interpreter is None:
        return (_line(NAME, pieces),)
    cut = Runtime(pieces.cut_model, optimised=False)
    count = parts(len(next(iter(inputs.values()))), cut.samples_per_run)
    found = _compared(NAME, interpreter, pieces, pieces.exposed_model, cut, inputs, count)
    if found.status != "differs":
        return (found,)
    fixed = _at_shapes(model, {name: (len(array) // count, *array.shape[1:]) for name, array in inputs.items()})
    if fixed is None:
        return (found,)
    return found, _compared(FIXED_NAME, interpreter, pieces, Cut.of(fixed).exposed_model, cut, inputs, count)


def _compared(
    name: str,
    interpreter: str,
    pieces: Cut,
    exposed: Content,
    cut: Runtime,
    inputs: Mapping[str, np.ndarray],
    count: int,
) -> Consumer:
    try:
        answer = OPENVINO.run(interpreter, exposed, inputs, cut.outputs, count)
    except RuntimeRefuses as error:
        return replace(_line(name, pieces), status="refused", first_difference=str(error))
    found = against_unoptimised(name, answer.version, answer.outputs, pieces, cut, inputs)
    return replace(found, decides=False)


def _line(name: str, pieces: Cut) -> Consumer:
    compared: Compared = "codes" if pieces.codes else "values"
    return Consumer(name, "", "absent", "onnxruntime, unoptimised", compared, decides=False)


def _at_shapes(model: ir.Model, shapes: Mapping[str, tuple[int, ...]]) -> ir.Model | None:
    """Gives the model with its inputs at these shapes; ``None`` where they have them already."""
    fixed = model.clone()
    for value in fixed.graph.inputs:
        value.shape = ir.Shape(shapes[str(value.name)])
    given = zip(model.graph.inputs, fixed.graph.inputs, strict=True)
    return None if all(value.shape == other.shape for value, other in given) else fixed
