"""Turns a graph into the steps that compute it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import onnx_ir as ir

from haqc.errors import ModelError
from haqc.mirror.constants import is_literal
from haqc.mirror.foreign import Foreign, Part, is_tensor
from haqc.mirror.node import REGISTRY, Node, Unmirrored
from haqc.mirror.schedule import schedule
from haqc.mirror.step import Body, Function, Step, outer
from haqc.mirror.tensors import torch_type
from haqc.mirror.whole import Whole, admitted, form_of, made_tensor

_RANDOM = frozenset(
    {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial"}
)
"""Operators that give something else each time they run."""

_CONSTANT_LIMIT = 1 << 16
"""Constants of up to this many elements are also handed to operators while building (axes, shapes, bounds)."""


@dataclass(frozen=True)
class Scope:
    """A graph, and what is visible in it.

    Attributes:
        graph: the graph.
        opsets: versions by domain.
        ir_version: version of the file format.
        constants: keys, in the outermost graph, of all stored tensors.
        parent: the scope around it; ``None`` for the outermost.
        captured: keys, in the parent, of what this graph reads from outside; grows while its steps are built.
        wholes: by key, the values of this graph that travel as Python integers; grows likewise.
    """

    graph: ir.Graph
    opsets: Mapping[str, int]
    ir_version: int
    constants: Mapping[ir.Value, str]
    parent: Scope | None = None
    captured: dict[str, None] = field(default_factory=dict)
    wholes: dict[str, Whole] = field(default_factory=dict)

    def key(self, value: ir.Value | None) -> str:
        """Gives the key of a value in this scope, and notes what is captured; empty for an absent one."""
        if value is None or not value.name:
            return ""
        if self.parent is None:
            return self.constants.get(value) or str(value.name)
        if value not in self.constants and value.graph is self.graph:
            return str(value.name)
        key = self.parent.key(value)
        return self._capture(key)

    def whole(self, value: ir.Value | None) -> Whole | None:
        """Says how a value travels: ``None`` for tensors."""
        if value is None or value in self.constants:
            return None
        if self.parent is None or value.graph is self.graph:
            return self.wholes.get(str(value.name))
        return self.parent.whole(value)

    def anchor(self) -> str:
        """Gives the key of a tensor on whose device others are made; one that is stored, for it is there anyway."""
        if self.parent is None:
            inputs = (str(value.name) for value in self.graph.inputs)
            return next(iter(self.constants.values()), None) or next(inputs, "")
        key = self.parent.anchor()
        return self._capture(key) if key else ""

    def _capture(self, key: str) -> str:
        self.captured[key] = None
        return outer(key)


def steps_of(scope: Scope) -> tuple[Step, ...]:
    """Builds the functions of all nodes of a model, in order, with the point at which each value dies.

    Raises:
        ModelError: an operator, or a form of it, has no mirror, nor does onnxruntime run it; the message names node,
            operator and opset.
    """
    return _with_deaths(_steps(scope), set(scope.constants.values()))  # what is stored outlives a run


def _steps(scope: Scope) -> list[Step]:
    nodes = [node for node in scope.graph if not is_literal(node)]
    built: dict[ir.Node, Step] = {}
    gaps: dict[ir.Node, Unmirrored] = {}
    for node in nodes:
        step = _step(node, scope)
        if isinstance(step, Step):
            built[node] = step
        else:
            gaps[node] = step
    return [
        _foreign(group, scope, gaps[group[0]]) if group[0] in gaps else built[group[0]]
        for group in schedule(nodes, gaps.keys())
    ]


def _with_deaths(steps: Sequence[Step], lasting: set[str]) -> tuple[Step, ...]:
    last_use = {key: index for index, step in enumerate(steps) for key in step.inputs if key}
    finished = []
    for index, step in enumerate(steps):
        dead = {key for key in step.inputs if key and last_use[key] == index}
        dead |= {key for key in step.outputs if key and key not in last_use}
        finished.append(replace(step, dead=tuple(sorted(dead - lasting))))
    return tuple(finished)


def _step(node: ir.Node, scope: Scope) -> Step | Unmirrored:
    """Builds the function of a node; gives the reason where it has no mirror."""
    plain = _node(node, scope.opsets)
    if plain.op in _RANDOM and not plain.domain:
        raise ModelError(
            f"{plain.refuse('draws at random').what}, so no two runs of the model can be compared; export it without "
            "that node, or use 'haqc cost', which runs nothing"
        )
    if not all(is_tensor(value) for value in (*node.inputs, *node.outputs)):
        return plain.refuse("works on strings or sequences")
    inputs = [scope.key(value) for value in node.inputs]
    outputs = tuple(scope.key(value) for value in node.outputs)
    kinds = [scope.whole(value) for value in node.inputs]
    form = form_of(plain, kinds, None if node.outputs[0].shape is None else len(node.outputs[0].shape))
    if form is not None:
        if form.result is None:
            return Step(plain.name, form.function, (*inputs, scope.anchor()), outputs, is_anchored=True)
        scope.wholes[outputs[0]] = form.result
        return Step(plain.name, form.function, tuple(inputs), outputs)
    try:
        bodies = {
            name: _body(attribute.as_graph(), scope)
            for name, attribute in node.attributes.items()
            if attribute.type == ir.AttributeType.GRAPH
        }
        function = REGISTRY.build(replace(plain, attributes={**plain.attributes, **bodies}))
    except Unmirrored as error:
        return error
    inputs += [key for body in bodies.values() for key in body.captured]
    if any(kinds):
        function = admitted(function, plain, kinds)
        inputs.append(scope.anchor())
    gap = next((step.gap for body in bodies.values() for step in body.steps if step.gap), "")
    return Step(plain.name, function, tuple(inputs), outputs, gap=gap, is_anchored=any(kinds))


def _foreign(nodes: tuple[ir.Node, ...], scope: Scope, gap: Unmirrored) -> Step:
    """Builds the step that runs nodes without a mirror in onnxruntime."""
    part = Part.of(nodes, scope.graph.outputs)
    try:
        runtime = part.runtime(scope.opsets, scope.ir_version)
    except ModelError as error:
        raise Unmirrored(f"{gap.what}, and cannot be run without one: {error}") from error
    inputs, outputs = (tuple(scope.key(value) for value in side) for side in (part.inputs, part.outputs))
    function: Function = Foreign(runtime, gap.what)
    kinds = [scope.whole(value) for value in part.inputs]
    if any(kinds):
        function = admitted(function, _node(nodes[0], scope.opsets), kinds)
        inputs = (*inputs, scope.anchor())
    what = gap.what if part.is_differentiable else ""
    return Step(str(nodes[0].name), function, inputs, outputs, gap=what, is_anchored=any(kinds))


def _body(graph: ir.Graph, parent: Scope) -> Body:
    """Builds the graph inside a control-flow node."""
    scope = Scope(graph, parent.opsets, parent.ir_version, parent.constants, parent)
    steps, outputs = _steps(scope), []
    for value in graph.outputs:
        kind, key = scope.whole(value), scope.key(value)
        if kind is not None:
            steps.append(Step("", made_tensor(kind.dtype), (key, scope.anchor()), (f"{key}:tensor",)))
        outputs.append(key if kind is None else f"{key}:tensor")
    return Body(
        inputs=tuple(scope.key(value) for value in graph.inputs),
        ranks=tuple(None if value.shape is None else len(value.shape) for value in graph.inputs),
        outputs=tuple(outputs),
        shapes=tuple(_extents(value) for value in graph.outputs),
        types=tuple(torch_type(value.dtype) for value in graph.outputs),
        captured=tuple(scope.captured),
        steps=_with_deaths(steps, set(outputs)),
    )


def _extents(value: ir.Value) -> tuple[int, ...] | None:
    if value.shape is None:
        return None
    return tuple(extent if isinstance(extent, int) else 0 for extent in value.shape)


def _node(node: ir.Node, opsets: Mapping[str, int]) -> Node:
    """Turns an ONNX node into plain Python values, but for its bodies."""
    domain = "" if node.domain == "ai.onnx" else node.domain
    attributes: dict[str, object] = {}
    for name, attribute in node.attributes.items():
        if attribute.type == ir.AttributeType.TENSOR:
            attributes[name] = attribute.as_tensor().numpy()
        elif attribute.type not in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS):
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
