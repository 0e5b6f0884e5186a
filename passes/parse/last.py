"""The last layers before each output."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import onnx_ir as ir

from haqc.graph import Layer
from haqc.passes.parse.reading import captured


def last_layers(graph: ir.Graph, layers: Sequence[Layer]) -> tuple[str, ...]:
    """Gives the layers behind which no other runs, and of each output the latest layer that it depends on.

    A layer whose result reaches an output by a shortcut around later layers is not last: in a transformer, every
    block's projections reach the output through the additions behind them.

    Args:
        graph: the graph, its nodes in an order in which they can run.
        layers: its layers.

    Returns:
        Their names, in graph order.
    """
    of_node: dict[str, list[str]] = {}
    for layer in layers:
        for node in layer.nodes:
            of_node.setdefault(node, []).append(layer.name)
    runs_before = _nodes_before_layers(graph, of_node)
    last = {
        name
        for node in _nearest(graph, of_node)
        if node not in runs_before
        for name in of_node[str(node.name)]
    } | _latest(graph, of_node)  # fmt: skip
    return tuple(layer.name for layer in layers if layer.name in last)


def _nodes_before_layers(graph: ir.Graph, of_node: dict[str, list[str]]) -> set[ir.Node]:
    """Gives the nodes whose result some node of another layer depends on."""
    found: set[ir.Node] = set()
    for node in reversed(graph):
        own = of_node.get(str(node.name))
        for producer in _producers(node):
            of_producer = of_node.get(str(producer.name))
            if node in found or (own is not None and own != of_producer):
                found.add(producer)
    return found


def _nearest(graph: ir.Graph, of_node: dict[str, list[str]]) -> Iterator[ir.Node]:
    """Gives the layers' nodes from which a way leads to an output through no other layer."""
    pending = list(graph.outputs)
    seen: set[ir.Node] = set()
    while pending:
        producer = pending.pop().producer()
        if producer is None or producer in seen:
            continue
        seen.add(producer)
        if str(producer.name) in of_node:
            yield producer
        else:
            pending.extend(value for value in (*producer.inputs, *captured(producer)) if value is not None)


def _latest(graph: ir.Graph, of_node: dict[str, list[str]]) -> set[str]:
    """Gives, of each output, the layers of the latest node that it depends on."""
    latest: dict[ir.Node, int] = {}
    nodes = list(graph)
    for index, node in enumerate(nodes):
        before = max((latest[producer] for producer in _producers(node)), default=-1)
        latest[node] = index if str(node.name) in of_node else before
    producers = (output.producer() for output in graph.outputs)
    ends = {latest[producer] for producer in producers if producer is not None} - {-1}
    return {name for index in ends for name in of_node[str(nodes[index].name)]}


def _producers(node: ir.Node) -> Iterator[ir.Node]:
    for value in (*node.inputs, *captured(node)):
        producer = value.producer() if value is not None else None
        if producer is not None and producer.graph is node.graph:
            yield producer
