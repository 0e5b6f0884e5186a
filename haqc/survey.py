"""Looks at an unknown model as far as haqc gets: file, clean-up, layers; what is in the way becomes a finding."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx_ir as ir

from haqc import onnxfile
from haqc import policy as policies
from haqc.dimensions import Dimensions, Shape
from haqc.errors import HaqcError, ModelError
from haqc.frontend import pose
from haqc.graph import FULL_BITS, Graph
from haqc.inspection import Inspection, Obstacle, Source
from haqc.passes.clean import clean, remarks
from haqc.passes.cost import cost
from haqc.passes.inspect import inspect, operators
from haqc.target import Target

_PRICES = ("target", "batch", "mode", "grades", "total", "per_inference", "not_modelled")


def survey(path: Path, shapes: Mapping[str, Shape] | None = None, target: Target | None = None) -> Inspection:
    """Inspects a model; it needs no data.

    What ends the clean-up, the parsing or the pricing of a model that can be read is not raised but stands in the
    result, beside what can be said without.

    Args:
        path: the ONNX file.
        shapes: shapes of inputs by name, for one sample.
        target: a chip to price the model on, at 8/8; ``None`` for none.

    Raises:
        ModelError: the file cannot be read, is no ONNX file, or is malformed; or the shapes do not fit its inputs.
    """
    given = onnxfile.read(path)
    source = _describe(path, given)
    Dimensions.of(given).bind(shapes or {})
    try:
        model, graph = pose(path, shapes)
    except ModelError as error:
        obstacles = [Obstacle("cost", str(error))]
        model = _as_far_as_cleaned(path)
        return inspect(source, model, None, shapes=shapes, remarks=remarks(model), obstacles=obstacles)
    obstacles, prices = [], None
    try:
        prices = None if target is None else _prices(graph, target)
    except HaqcError as error:
        obstacles = [Obstacle("cost", str(error))]
    return inspect(source, model, graph, shapes=shapes, remarks=remarks(model), obstacles=obstacles, prices=prices)


def _describe(path: Path, model: ir.Model) -> Source:
    return Source(
        name=path.stem,
        file=str(path),
        file_bytes=path.stat().st_size,
        external=tuple(sorted(_external_bytes(model).items())),
        ir_version=model.ir_version or 0,
        opsets=dict(model.opset_imports),
        producer=" ".join(part for part in (model.producer_name, model.producer_version) if part),
        operators=operators(model),
        functions=len(model.functions),
    )


def _as_far_as_cleaned(path: Path) -> ir.Model:
    """Gives a model cleaned up, or as it was given where that fails."""
    try:
        return clean(onnxfile.read(path))
    except ModelError:
        return onnxfile.read(path)


def _external_bytes(model: ir.Model) -> dict[str, int]:
    """Gives the files of external data that initialisers name, and their sizes."""
    tensors = [value.const_value for graph in model.graphs() for value in graph.initializers.values()]
    found = {str(tensor.location): Path(tensor.path) for tensor in tensors if isinstance(tensor, ir.ExternalTensor)}
    return {name: file.stat().st_size for name, file in found.items()}


def _prices(graph: Graph, target: Target) -> dict[str, Any]:
    """Gives what the model costs on a target at 8/8, or at what the target raises that to."""
    report = cost(graph, target, policies.plain_on(graph, target.precision, FULL_BITS, FULL_BITS)).to_json()
    return {key: report[key] for key in _PRICES}
