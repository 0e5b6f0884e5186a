"""Tensors that no layer reads and that are quantised all the same: what sums, concatenations and pooling read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import onnx_ir as ir

from haqc.passes.parse.flow import Flow, is_spatial_mean
from haqc.passes.parse.operators import POOLING
from haqc.passes.parse.reading import is_float, is_standard, known_shape
from haqc.passes.parse.steps import Step


def joined(steps: Sequence[Step], flow: Flow) -> Iterator[tuple[ir.Value, str]]:
    """Yields the tensors that joins and pooling read, with the operator; a tensor may come more than once.

    Masks, positions and scores on their way into a Softmax stay in float: one code of theirs is worth too much. So do
    tensors of unknown shape.
    """
    for step in steps:
        node = step.node
        if step.layers or not is_standard(node) or not _runs_on_codes(node, flow):
            continue
        for value in map(_unscaled, step.reads) if node.op_type == "Add" else step.reads:
            if value in flow.data and is_float(value) and 0 not in (known_shape(value) or (0,)):
                yield value, node.op_type


def _runs_on_codes(node: ir.Node, flow: Flow) -> bool:
    if any(value in flow.scores for value in node.outputs) and node.op_type in ("Add", "Concat"):
        return False
    if node.op_type == "Add":
        return is_sum(node, flow)
    if node.op_type == "Concat":
        return not all(_is_turn(use.node, flow) for use in node.outputs[0].uses())
    return is_spatial_mean(node, flow) if node.op_type == "ReduceMean" else node.op_type in POOLING


def is_sum(node: ir.Node, flow: Flow) -> bool:
    """Whether an Add has two tensors of data of one shape; what is broadcast is a bias, a mask or a position.

    The sums that turn queries and keys by their positions are none either.
    """
    first, second = node.inputs[0], node.inputs[1]
    if first is None or second is None or not {first, second} <= flow.data:
        return False
    if any(_is_turn(value.producer(), flow) for value in (first, second)):
        return False
    shape = known_shape(first)
    return shape is not None and shape == known_shape(second)


def _unscaled(value: ir.Value) -> ir.Value:
    """Gives the tensor before its channels are multiplied by constants: the codes of that one are enough."""
    node = value.producer()
    if node is None or node.op_type != "Mul" or not is_standard(node):
        return value
    first, second = node.inputs
    if first is None or second is None:
        return value
    for data, factor in ((first, second), (second, first)):
        if factor.const_value is not None and len(factor.const_value.shape) == 1 and factor.const_value.size > 1:
            return data
    return value


def _is_turn(node: ir.Node | None, flow: Flow) -> bool:
    """Whether a node multiplies data by a matrix that follows from positions: a step of a rotary embedding."""
    factors = () if node is None or node.op_type != "Mul" else node.inputs
    return any(value is not None and value not in flow.data and _is_matrix(value) for value in factors)


def _is_matrix(value: ir.Value) -> bool:
    return sum(extent > 1 for extent in known_shape(value) or ()) > 1
