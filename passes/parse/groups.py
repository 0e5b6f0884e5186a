"""Operands that must agree: what a Concat lays side by side, and the two tensors that an Add sums."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import onnx_ir as ir

from haqc.graph import Operand
from haqc.passes.parse.flow import Flow
from haqc.passes.parse.joins import is_sum
from haqc.passes.parse.reading import is_standard, name_of
from haqc.passes.parse.steps import Step


def grouped(operands: Mapping[str, Operand], steps: Sequence[Step], flow: Flow) -> tuple[Operand, ...]:
    """Names a group for operands that must have one width; operands of fixed width join none and hold none back."""
    leader: dict[str, str] = {}
    for tensors in _agreeing(steps, flow):
        searched = [tensor for tensor in tensors if tensor in operands and operands[tensor].fixed_bits is None]
        for tensor in searched[1:]:
            leader[_find(leader, tensor)] = _find(leader, searched[0])
    members = [tensor for tensor in operands if tensor in leader or tensor in leader.values()]
    first: dict[str, str] = {}
    for tensor in members:
        first.setdefault(_find(leader, tensor), tensor)
    groups = {tensor: first[_find(leader, tensor)] for tensor in members}
    sizes = Counter(groups.values())
    return tuple(
        replace(operand, group=groups[tensor]) if sizes[groups.get(tensor, "")] > 1 else operand
        for tensor, operand in operands.items()
    )


def _agreeing(steps: Sequence[Step], flow: Flow) -> Iterator[list[str]]:
    """Yields the tensors that one node makes agree."""
    for step in steps:
        node = step.node
        if step.layers or not is_standard(node):
            continue
        values: list[ir.Value] = []
        if node.op_type == "Concat":
            values = [*(value for value in node.inputs if value is not None), *node.outputs]
        elif node.op_type == "Add" and is_sum(node, flow):
            values = [value for value in node.inputs if value is not None]
        if values:
            yield [name_of(flow.root(value)) for value in values]


def _find(leader: dict[str, str], tensor: str) -> str:
    """Gives the tensor that stands for a tensor's set, and shortens the way to it."""
    found = tensor
    while leader.get(found, found) != found:
        found = leader[found]
    while leader.get(tensor, tensor) != found:
        leader[tensor], tensor = found, leader.get(tensor, tensor)
    return found
