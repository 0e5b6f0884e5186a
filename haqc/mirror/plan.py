"""Turns a graph into the steps that compute it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from haqc.errors import ModelError
from haqc.mirror.constants import is_literal
from haqc.mirror.node import REGISTRY, Node
from haqc.mirror.step import Body, Step, outer
from haqc.mirror.tensors import torch_type

_CONSTANT_LIMIT = 1 << 16
"""Constants of up to this many elements are also handed to operators while building (axes, shapes, bounds)."""


@dataclass(frozen=True)
class Scope:
    """A graph, and what is visible in it.

    Attributes:
        graph: the graph.
        opsets: versions by domain.
        constants: keys, in the outermost graph, of all stored tensors.
        parent: the scope around it; ``None`` for the outermost.
        captured: keys, in the parent, of what this graph reads from outside; grows while its steps are built.
    """

    graph: ir.Graph
    opsets: Mapping[str, int]
    constants: Mapping[ir.Value, str]
    parent: Scope | None = None
    captured: dict[str, None] = field(default_factory=dict)

    def key(self, value: ir.Value | None) -> str:
        """Gives the key of a value in this scope, and notes what is captured; empty for an absent one."""
        if value is None or not value.name:
            return ""
        if self.parent is None:
            return self.constants.get(value) or str(value.name)
        if value not in self.constants and value.graph is self.graph:
            return str(value.name)
        key = self.parent.key(value)
        self.captured[key] = None
        return outer(key)


def steps_of(scope: Scope) -> tuple[Step, ...]:
    """Builds the functions of all nodes, in order, with the point at which each value dies.

    Raises:
        ModelError: an operator, or a form of it, has no mirror; the message names node, operator and opset.
    """
    steps = [_step(node, scope) for node in scope.graph if not is_literal(node)]
    # What is stored outlives a run, and so does what the caller wants.
    lasting = {scope.key(value) for value in scope.graph.outputs} if scope.parent is not None else set()
    lasting |= set(scope.constants.values()) if scope.parent is None else set()
    return _with_deaths(steps, lasting)


def _with_deaths(steps: Sequence[Step], lasting: set[str]) -> tuple[Step, ...]:
    last_use = {key: index for index, step in enumerate(steps) for key in step.inputs if key}
    finished = []
    for index, step in enumerate(steps):
        dead = {key for key in step.inputs if key and last_use[key] == index}
        dead |= {key for key in step.outputs if key and key not in last_use}
        finished.append(Step(step.name, step.function, step.inputs, step.outputs, tuple(sorted(dead - lasting))))
    return tuple(finished)


def _step(node: ir.Node, scope: Scope) -> Step:
    bodies = {
        name: _body(attribute.as_graph(), scope)
        for name, attribute in node.attributes.items()
        if attribute.type == ir.AttributeType.GRAPH
    }
    inputs = [scope.key(value) for value in node.inputs]
    inputs += [key for body in bodies.values() for key in body.captured]
    outputs = tuple(scope.key(value) for value in node.outputs)
    function = REGISTRY.build(_node(node, scope.opsets, bodies))
    return Step(str(node.name), function, tuple(inputs), outputs, ())


def _body(graph: ir.Graph, parent: Scope) -> Body:
    """Builds the graph inside a control-flow node."""
    scope = Scope(graph, parent.opsets, parent.constants, parent)
    steps = steps_of(scope)
    return Body(
        inputs=tuple(scope.key(value) for value in graph.inputs),
        ranks=tuple(None if value.shape is None else len(value.shape) for value in graph.inputs),
        outputs=tuple(scope.key(value) for value in graph.outputs),
        shapes=tuple(_extents(value) for value in graph.outputs),
        types=tuple(torch_type(value.dtype) for value in graph.outputs),
        captured=tuple(scope.captured),
        steps=steps,
    )


def _extents(value: ir.Value) -> tuple[int, ...] | None:
    if value.shape is None:
        return None
    return tuple(extent if isinstance(extent, int) else 0 for extent in value.shape)


def _node(node: ir.Node, opsets: Mapping[str, int], bodies: Mapping[str, Body]) -> Node:
    """Turns an ONNX node into plain Python values."""
    domain = "" if node.domain == "ai.onnx" else node.domain
    attributes: dict[str, object] = dict(bodies)
    for name, attribute in node.attributes.items():
        if attribute.type == ir.AttributeType.GRAPHS:
            raise ModelError(f"node '{node.name}' ({node.op_type}) holds a list of graphs, which no ONNX operator has")
        if attribute.type == ir.AttributeType.TENSOR:
            attributes[name] = attribute.as_tensor().numpy()
        elif name not in bodies:
            value = attribute.value
            attributes[name] = list(value) if isinstance(value, tuple) else value
    return Node(
        op=node.op_type,
        name=str(node.name),
        opset=opsets.get(node.domain, 0),
        attributes=attributes,
        constants=tuple(_constant(value) for value in node.inputs),
        present=tuple(value is not None for value in node.inputs),
        output_count=len(node.outputs),
        domain=domain,
    )


def _constant(value: ir.Value | None) -> np.ndarray | None:
    tensor = None if value is None else ir.convenience.get_const_tensor(value)
    return None if tensor is None or tensor.size > _CONSTANT_LIMIT else tensor.numpy()
