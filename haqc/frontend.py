"""The front of the compiler: from an ONNX file to the cleaned graph and the layer IR. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx_ir as ir

from haqc import collector, data, onnxfile
from haqc.channelstatistics import ChannelStatistics
from haqc.data.span import Span
from haqc.data.split import InputSpec
from haqc.dimensions import Dimensions, Shape
from haqc.errors import ModelError
from haqc.graph import Graph
from haqc.passes.bind import bind
from haqc.passes.clean import clean
from haqc.passes.parse import parse
from haqc.stated import kept_statistics, stated_spans

QUANTISERS = frozenset({"QuantizeLinear", "DequantizeLinear", "Quant", "BipolarQuant"})
"""Operators that clean-up removes to restore the float graph of a file that was quantised already."""


@dataclass(frozen=True)
class Front:
    """A model as it was read and cleaned, before its shapes are bound.

    Attributes:
        model: the cleaned model; what was open in the file is open in it.
        name: the file's stem.
        opset: the opset of the file.
        is_half: whether the file computes in floats of 16 bits.
        is_quantised: whether the file holds quantisers, so that the cleaned model is its float graph and not the same.
        stated: the values of inputs that the file states.
        statistics: what the network kept of the data it was trained on.
    """

    model: ir.Model
    name: str
    opset: int
    is_half: bool
    is_quantised: bool
    stated: Mapping[str, Span]
    statistics: tuple[ChannelStatistics, ...]

    @classmethod
    @collector.paused()
    def read(cls, path: Path) -> Front:
        """Reads a model and cleans it up.

        Raises:
            ModelError: the file cannot be read, or holds something haqc cannot treat.
        """
        given = onnxfile.read(path)
        opset, is_half, is_quantised = given.opset_imports[""], _is_half(given), _is_quantised(given)
        stated, statistics = stated_spans(given), kept_statistics(given)
        return cls(clean(given), path.stem, opset, is_half, is_quantised, stated, statistics)

    @collector.paused()
    def bound(self, shapes: Mapping[str, Shape] | None = None) -> ir.Model:
        """Gives the model at shapes of inputs for one sample, see :func:`haqc.passes.bind.bind`."""
        return bind(self.model, shapes)

    @collector.paused()
    def graph(self, bound: ir.Model, keep_float: Sequence[str] = ()) -> Graph:
        """Parses the bound model into layers, those that some patterns match in float."""
        return replace(parse(bound, self.name, keep_float), opset=self.opset)

    def inputs(self, shapes: Mapping[str, Shape] | None = None) -> tuple[InputSpec, ...]:
        """Gives what the inputs take, see :func:`input_specs`."""
        return input_specs(self.model, shapes)


def pose(model: Path, shapes: Mapping[str, Shape] | None = None) -> tuple[ir.Model, Graph]:
    """Reads a model, cleans it up and parses it.

    Args:
        model: the file.
        shapes: shapes of inputs by name, for one sample, where the model leaves more open than the number of samples.
            The data description beside the model, if there is one, says what these do not.

    Returns:
        The cleaned model, in which what was open is still open, and its layers at these shapes.

    Raises:
        ModelError: the file cannot be read, holds something haqc cannot treat, or has dimensions that no shape binds.
        DataError: a length must be read off the data beside the model, and these do not fit.
    """
    front = Front.read(model)
    return front.model, front.graph(front.bound(known_shapes(front, model, shapes)))


def known_shapes(front: Front, model: Path, shapes: Mapping[str, Shape] | None = None) -> dict[str, Shape]:
    """Gives the shapes of inputs that are given, or else those of the data that are described beside the model.

    Raises:
        ModelError: the shapes contradict the model or each other.
        DataError: a length must be read off the data beside the model, and these do not fit.
    """
    dimensions = Dimensions.of(front.model).bind(shapes or {})
    known = dict(shapes or {})
    if dimensions.missing() and data.describe(None, model) is not None:
        known |= shapes_of(data.load(None, front.inputs(shapes), model), front.model)
    return known


def shapes_of(dataset: data.Dataset, model: ir.Model) -> dict[str, Shape]:
    """Gives the shapes that data give a model's inputs, for one sample (or for the number that one run takes)."""
    samples = dataset.train.samples_per_run or 1
    names = [str(value.name) for value in model.graph.inputs]
    return {name: (samples, *shape) for name, shape in zip(names, dataset.sample_shapes, strict=True)}


def input_specs(model: ir.Model, shapes: Mapping[str, Shape] | None = None) -> tuple[InputSpec, ...]:
    """Gives what a model's inputs take, samples along the first axis.

    Args:
        model: the model.
        shapes: shapes of inputs by name, for one sample; they bind symbols of the model.

    Raises:
        ModelError: an input has no type or no shape, the shapes contradict the model or each other, or samples do not
            lie along the first axis of every input.
    """
    dimensions = Dimensions.of(model).bind(shapes or {})
    specs = []
    for value in model.graph.inputs:
        name = str(value.name)
        shape = dimensions.axes(name)
        if value.dtype is None or shape is None:
            raise ModelError(f"input '{name}' has no type or shape; export the model again")
        specs.append(InputSpec(name, np.dtype(value.dtype.numpy()), shape))
    dimensions.samples_per_run()
    return tuple(specs)


def _is_half(model: ir.Model) -> bool:
    half = (ir.DataType.FLOAT16, ir.DataType.BFLOAT16)
    values = (*model.graph.inputs, *model.graph.outputs, *model.graph.initializers.values())
    return any(value.dtype in half for value in values)


def _is_quantised(model: ir.Model) -> bool:
    functions = (node for body in model.functions.values() for node in body.all_nodes())
    return any(node.op_type in QUANTISERS for node in (*model.graph.all_nodes(), *functions))
