"""The front of the compiler: from an ONNX file to the cleaned graph and the layer IR. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx_ir as ir

from haqc import onnxfile
from haqc.data.split import InputSpec
from haqc.dimensions import Dimensions, Shape
from haqc.errors import ModelError
from haqc.graph import Graph
from haqc.passes.bind import bind
from haqc.passes.clean import clean
from haqc.passes.parse import parse


def pose(model: Path, shapes: Mapping[str, Shape] | None = None) -> tuple[ir.Model, Graph]:
    """Reads a model, cleans it up and parses it.

    Args:
        model: the file.
        shapes: shapes of inputs by name, for one sample, where the model leaves more open than the number of samples.

    Returns:
        The cleaned model, in which what was open is still open, and its layers at these shapes.

    Raises:
        ModelError: the file cannot be read, holds something haqc cannot treat, or has dimensions that no shape binds.
    """
    given = onnxfile.read(model)
    opset = given.opset_imports[""]
    cleaned = clean(given)
    return cleaned, replace(parse(bind(cleaned, shapes), model.stem), opset=opset)


def input_specs(model: ir.Model, shapes: Mapping[str, Shape] | None = None) -> tuple[InputSpec, ...]:
    """Gives what a model's inputs take.

    Args:
        model: the model.
        shapes: shapes of inputs by name, for one sample; they bind symbols of the model.

    Raises:
        ModelError: an input has no type or no shape, or the shapes contradict the model or each other.
    """
    dimensions = Dimensions.of(model).bind(shapes or {})
    specs = []
    for value in model.graph.inputs:
        name = str(value.name)
        shape = dimensions.axes(name)
        if value.dtype is None or shape is None:
            raise ModelError(f"input '{name}' has no type or shape; export the model again")
        specs.append(InputSpec(name, np.dtype(value.dtype.numpy()), shape))
    return tuple(specs)
