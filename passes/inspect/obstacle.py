"""What is in the way of a compile: operators that nothing runs, or that no gradient passes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import onnx_ir as ir

from haqc.graph import Graph
from haqc.inspection import Obstacle
from haqc.mirrored import MIRRORED

_RUNTIME_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
"""Domains of which onnxruntime has operators; what the mirror lacks of these, it runs."""


def obstacles(model: ir.Model, graph: Graph | None) -> Iterator[Obstacle]:
    """Gives what is in the way of compiling a model that can be priced, one sentence for each operator."""
    if graph is not None and not graph.quantised_layers:
        yield Obstacle("compile", "no layer can be quantised; what stays in float, and why, stands above")
    unmirrored = [node for node in model.graph.all_nodes() if (node.domain, node.op_type) not in MIRRORED]
    alien = [node for node in unmirrored if node.domain not in _RUNTIME_DOMAINS]
    yield from _each(alien, "is known neither to the mirror nor to onnxruntime; replace it, or use 'haqc cost' alone")
    between = _between(model, graph) if graph is not None and len(unmirrored) > len(alien) else frozenset()
    yield from _each(
        [node for node in unmirrored if node in between and node.domain in _RUNTIME_DOMAINS],
        "has no mirror and lies between layers and the first output, so no gradient passes; replace it by operators of "
        "docs/operators.md, or compile without training: --finetune 0",
    )


def _each(nodes: Iterable[ir.Node], what: str) -> Iterator[Obstacle]:
    """Gives a sentence for each operator, with its first node."""
    found: dict[str, list[str]] = {}
    for node in nodes:
        called = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
        found.setdefault(called, []).append(_called(node))
    for called, names in found.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        yield Obstacle("compile", f"node '{names[0]}' ({called}){more} {what}")


def _called(node: ir.Node) -> str:
    """Gives a node's name; that of its first output where the model could not be cleaned up and it has none."""
    return str(node.name or next((value.name for value in node.outputs), ""))


def _between(model: ir.Model, graph: Graph) -> frozenset[ir.Node]:
    """Gives the nodes that lie behind some layer and before the first output."""
    layers = {name for layer in graph.layers for name in layer.nodes}
    behind: set[ir.Node] = set()
    for node in model.graph:
        if any(producer in behind or producer.name in layers for producer in _producers(node)):
            behind.add(node)
    before: set[ir.Node] = set()
    pending = [node for node in (output.producer() for output in model.graph.outputs[:1]) if node is not None]
    while pending:
        node = pending.pop()
        if node not in before:
            before.add(node)
            pending.extend(_producers(node))
    return frozenset(behind & before)


def _producers(node: ir.Node) -> Collection[ir.Node]:
    producers = (None if value is None else value.producer() for value in node.inputs)
    return [producer for producer in producers if producer is not None]
