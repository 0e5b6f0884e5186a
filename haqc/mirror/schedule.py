"""The order of nodes where some run in onnxruntime: as few and as large groups of those as the graph allows."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator, Sequence

import onnx_ir as ir


def reads(node: ir.Node) -> list[ir.Value]:
    """Gives what a node reads of the graph it is in, or of those around: its inputs, and what its bodies capture."""
    found = [value for value in node.inputs if value is not None]
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            body = attribute.as_graph()
            used = [*(value for inner in body for value in reads(inner)), *body.outputs]
            found += [value for value in used if value.graph is not body]
    return found


def schedule(nodes: Sequence[ir.Node], foreign: Collection[ir.Node]) -> Iterator[tuple[ir.Node, ...]]:
    """Gives single nodes, and connected groups of foreign ones, in an order in which each can run.

    Whatever is ready and not foreign runs first, in the order it has; then all that is foreign and ready by then. So
    no group waits for something that waits for the group.
    """
    if not foreign:
        yield from ((node,) for node in nodes)
        return
    position = {node: index for index, node in enumerate(nodes)}
    sources = [_sources(node, position) for node in nodes]
    readers: list[list[int]] = [[] for _ in nodes]
    for index, before in enumerate(sources):
        for source in before:
            readers[source].append(index)
    waits = [len(before) for before in sources]
    is_foreign = [node in foreign for node in nodes]
    ready = [index for index, count in enumerate(waits) if not count]
    own = [index for index in ready if not is_foreign[index]]
    others = [index for index in ready if is_foreign[index]]

    def release(index: int) -> None:
        for reader in readers[index]:
            waits[reader] -= 1
            if not waits[reader]:
                heapq.heappush(others if is_foreign[reader] else own, reader)

    while own or others:
        while own:
            index = heapq.heappop(own)
            yield (nodes[index],)
            release(index)
        group = []
        while others:
            group.append(heapq.heappop(others))
            release(group[-1])
        yield from (tuple(nodes[index] for index in part) for part in _parts(group, sources))


def _sources(node: ir.Node, position: dict[ir.Node, int]) -> set[int]:
    producers = (value.producer() for value in reads(node))
    return {position[producer] for producer in producers if producer in position and producer is not node}


def _parts(group: list[int], sources: list[set[int]]) -> list[list[int]]:
    """Splits a group, which is in order, into those that are connected with each other."""
    part_of: dict[int, list[int]] = {}
    for index in group:
        joined = [index]
        for part in {id(part_of[source]): part_of[source] for source in sources[index] if source in part_of}.values():
            joined = sorted(part + joined)
        part_of.update(dict.fromkeys(joined, joined))
    return list({id(part): part for part in part_of.values()}.values())
