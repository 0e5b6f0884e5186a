"""Describes what haqc sees in a model: layers, what must agree, what stays in float, and operators by support."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import onnx_ir as ir

from haqc.costmodel.network import STREAMED
from haqc.dimensions import Dimensions, Shape
from haqc.graph import Graph
from haqc.inspection import Agreement, Fixed, Inspection, Obstacle, OperatorUse, Port, SeenLayer, Source
from haqc.mirrored import MIRRORED
from haqc.passes.inspect.obstacle import obstacles

_WEIGHTED = {"Conv": 1, "ConvTranspose": 1, "Gemm": 1, "MatMul": 1, "LSTM": 1, "GRU": 1, "RNN": 1}
"""Operators that are shown as layers although no shape is known, and the input that holds their weights."""


def inspect(
    source: Source,
    model: ir.Model,
    graph: Graph | None,
    *,
    shapes: Mapping[str, Shape] | None = None,
    joining: Collection[str] = (),
    remarks: Sequence[str] = (),
    met: Sequence[Obstacle] = (),
    prices: Mapping[str, Any] | None = None,
) -> Inspection:
    """Describes a model.

    Args:
        source: the file as it was given.
        model: the model as it was cleaned up; as it was given, where that failed.
        graph: its layers; ``None`` where it could not be parsed, and then only its structure is described.
        shapes: the shapes that inputs were given.
        joining: operators that run at 8 bits where they read quantised tensors alone.
        remarks: what clean-up did.
        met: what was in the way so far.
        prices: what it costs on a target.
    """
    return Inspection(
        source=source,
        remarks=tuple(remarks),
        inputs=tuple(_inputs(model, graph, shapes or {})),
        outputs=tuple(Port(str(value.name), _type(value), _extents(value)) for value in model.graph.outputs),
        layers=_structure(model) if graph is None else _layers(graph),
        agreements=() if graph is None else tuple(_agreements(graph)),
        fixed=() if graph is None else tuple(_fixed(graph)),
        operators=_uses(model, graph, joining),
        obstacles=(*met, *obstacles(model, graph)),
        prices=prices,
    )


def operators(model: ir.Model) -> Mapping[tuple[str, str], int]:
    """Counts the nodes of each operator, by (domain, operator), bodies of loops and functions included."""
    return Counter((_domain(node), node.op_type) for node in _nodes(model))


def _nodes(model: ir.Model) -> Iterator[ir.Node]:
    yield from model.graph.all_nodes()
    for body in model.functions.values():
        yield from body.all_nodes()


def _inputs(model: ir.Model, graph: Graph | None, shapes: Mapping[str, Shape]) -> Iterator[Port]:
    """Gives the inputs: at the shapes the graph was parsed with, or with the options that would bind them."""
    dimensions = Dimensions.of(model)
    bound = {} if graph is None else dimensions.bind(shapes).shapes()
    options = dict(zip(dimensions.missing(), dimensions.options(), strict=True))
    for value in model.graph.inputs:
        name = str(value.name)
        yield Port(name, _type(value), _extents(value), bound.get(name), options.get(name, ""))


def _extents(value: ir.Value) -> tuple[int | str | None, ...] | None:
    return None if value.shape is None else tuple(_extent(extent) for extent in value.shape)


def _type(value: ir.Value) -> str:
    kind = value.type
    if isinstance(kind, ir.TensorType):
        return "" if kind.dtype == ir.DataType.UNDEFINED else kind.dtype.name.lower()
    return "" if kind is None else type(kind).__name__.removesuffix("Type").lower()


def _extent(extent: int | ir.SymbolicDim) -> int | str | None:
    return extent if isinstance(extent, int) else extent.value


def _layers(graph: Graph) -> tuple[SeenLayer, ...]:
    return tuple(
        SeenLayer(
            name=layer.name,
            op=layer.op,
            kind=layer.kind,
            groups=layer.groups,
            rows=layer.rows,
            reduction=layer.reduction,
            columns=layer.columns,
            macs=layer.macs,
            weights=layer.weight_values,
            float_reason=layer.float_reason,
        )
        for layer in graph.layers
    )


def _structure(model: ir.Model) -> tuple[SeenLayer, ...]:
    """Gives what can be said of the layers of a model whose shapes are not known: their weights."""
    return tuple(_unbound(node) for node in model.graph if _domain(node) == "" and node.op_type in _WEIGHTED)


def _unbound(node: ir.Node) -> SeenLayer:
    index = _WEIGHTED[node.op_type]
    weight = node.inputs[index] if len(node.inputs) > index else None
    shape = [] if weight is None or weight.shape is None else [_extent(extent) for extent in weight.shape]
    extents = [extent for extent in shape if isinstance(extent, int)]
    is_stored = weight is not None and weight.is_initializer() and len(extents) == len(shape)
    return SeenLayer(
        name=str(node.name or node.outputs[0].name),
        op=node.op_type,
        kind=node.op_type.lower(),
        groups=_int(node, "group", 1),
        rows=None,
        reduction=None,
        columns=None,
        macs=None,
        weights=math.prod(extents) if is_stored else 0,
    )


def _agreements(graph: Graph) -> Iterable[Agreement]:
    """Gives what more than one layer reads: weights that are shared, and data that several layers take."""
    for tensors in graph.groups.values():
        layers = dict.fromkeys(layer for tensor in tensors for layer in graph.operand[tensor].layers)
        yield Agreement("data", tensors, tuple(layers), "these tensors are joined and share a scale")
    for operand in graph.operands:
        if len(operand.layers) > 1 and not operand.group:
            about = "weights" if operand.kind == "weight" else "data"
            reason = "they share their weights" if about == "weights" else "they read the same data"
            yield Agreement(about, (operand.tensor,), operand.layers, reason)


def _fixed(graph: Graph) -> Iterable[Fixed]:
    """Gives what is not searched: layers in float, and tensors whose width is fixed."""
    for layer in graph.layers:
        if layer.float_reason:
            yield Fixed(layer.name, layer.op, None, layer.float_reason)
    for node in graph.left_out:
        yield Fixed(node.node, node.op, None, node.reason)
    for layer in graph.quantised_layers:
        if layer.data_reason:
            yield Fixed(layer.activation or layer.name, "", None, layer.data_reason)
    for operand in graph.operands:
        if operand.fixed_bits is not None:
            yield Fixed(operand.tensor, "", operand.fixed_bits, operand.reason)


def _uses(model: ir.Model, graph: Graph | None, joining: Collection[str]) -> tuple[OperatorUse, ...]:
    """Gives the operators of a model, the most frequent first."""
    layers = Counter() if graph is None else _quantised(graph)
    joins = Counter() if graph is None else _joins(graph, joining)
    costs = _costs(graph) if graph is not None else {}
    counts = sorted(operators(model).items(), key=lambda item: (-item[1], item[0]))
    return tuple(
        OperatorUse(
            domain=domain,
            op=op,
            count=count,
            cost="" if graph is None else costs.get(op, "free"),
            mirrored=(domain, op) in MIRRORED,
            quantised=layers[op] + joins[op],
        )
        for (domain, op), count in counts
    )


def _costs(graph: Graph) -> dict[str, str]:
    costs = {operation.op: "traffic" if operation.op in STREAMED else "listed" for operation in graph.operations}
    return costs | {operation.op: "layer" for operation in graph.operations if operation.layer is not None}


def _quantised(graph: Graph) -> Counter[str]:
    """Counts the nodes that are quantised layers; an LSTM is two layers and one node."""
    nodes = {layer.nodes[0]: layer.op for layer in graph.quantised_layers}
    return Counter(nodes.values())


def _joins(graph: Graph, joining: Collection[str]) -> Counter[str]:
    """Counts the operators that are no layers and read only quantised tensors."""
    return Counter(
        operation.op
        for operation in graph.operations
        if operation.op in joining and operation.reads and all(tensor in graph.operand for tensor in operation.reads)
    )


def _domain(node: ir.Node) -> str:
    return "" if node.domain == "ai.onnx" else node.domain


def _int(node: ir.Node, name: str, default: int) -> int:
    attribute = node.attributes.get(name)
    return default if attribute is None else int(attribute.as_int())
