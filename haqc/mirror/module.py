"""The mirror: an ONNX graph as a torch module with trainable weights, and fake quantisation where it is told to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor, nn

import haqc.mirror.operators  # noqa: F401 (registers the operators)
from haqc.errors import ModelError
from haqc.graph import Graph
from haqc.mirror.node import REGISTRY, Function, Node

Quantiser = Callable[[Tensor], Tensor]

_CONSTANT_LIMIT = 1 << 16
"""Constants of up to this many elements are also handed to operators while building (axes, shapes, bounds)."""


@dataclass(frozen=True, slots=True)
class Step:
    """One node at run time: its function, the tensors it reads and writes, and what is not needed afterwards."""

    name: str
    function: Function
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    dead: tuple[str, ...]


class Mirror(nn.Module):
    """An ONNX graph that trains.

    ``forward`` takes one tensor per graph input, in their order, and gives a tuple with one tensor per graph output.
    Floating-point initialisers are parameters, others are buffers; :meth:`value` finds them by their ONNX name.

    ``quantisers`` maps tensor names to functions: what they give is what every reader of the tensor sees. Graph
    outputs are handed out as they were before their quantiser.
    """

    def __init__(self, model: ir.Model) -> None:
        """Builds the mirror of a cleaned model.

        Raises:
            ModelError: an operator, a form of it, or the type of an initialiser has no mirror.
        """
        super().__init__()
        graph = model.graph
        self.inputs = tuple(str(value.name) for value in graph.inputs)
        self.outputs = tuple(str(value.name) for value in graph.outputs)
        self.quantisers: Mapping[str, Quantiser] = {}
        self.constants = nn.ParameterList()
        self._slot: dict[str, int] = {}
        for name, value in graph.initializers.items():
            if value.uses() or value.is_graph_output():
                self._store(name, value)
        self.steps = _steps(model)

    def _store(self, name: str, value: ir.Value) -> None:
        assert value.const_value is not None
        try:
            array = torch.from_numpy(np.array(value.const_value.numpy()))
        except TypeError as error:
            raise ModelError(
                f"initialiser '{name}' has type {value.const_value.dtype}, which the mirror lacks; "
                "export the model in float32"
            ) from error
        self._slot[name] = len(self.constants)
        self.constants.append(nn.Parameter(array, requires_grad=array.is_floating_point()))

    def value(self, name: str) -> nn.Parameter:
        """Gives an initialiser by its ONNX name."""
        return cast(nn.Parameter, self.constants[self._slot[name]])  # torch.fx traces it, and then it is a proxy

    def has(self, name: str) -> bool:
        """Whether a name is that of an initialiser."""
        return name in self._slot

    def layer_parameters(self, graph: Graph) -> list[str]:
        """Gives the initialisers that fine-tuning changes: the weights and biases of the layers, in graph order."""
        names = dict.fromkeys(name for layer in graph.layers for name in (layer.weight, layer.bias))
        return [name for name in names if name in self._slot]

    def load(self, parameters: Mapping[str, np.ndarray]) -> None:
        """Takes parameters over, by ONNX name."""
        with torch.no_grad():
            for name, array in parameters.items():
                self.value(name).copy_(torch.from_numpy(array))

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Gives the graph's outputs for its inputs, each with the batch first."""
        return self.run(inputs, self.outputs)

    def run(self, inputs: tuple[Tensor, ...], wanted: tuple[str, ...]) -> tuple[Tensor, ...]:
        """Runs the graph and gives the tensors that are wanted, as they are before their quantisers."""
        values: dict[str, Tensor] = {}
        kept: dict[str, Tensor] = {}

        def write(name: str, tensor: Tensor) -> None:
            if name in wanted:
                kept[name] = tensor
            quantiser = self.quantisers.get(name)
            values[name] = tensor if quantiser is None else quantiser(tensor)

        for name in self._slot:
            write(name, self.value(name))
        for name, tensor in zip(self.inputs, inputs, strict=True):
            write(name, tensor)
        for step in self.steps:
            result = step.function(*(values[name] if name else None for name in step.inputs))
            results = result if isinstance(result, tuple) else (result,)
            for name, tensor in zip(step.outputs, results, strict=False):
                if name:
                    write(name, tensor)
            for name in step.dead:
                del values[name]
            if len(kept) == len(wanted):
                break
        return tuple(kept[name] for name in wanted)


def from_onnx(model: ir.Model) -> Mirror:
    """Builds the mirror of a model as :func:`haqc.passes.clean.clean` leaves it.

    Raises:
        ModelError: an operator, or a form of it, has no mirror; the message names node, operator and opset.
    """
    return Mirror(model)


def _steps(model: ir.Model) -> tuple[Step, ...]:
    """Builds the functions of all nodes, in order, with the point at which each tensor dies."""
    nodes = list(model.graph)
    last_use = {
        str(value.name): index for index, node in enumerate(nodes) for value in node.inputs if value is not None
    }
    steps = []
    initializers = model.graph.initializers
    for index, node in enumerate(nodes):
        names = [str(value.name) if value is not None else "" for value in node.inputs]
        outputs = tuple(str(value.name) for value in node.outputs)
        dead = {name for name in names if name and last_use[name] == index and name not in initializers}
        dead |= {name for name in outputs if name and name not in last_use}
        steps.append(
            Step(str(node.name), REGISTRY.build(_node(node, model)), tuple(names), outputs, tuple(sorted(dead)))
        )
    return tuple(steps)


def _node(node: ir.Node, model: ir.Model) -> Node:
    """Turns an ONNX node into plain Python values."""
    domain = "" if node.domain == "ai.onnx" else node.domain
    attributes: dict[str, object] = {}
    for name, attribute in node.attributes.items():
        if attribute.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS):
            raise ModelError(
                f"node '{node.name}' ({node.op_type}) holds a subgraph, which the mirror cannot train; "
                "export the model without control flow"
            )
        value = attribute.value
        if attribute.type == ir.AttributeType.TENSOR:
            value = attribute.as_tensor().numpy()
        attributes[name] = list(value) if isinstance(value, tuple) else value
    return Node(
        op=node.op_type,
        name=str(node.name),
        opset=model.opset_imports.get(node.domain, 0),
        attributes=attributes,
        constants=tuple(_constant(value) for value in node.inputs),
        present=tuple(value is not None for value in node.inputs),
        output_count=len(node.outputs),
        domain=domain,
    )


def _constant(value: ir.Value | None) -> np.ndarray | None:
    if value is None or value.const_value is None or value.const_value.size > _CONSTANT_LIMIT:
        return None
    return value.const_value.numpy()
