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
from haqc.frontend import Front, known_shapes
from haqc.graph import FULL_BITS, Graph
from haqc.inspection import Inspection, Obstacle, Source
from haqc.passes.clean import remarks
from haqc.passes.cost import cost
from haqc.passes.inspect import inspect, operators
from haqc.passes.parse.operators import JOINING, POOLING
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
        front = Front.read(path)
    except ModelError as error:
        return inspect(source, given, None, shapes=shapes, met=[Obstacle("cost", str(error))])
    notes = remarks(front.model)
    try:
        known = known_shapes(front, path, shapes)
        graph = front.graph(front.bound(known))
    except HaqcError as error:
        early = [Obstacle("cost", str(error))]
        return inspect(source, front.model, None, shapes=shapes, remarks=notes, met=early)
    met: list[Obstacle] = []
    prices = None
    try:
        prices = None if target is None else _prices(graph, target)
    except HaqcError as error:
        met.append(Obstacle("cost", str(error)))
    try:
        front.inputs(known)
    except ModelError as error:  # inputs that do not count the same samples along their first axes
        met.append(Obstacle("compile", str(error)))
    return inspect(
        source,
        front.model,
        graph,
        shapes=known,
        joining=JOINING | POOLING,
        remarks=notes,
        met=met,
        prices=prices,
    )


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


def _external_bytes(model: ir.Model) -> dict[str, int]:
    """Gives the files of external data that initialisers name, and their sizes."""
    tensors = [value.const_value for graph in model.graphs() for value in graph.initializers.values()]
    found = {str(tensor.location): Path(tensor.path) for tensor in tensors if isinstance(tensor, ir.ExternalTensor)}
    return {name: file.stat().st_size for name, file in found.items()}


def _prices(graph: Graph, target: Target) -> dict[str, Any]:
    """Gives what the model costs on a target at 8/8, or at what the target raises that to."""
    report = cost(graph, target, policies.plain_on(graph, target.precision, FULL_BITS, FULL_BITS)).to_json()
    return {key: report[key] for key in _PRICES}
