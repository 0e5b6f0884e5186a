"""Puts the nodes of an ONNX graph in an order in which they can run; some converters append to the end."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import onnx


def sort_nodes(graph: onnx.GraphProto) -> bool:
    """Sorts a graph's nodes so that each follows what it reads, and otherwise stays where it was.

    Returns:
        whether the order changed; a graph with a circle stays as it is.
    """
    nodes = list(graph.node)
    writers = {name: index for index, node in enumerate(nodes) for name in node.output if name}
    waits = [{writers[name] for name in _reads(node) if name in writers} for node in nodes]
    if all(max(before, default=-1) < index for index, before in enumerate(waits)):
        return False
    readers: dict[int, list[int]] = {}
    for index, before in enumerate(waits):
        for writer in before:
            readers.setdefault(writer, []).append(index)
    missing = [len(before) for before in waits]
    ready = [index for index, count in enumerate(missing) if not count]
    order: list[int] = []
    while ready:
        index = heapq.heappop(ready)
        order.append(index)
        for reader in readers.get(index, ()):
            missing[reader] -= 1
            if not missing[reader]:
                heapq.heappush(ready, reader)
    if len(order) < len(nodes):
        return False
    copies = [onnx.NodeProto.FromString(nodes[index].SerializeToString()) for index in order]
    del graph.node[:]
    graph.node.extend(copies)
    return True


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    """Gives the names that a node reads, in its branches and bodies too; names made inside may be among them."""
    yield from node.input
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs) if attribute.HasField("g") else attribute.graphs:
            made = {value.name for value in (*graph.input, *graph.initializer)}
            made.update(name for inner in graph.node for name in inner.output)
            for inner in graph.node:
                yield from (name for name in _reads(inner) if name not in made)
            yield from (value.name for value in graph.output if value.name not in made)
