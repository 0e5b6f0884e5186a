"""Stored weights: which constant a layer reads, along which axis its output channels lie, and who else reads it."""

from __future__ import annotations

from dataclasses import dataclass, field

import onnx_ir as ir

from haqc.graph import RECURRENT, element_count
from haqc.passes.parse.flow import Flow
from haqc.passes.parse.lookups import is_table
from haqc.passes.parse.operators import CONVOLUTIONS, PRODUCTS, RESHAPING
from haqc.passes.parse.reading import int_attribute, is_standard, name_of, operator, required, shape_of

Axes = tuple[int, ...] | None
"""The stored axis behind each axis that a reader sees; ``None`` where the constant is reshaped in between."""


@dataclass(frozen=True, slots=True)
class Weight:
    """The right operand of a layer.

    Attributes:
        tensor: name of the tensor that is quantised: the constant, or the activation before any reshape of it.
        is_stored: whether it is a constant.
        axis: axis of the constant along which each output channel has its own scale.
        values: number of values of the constant; 0 for an activation.
        float_reason: why it cannot be quantised, or an empty string.
    """

    tensor: str
    is_stored: bool
    axis: int = 0
    values: int = 0
    float_reason: str = ""


@dataclass(frozen=True, slots=True)
class _Reading:
    """How a constant is read: the axes of output channels by its readers, and the first that is no layer."""

    axes: frozenset[int | None]
    stranger: str


@dataclass
class Weights:
    """The stored weights of one graph; each constant's readers are looked at once."""

    flow: Flow
    _readings: dict[ir.Value, _Reading] = field(default_factory=dict)
    _counted: set[str] = field(default_factory=set)

    def read_by(self, node: ir.Node, index: int) -> Weight:
        """Gives the weights that a layer reads as one of its inputs."""
        stored = self.flow.root(required(node, index))
        if stored.const_value is None:
            return Weight(name_of(stored), is_stored=False)
        reading = self._reading(stored)
        reason = ""
        if reading.stranger:
            reason = f"its weights are also read by {reading.stranger}"
        elif None in reading.axes:
            reason = "its weights are reshaped before they are read"
        elif len(reading.axes) > 1:
            reason = "its weights are shared with a layer that reads them along another axis"
        last = len(stored.const_value.shape) - 1
        axis = next((axis for axis in reading.axes if axis is not None), last)
        return Weight(name_of(stored), True, axis, element_count(shape_of(stored)), reason)

    def count(self, weight: Weight) -> int:
        """Gives the values of a constant to the first layer that asks, and 0 to all others."""
        if weight.tensor in self._counted:
            return 0
        self._counted.add(weight.tensor)
        return weight.values

    def _reading(self, stored: ir.Value) -> _Reading:
        if stored not in self._readings:
            self._readings[stored] = _read(stored)
        return self._readings[stored]


def _read(stored: ir.Value) -> _Reading:
    """Looks at all that reads a constant, through reshapes."""
    assert stored.const_value is not None
    found: set[int | None] = set()
    whole: Axes = tuple(range(len(stored.const_value.shape)))
    pending = [(stored, whole)]
    while pending:
        value, axes = pending.pop()
        for node, index in value.uses():
            channels = channel_axis(node, index)
            if node.graph is not stored.graph:
                return _Reading(frozenset(), f"{operator(node)} '{node.name}' in a subgraph")
            if is_standard(node) and node.op_type in RESHAPING and index == 0:
                pending.append((node.outputs[0], _through(node, axes)))
            elif channels is not None:
                found.add(None if axes is None else axes[channels])
            elif not (is_table(node) and index == 0 and axes == whole):
                return _Reading(frozenset(), f"{operator(node)} '{node.name}'")
    return _Reading(frozenset(found), "")


def _through(node: ir.Node, axes: Axes) -> Axes:
    """Gives the stored axes that a reshaping node's result has."""
    if axes is None or node.op_type in ("Identity", "Dropout"):
        return axes
    if node.op_type != "Transpose":
        return None
    order = node.attributes.get("perm")
    places = tuple(reversed(range(len(axes)))) if order is None else tuple(order.as_ints())
    return tuple(axes[place] for place in places) if sorted(places) == list(range(len(axes))) else None


def channel_axis(node: ir.Node, index: int) -> int | None:
    """Gives the axis of a layer's weights along which each output channel has its own scale.

    Gives ``None`` where the node is no layer, or has its weights in another input.
    """
    if not is_standard(node):
        return None
    if node.op_type in RECURRENT and index in (1, 2):
        return 1
    if node.op_type not in CONVOLUTIONS | PRODUCTS or index != 1:
        return None
    if node.op_type == "ConvTranspose":
        return 1
    if node.op_type == "MatMul":
        return -1
    return 0 if node.op_type == "Conv" or int_attribute(node, "transB", 0) else 1
