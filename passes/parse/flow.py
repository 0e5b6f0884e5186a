"""What flows where: properties of every value of a graph, by one walk forwards and one backwards."""

from __future__ import annotations

from dataclasses import dataclass, field

import onnx_ir as ir

from haqc.passes.parse.lookups import is_table
from haqc.passes.parse.operators import (
    COMPUTE,
    CONVOLUTIONS,
    ELEMENTWISE,
    KEEPS_SIGN,
    NONNEGATIVE,
    PASSING,
    POOLING,
    RESHAPING,
    SOFTMAXES,
)
from haqc.passes.parse.reading import captured, is_constant, is_float, is_standard, known_shape, subgraphs

_POSITIONS = frozenset({ir.DataType.INT32, ir.DataType.INT64, ir.DataType.BOOL, ir.DataType.STRING})
"""Types of inputs that are indices, positions or masks; narrower integers are images."""


@dataclass
class Flow:
    """Properties of values. Make one through :meth:`of`.

    Attributes:
        roots: the value that is really stored, by each value that is only that one reshaped.
        settled: values that follow from constants alone, though they are no constants of the file.
        data: values that depend on data; the others depend on shapes, positions and masks alone.
        nonnegative: values that cannot be negative by the operators that lead to them.
        images: results of convolutions, and what element-wise operators and pooling make of them.
        scores: values that lead into a Softmax through operators that only shift, scale, mask or reshape them.
    """

    roots: dict[ir.Value, ir.Value] = field(default_factory=dict)
    settled: set[ir.Value] = field(default_factory=set)
    data: set[ir.Value] = field(default_factory=set)
    nonnegative: set[ir.Value] = field(default_factory=set)
    images: set[ir.Value] = field(default_factory=set)
    scores: set[ir.Value] = field(default_factory=set)

    @classmethod
    def of(cls, graph: ir.Graph) -> Flow:
        """Walks a graph whose nodes are in order; the work grows with their number."""
        flow = cls(data={value for value in graph.inputs if value.dtype not in _POSITIONS})
        nodes = list(graph)
        for node in nodes:
            flow._forward(node)
        for node in reversed(nodes):
            flow._backward(node)
        return flow

    def root(self, value: ir.Value) -> ir.Value:
        """Gives the value that is really stored: reshaping operators are seen through."""
        return self.roots.get(value, value)

    def is_known(self, value: ir.Value | None) -> bool:
        """Whether a value is absent or follows from constants alone."""
        return value is None or is_constant(value) or value in self.settled

    def _forward(self, node: ir.Node) -> None:
        inputs = [value for value in node.inputs if value is not None]
        first = node.inputs[0] if node.inputs else None
        is_plain = is_standard(node)
        if is_plain and node.op_type in RESHAPING and first is not None and node.outputs:
            self.roots[node.outputs[0]] = self.root(first)
        if inputs and not any(subgraphs(node)) and all(map(self.is_known, inputs)) and not is_table(node):
            self.settled.update(node.outputs)
            return
        is_layer = is_plain and (node.op_type in COMPUTE or is_table(node))
        if is_layer or any(value in self.data for value in (*inputs, *captured(node))):
            self.data.update(value for value in node.outputs if is_float(value))
        if is_plain and self._is_nonnegative(node):
            self.nonnegative.update(node.outputs)
        is_through = node.op_type in ELEMENTWISE | POOLING and any(value in self.images for value in inputs)
        if is_plain and (node.op_type in CONVOLUTIONS or is_through):
            self.images.update(node.outputs)

    def _is_nonnegative(self, node: ir.Node) -> bool:
        if node.op_type in NONNEGATIVE:
            return True
        if node.op_type == "Clip":
            low = node.inputs[1] if len(node.inputs) > 1 else None
            bound = None if low is None else low.const_value
            return bound is not None and bound.size == 1 and float(bound.numpy().reshape(())) >= 0
        if node.op_type not in KEEPS_SIGN:
            return False
        inputs = node.inputs[:1] if node.op_type in RESHAPING | POOLING else node.inputs
        return all(value is None or value in self.nonnegative for value in inputs)

    def _backward(self, node: ir.Node) -> None:
        if not is_standard(node):
            return
        if node.op_type in SOFTMAXES or (
            node.op_type in PASSING and any(value in self.scores for value in node.outputs)
        ):
            inputs = node.inputs[:1] if node.op_type in SOFTMAXES | RESHAPING else node.inputs
            self.scores.update(value for value in inputs if value is not None)


def is_spatial_mean(node: ir.Node, flow: Flow) -> bool:
    """Whether a ReduceMean pools an image: over all its spatial axes, and not to normalise what it reads."""
    value = node.inputs[0] if node.inputs else None
    shape = None if value is None else known_shape(value)
    axes = _axes(node)
    if value is None or shape is None or axes is None or len(shape) < 3:
        return False
    if {axis % len(shape) for axis in axes} != set(range(2, len(shape))):
        return False
    if len(shape) == 3 and value not in flow.images:  # the last axis of tokens
        return False
    return not _is_normalising(node, value, flow)


def _axes(node: ir.Node) -> tuple[int, ...] | None:
    """Gives the axes of a ReduceMean, or ``None`` when they are all or not known."""
    if "axes" in node.attributes:
        return tuple(node.attributes["axes"].as_ints())
    given = node.inputs[1] if len(node.inputs) > 1 else None
    if given is None or given.const_value is None:
        return None
    return tuple(int(axis) for axis in given.const_value.numpy().reshape(-1)) or None


def _is_normalising(node: ir.Node, value: ir.Value, flow: Flow) -> bool:
    """Whether a mean is subtracted from what it is taken of, or is a mean of squares."""
    producer = value.producer()
    if producer is not None and producer.op_type in ("Mul", "Pow"):
        first, second = (*producer.inputs, None)[:2]
        if producer.op_type == "Pow" or first is second:
            return True
    readers = {use.node for use in value.uses()}
    return any(use.node.op_type == "Sub" and use.node in readers for use in node.outputs[0].uses())
