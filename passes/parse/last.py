"""The layers nearest to each output."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from haqc.graph import Layer
from haqc.passes.parse.reading import captured


def last_layers(graph: ir.Graph, layers: Sequence[Layer]) -> tuple[str, ...]:
    """Gives the layers after which no other runs on the way to some output, in graph order."""
    of_node: dict[str, list[str]] = {}
    for layer in layers:
        for node in layer.nodes:
            of_node.setdefault(node, []).append(layer.name)
    last: set[str] = set()
    pending = list(graph.outputs)
    seen: set[ir.Node] = set()
    while pending:
        producer = pending.pop().producer()
        if producer is None or producer in seen:
            continue
        seen.add(producer)
        if str(producer.name) in of_node:
            last.update(of_node[str(producer.name)])
        else:
            pending.extend(value for value in (*producer.inputs, *captured(producer)) if value is not None)
    return tuple(layer.name for layer in layers if layer.name in last)
