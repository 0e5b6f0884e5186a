"""The mirror: an ONNX graph as a torch module with trainable weights, and fake quantisation where it is told to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, cast

import numpy as np
import onnx
import onnx_ir as ir
import torch
from torch import Tensor, nn

import haqc.mirror.operators  # noqa: F401 (registers the operators)
from haqc.errors import ModelError
from haqc.graph import Graph
from haqc.mirror.constants import Constant, constants
from haqc.mirror.fold import fold
from haqc.mirror.plan import Scope, steps_of
from haqc.mirror.tensors import legal_name, onnx_tensor, torch_tensor
from haqc.mirror.whole import tensor_of

Quantiser = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Source:
    """The model that a mirror was made of; copies of the mirror share it, because nobody changes it."""

    model: ir.Model

    def __deepcopy__(self, memory: dict[int, object]) -> Source:
        return self


class Mirror(nn.Module):
    """An ONNX graph that trains.

    ``forward`` takes one tensor per graph input, in their order, and gives a tuple with one tensor per graph output.
    Floating-point initialisers are parameters, others are buffers; their attributes are their ONNX names made legal,
    and :meth:`value` finds them by the ONNX names themselves.

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
        self._source = Source(model)
        self.inputs = tuple(str(value.name) for value in graph.inputs if value.name not in graph.initializers)
        self.outputs = tuple(str(value.name) for value in graph.outputs)
        self.quantisers: Mapping[str, Quantiser] = {}
        self._slot: dict[str, str] = {}
        stored = list(constants(graph))
        keys = {entry.value: entry.key for entry in stored}
        scope = Scope(graph, model.opset_imports, model.ir_version, keys)
        self.steps = steps_of(scope)  # before anything is stored, so that no initialiser takes the name
        self._wholes = scope.wholes
        for entry in stored:
            self._store(entry)
        fixed = {key: getattr(self, name) for key, name in self._slot.items()}
        fixed = {key: tensor for key, tensor in fixed.items() if not isinstance(tensor, nn.Parameter)}
        self.steps, folded = fold(graph, self.steps, fixed, self._wholes)
        for key, tensor in folded.items():
            self._slot[key] = legal_name(key, _Attributes(self))
            self.register_buffer(self._slot[key], tensor, persistent=False)

    def _store(self, entry: Constant) -> None:
        tensor = torch_tensor(entry.tensor)
        if tensor is None and not entry.value.is_graph_output():
            return  # what reads it runs in onnxruntime
        if tensor is None:
            raise ModelError(
                f"initialiser '{entry.key}' has type {entry.tensor.dtype}, which the mirror lacks; "
                "export the model in float32"
            )
        name = legal_name(entry.key, _Attributes(self))
        if entry.trains:
            self.register_parameter(name, nn.Parameter(tensor))
        else:
            self.register_buffer(name, tensor)
        self._slot[entry.key] = name

    def value(self, name: str) -> nn.Parameter:
        """Gives an initialiser by its ONNX name."""
        return cast(nn.Parameter, getattr(self, self._slot[name]))  # a buffer where it is no floating-point number

    @property
    def device(self) -> torch.device:
        """Where what it stores lies, and what it is given has to."""
        stored = next(chain(self.parameters(), self.buffers()), None)
        return torch.device("cpu") if stored is None else stored.device

    def tensors(self, arrays: Iterable[np.ndarray]) -> tuple[Tensor, ...]:
        """Gives arrays as tensors on the mirror's device."""
        device = self.device
        return tuple(torch.from_numpy(array).to(device) for array in arrays)

    def has(self, name: str) -> bool:
        """Whether a name is that of an initialiser."""
        return name in self._slot

    @property
    def stored(self) -> tuple[str, ...]:
        """The names of everything that is stored, results of steps that were folded included."""
        return tuple(self._slot)

    @property
    def kernels(self) -> frozenset[str]:
        """The names of what convolutions read as their kernels."""
        convolutions = (node for node in self._source.model.graph if node.op_type == "Conv" and not node.domain)
        return frozenset(str(node.inputs[1].name) for node in convolutions if node.inputs[1] is not None)

    def layer_parameters(self, graph: Graph) -> list[str]:
        """Gives the initialisers that fine-tuning changes: the weights and biases of the layers, in graph order."""
        names = dict.fromkeys(name for layer in graph.layers for name in (layer.weight, layer.bias))
        return [name for name in names if name in self._slot]

    def load(self, parameters: Mapping[str, np.ndarray]) -> None:
        """Takes parameters over, by ONNX name."""
        with torch.no_grad():
            for name, array in parameters.items():
                self.value(name).copy_(torch.from_numpy(array))

    def require_gradients(self, trained: Iterable[str], loss: str) -> None:
        """Makes sure that gradients pass from a tensor to what is to be trained.

        Args:
            trained: names of initialisers.
            loss: the tensor that the loss reads.

        Raises:
            ModelError: a node that has no mirror lies in between; the message names it, its operator and opset.
        """
        reached, needed = set(trained), {loss}
        between = []
        for step in self.steps:
            if not reached.isdisjoint(step.inputs):
                reached.update(step.outputs)
                between.append(step)
        for step in reversed(between):
            if needed.isdisjoint(step.outputs):
                continue
            if step.gap:
                raise ModelError(
                    f"{step.gap}, and lies between layers that are trained and '{loss}'; replace it by operators of "
                    "docs/operators.md, or compile without training: --finetune 0"
                )
            needed.update(step.inputs)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Gives the graph's outputs for its inputs, each with the batch first."""
        return self.run(inputs, self.outputs)

    def run(self, inputs: tuple[Tensor, ...], wanted: tuple[str, ...]) -> tuple[Tensor, ...]:
        """Runs the graph and gives the tensors that are wanted, as they are before their quantisers."""
        # While torch.fx traces, the inputs are one proxy, which can be indexed but not counted.
        if isinstance(inputs, tuple) and len(inputs) != len(self.inputs):
            raise TypeError(f"the model takes {len(self.inputs)} inputs ({', '.join(self.inputs)}), not {len(inputs)}")
        values: dict[str, Tensor] = {}
        kept: dict[str, Tensor] = {}
        sought = len(set(wanted))

        def write(name: str, tensor: Any) -> None:
            if name in wanted:
                kind = self._wholes.get(name)
                kept[name] = tensor if kind is None else tensor_of(tensor, kind.dtype, inputs[0])
            quantiser = self.quantisers.get(name)
            values[name] = tensor if quantiser is None else quantiser(tensor)

        for name in self._slot:
            write(name, self.value(name))
        for index, name in enumerate(self.inputs):
            write(name, inputs[index])
        for step in self.steps:
            for name, tensor in zip(step.outputs, step.run(values), strict=False):
                if name:
                    write(name, tensor)
            for name in step.dead:
                del values[name]
            if len(kept) == sought:
                break
        return tuple(kept[name] for name in wanted)

    def to_onnx(self) -> onnx.ModelProto:
        """Gives the model with the current parameters, each in the type that the model stores it in.

        The graph is the cleaned one that the mirror was built of, without quantisers.
        """
        model = self._source.model.clone()
        for entry in constants(model.graph):
            if entry.trains:
                entry.value.const_value = onnx_tensor(self.value(entry.key), entry.tensor.dtype, str(entry.value.name))
        return ir.to_proto(ir.external_data.load_to_model(model))


@dataclass(frozen=True)
class _Attributes:
    """The names that a module has already."""

    module: nn.Module

    def __contains__(self, name: object) -> bool:
        return hasattr(self.module, str(name))
