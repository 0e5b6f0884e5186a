"""Operators without a mirror: they run in onnxruntime, and no gradient passes through them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import torch
from onnx import helper

from haqc.errors import ModelError
from haqc.mirror.schedule import reads
from haqc.runtime import Runtime


@dataclass(frozen=True)
class Foreign:
    """A connected part of a graph that onnxruntime runs.

    Attributes:
        runtime: the part as a model of its own.
        gap: why it has no gradient: which node, and what about it.
    """

    runtime: Runtime
    gap: str

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # numpy and onnxruntime cannot be traced
    def __call__(self, *inputs: Any) -> tuple[Any, ...]:
        """Runs the part; tensors go in and come out, strings are numpy arrays."""
        results: tuple[Any, ...] = _Run.apply(self, *inputs)  # type: ignore[no-untyped-call]
        return results


class _Run(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, foreign: Foreign, *inputs: Any) -> tuple[Any, ...]:
        ctx.gap = foreign.gap
        device = next((value.device for value in inputs if isinstance(value, torch.Tensor)), None)
        arrays = [value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value for value in inputs]
        results = foreign.runtime.run(dict(zip(foreign.runtime.inputs, arrays, strict=True)))
        return tuple(
            array if array.dtype.kind in "OSU" else torch.from_numpy(np.array(array)).to(device)
            for array in results.values()
        )

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> None:
        raise ModelError(ctx.gap)


def is_tensor(value: ir.Value | None) -> bool:
    """Whether torch can hold a value: strings, sequences and optionals it cannot."""
    if value is None:
        return True
    return value.dtype != ir.DataType.STRING and not _is_container(value)


def _is_container(value: ir.Value) -> bool:
    return value.type is not None and not isinstance(value.type, ir.TensorType)


@dataclass(frozen=True)
class Part:
    """A connected part of a graph.

    Attributes:
        nodes: its nodes, in order.
        stored: what it reads that never changes.
        inputs: what else it reads from outside, in order.
        outputs: what of it is read outside.
    """

    nodes: tuple[ir.Node, ...]
    stored: tuple[ir.Value, ...]
    inputs: tuple[ir.Value, ...]
    outputs: tuple[ir.Value, ...]

    @classmethod
    def of(cls, nodes: tuple[ir.Node, ...], outputs: Collection[ir.Value]) -> Part:
        """Finds what crosses the border of some nodes; ``outputs`` are those of the graph they are in."""
        inside, wanted = set(nodes), set(outputs)
        incoming = dict.fromkeys(value for node in nodes for value in reads(node) if value.producer() not in inside)
        stored = [value for value in incoming if _is_fixed(value)]
        outgoing = [
            value
            for node in nodes
            for value in node.outputs
            if value in wanted or any(use.node not in inside for use in value.uses())
        ]
        return cls(nodes, tuple(stored), tuple(v for v in incoming if v not in set(stored)), tuple(outgoing))

    @property
    def is_differentiable(self) -> bool:
        """Whether a gradient could be asked of the part: integers and truth values have none."""
        return any(value.dtype is None or value.dtype.is_floating_point() for value in self.outputs)

    def runtime(self, opsets: Mapping[str, int], ir_version: int) -> Runtime:
        """Loads the part as a model of its own.

        Raises:
            ModelError: onnxruntime refuses it, or something that crosses its border is no tensor.
        """
        for value in self.outputs:
            if _is_container(value):
                raise ModelError(f"'{value.name}', which others read, is no tensor")
        graph = helper.make_graph(
            [ir.serde.serialize_node(node) for node in self.nodes],
            "part",
            [_declared(value) for value in self.inputs],
            [helper.make_empty_tensor_value_info(str(value.name)) for value in self.outputs],
            [_named(value) for value in self.stored],
        )
        imports = [helper.make_opsetid(domain, version) for domain, version in opsets.items()]
        model = helper.make_model(graph, opset_imports=imports, ir_version=ir_version)
        return Runtime(model.SerializeToString())


def _is_fixed(value: ir.Value) -> bool:
    """Whether a value is stored and does not train."""
    tensor = ir.convenience.get_const_tensor(value)
    return tensor is not None and not tensor.dtype.is_floating_point()


def _declared(value: ir.Value) -> onnx.ValueInfoProto:
    """Gives an input of a part by its type; its shape may be any."""
    if _is_container(value) or value.dtype is None:
        raise ModelError(f"'{value.name}', which it reads, is no tensor of a known type")
    return helper.make_tensor_value_info(str(value.name), value.dtype.value, None)


def _named(value: ir.Value) -> onnx.TensorProto:
    """Gives a stored tensor under its value's name."""
    stored = ir.convenience.get_const_tensor(value)
    assert stored is not None
    tensor: onnx.TensorProto = ir.serde.serialize_tensor(stored)
    tensor.name = str(value.name)
    return tensor
