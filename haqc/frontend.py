"""The front of the compiler: from an ONNX file to the cleaned graph and the layer IR. Loads no torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx_ir as ir

from haqc import onnxfile
from haqc.data.split import InputSpec
from haqc.errors import ModelError
from haqc.graph import Graph
from haqc.passes.clean import clean
from haqc.passes.parse import parse


def pose(model: Path) -> tuple[ir.Model, Graph]:
    """Reads a model, cleans it up and parses it.

    Raises:
        ModelError: the file cannot be read, or holds something haqc cannot treat.
    """
    given = onnxfile.read(model)
    opset = given.opset_imports[""]
    cleaned = clean(given)
    return cleaned, replace(parse(cleaned, model.stem), opset=opset)


def input_specs(model: ir.Model) -> tuple[InputSpec, ...]:
    """Gives what a model's inputs take.

    Raises:
        ModelError: an input has no type or no shape.
    """
    specs = []
    for value in model.graph.inputs:
        if value.dtype is None or value.shape is None:
            raise ModelError(f"input '{value.name}' has no type or shape; export the model again")
        shape = tuple(extent if isinstance(extent, int) else None for extent in value.shape)
        specs.append(InputSpec(str(value.name), np.dtype(value.dtype.numpy()), shape))
    return tuple(specs)
