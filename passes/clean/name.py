"""Keeps the names of nodes through passes that rewrite them, and gives every node a unique one in the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import onnx_ir as ir


@dataclass(frozen=True)
class NodeNames:
    """The names that nodes had: by node, by the weight that a node alone reads, by the value that it writes first."""

    by_node: dict[ir.Node, str]
    by_weight: dict[str, str]
    by_output: dict[str, str]

    @classmethod
    def of(cls, model: ir.Model) -> NodeNames:
        """Notes the names of the nodes of a model's main graph."""
        named = [node for node in model.graph if node.name]
        return cls(
            {node: str(node.name) for node in named},
            _names_by_weight(model),
            {str(output.name): str(node.name) for node in named for output in node.outputs[:1] if output.name},
        )

    def restore(self, model: ir.Model) -> None:
        """Gives nodes without a name the one of the node that wrote the same value."""
        for node in model.graph:
            if not node.name and node.outputs:
                node.name = self.by_output.get(str(node.outputs[0].name))

    def assign(self, model: ir.Model) -> None:
        """Gives every node a unique name: the one it had when the model was read, or that of its first output."""
        taken: set[str] = set()
        numbers: dict[str, count[int]] = {}
        for node in model.graph:
            weight = str(node.inputs[1].name) if len(node.inputs) > 1 and node.inputs[1] is not None else ""
            output = str(node.outputs[0].name or "") if node.outputs else ""
            name = self.by_node.get(node) or self.by_weight.get(weight) or output or node.op_type
            unique, number = name, numbers.setdefault(name, count(1))
            while unique in taken:
                unique = f"{name}_{next(number)}"
            taken.add(unique)
            node.name = unique


def _names_by_weight(model: ir.Model) -> dict[str, str]:
    """Gives the names of nodes by the weights that they alone read; rewriting rules forget the names of nodes."""
    names: dict[str, str] = {}
    for value in model.graph.initializers.values():
        uses = value.uses()
        if len(uses) == 1:
            (use,) = uses
            if use.idx == 1 and use.node.name:
                names[str(value.name)] = use.node.name
    return names


def restore_outputs(model: ir.Model, names: Sequence[str]) -> None:
    """Gives a model's outputs the names they had: where several are one value, the library keeps one name of all."""
    for value, name in zip(model.graph.outputs, names, strict=True):
        value.name = name
