"""Adds nodes and constants to a graph under names that are free."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir


class GraphWriter:
    """Adds to one graph, whose nodes are sorted by whoever ends the writing."""

    def __init__(self, model: ir.Model) -> None:
        self.model, self.graph = model, model.graph
        self.values = {str(v.name): v for node in self.graph for v in node.outputs}
        self.values |= {str(v.name): v for v in self.graph.inputs}
        self.nodes = {str(node.name): node for node in self.graph}
        self.taken = {*self.values, *self.graph.initializers, *self.nodes}

    def replace_constant(self, name: str, array: np.ndarray) -> None:
        """Gives an initialiser new values of the same shape and type."""
        self.graph.initializers[name].const_value = ir.tensor(array, name=name)

    def drop(self, name: str) -> None:
        """Removes an initialiser that nothing reads any more; one that is an output of the graph stays, in float."""
        if self.graph.initializers[name] not in self.graph.outputs:
            del self.graph.initializers[name]

    def swap_names(self, one: ir.Value, other: ir.Value) -> None:
        """Gives each of two computed values the other's name."""
        one.name, other.name = other.name, one.name
        self.values[str(one.name)], self.values[str(other.name)] = one, other

    def node(
        self,
        op: str,
        inputs: list[ir.Value],
        output: str,
        dtype: ir.DataType | None,
        shape: ir.Shape | None,
        attributes: list[ir.Attr] | None = None,
    ) -> ir.Value:
        """Appends a node with one output, which has the node's name, and gives that output; types may be left out."""
        name = self.unique(output)
        node = ir.node(op, inputs, attributes={a.name: a for a in attributes or []}, name=name)
        result = node.outputs[0]
        result.name, result.type, result.shape = name, None if dtype is None else ir.TensorType(dtype), shape
        self.graph.append(node)  # the graph is sorted at the end
        return result

    def constant(self, name: str, array: np.ndarray) -> ir.Value:
        """Adds an initialiser."""
        unique = self.unique(name)
        tensor = ir.tensor(array, name=unique)
        value = ir.Value(name=unique, const_value=tensor, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype))
        self.graph.register_initializer(value)
        return value

    def unique(self, name: str) -> str:
        """Gives a name that nothing has yet, and takes it."""
        unique, count = name, 1
        while unique in self.taken:
            unique, count = f"{name}_{count}", count + 1
        self.taken.add(unique)
        return unique
