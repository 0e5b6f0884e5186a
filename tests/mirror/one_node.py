"""Runs a model of one node in onnxruntime and through the mirror, and compares them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
import torch.fx
from onnx import helper, numpy_helper

import haqc.mirror.operators  # noqa: F401 (registers the operators)
from haqc.mirror.node import REGISTRY, Function, Node

Array = np.ndarray
TOLERANCE = 1e-5
"""Largest difference of floating-point results, relative to the largest magnitude of the reference."""


@dataclass(frozen=True)
class OneNode:
    """A node with its inputs; ``None`` stands for an absent one, ``constants`` for those known while building."""

    op: str
    inputs: Sequence[Array | None]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    constants: Sequence[int] = ()
    outputs: int = 1
    opset: int = 21
    domain: str = ""

    @property
    def names(self) -> list[str]:
        return ["" if value is None else f"x{index}" for index, value in enumerate(self.inputs)]

    def proto(self) -> onnx.NodeProto:
        outputs = [f"y{index}" for index in range(self.outputs)]
        return helper.make_node(self.op, self.names, outputs, name="node", domain=self.domain, **self.attributes)

    def model(self) -> onnx.ModelProto:
        given = [(name, value) for name, value in zip(self.names, self.inputs, strict=True) if value is not None]
        known = {f"x{index}" for index in self.constants}
        graph = helper.make_graph(
            [self.proto()],
            "one",
            [
                helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
                for name, value in given
                if name not in known
            ],
            [helper.make_empty_tensor_value_info(f"y{index}") for index in range(self.outputs)],
            [numpy_helper.from_array(value, name) for name, value in given if name in known],
        )
        return helper.make_model(graph, opset_imports=self.opsets(), ir_version=10)

    def opsets(self) -> list[onnx.OperatorSetIdProto]:
        others = [helper.make_opsetid(self.domain, 1)] if self.domain else []
        return [helper.make_opsetid("", self.opset), *others]

    def function(self) -> Function:
        known = set(self.constants)
        return REGISTRY.build(
            node_of(self.proto(), self.opset, [v if i in known else None for i, v in enumerate(self.inputs)])
        )

    def reference(self) -> list[Array]:
        """Gives onnxruntime's results, unoptimised, on one thread."""
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        session = ort.InferenceSession(self.model().SerializeToString(), options, providers=["CPUExecutionProvider"])
        wanted = {value.name for value in session.get_inputs()}
        feed = {name: value for name, value in zip(self.names, self.inputs, strict=True) if name in wanted}
        return [np.asarray(value) for value in session.run(None, feed)]

    def tensors(self) -> list[torch.Tensor | None]:
        return [None if value is None else torch.from_numpy(value.copy()) for value in self.inputs]


def node_of(proto: onnx.NodeProto, opset: int, constants: Sequence[Array | None]) -> Node:
    """Turns an ONNX node into the mirror's, as the mirror does for whole graphs."""
    return Node(
        op=proto.op_type,
        name=proto.name or proto.op_type,
        opset=opset,
        attributes={attribute.name: plain(helper.get_attribute_value(attribute)) for attribute in proto.attribute},
        constants=tuple(constants),
        present=tuple(bool(name) for name in proto.input),
        output_count=len(proto.output),
        domain=proto.domain,
    )


def plain(value: Any) -> Any:
    """Turns an attribute value into Python numbers, strings, lists or arrays."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, list):
        return [plain(item) for item in value]
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


def traced(function: Function, inputs: Sequence[torch.Tensor | None]) -> Function:
    """Traces a function symbolically with respect to the inputs that are given."""
    names = [f"x{index}" for index, value in enumerate(inputs) if value is not None]
    call = ", ".join("None" if value is None else f"x{index}" for index, value in enumerate(inputs))
    root: Any = eval(f"lambda {', '.join(names)}: function({call})", {"function": function})
    module = torch.fx.GraphModule(torch.nn.Module(), torch.fx.Tracer().trace(root))
    return lambda *tensors: module(*(tensor for tensor in tensors if tensor is not None))


def agree(given: Sequence[torch.Tensor], reference: Sequence[Array], tolerance: float) -> None:
    """Fails unless types, shapes and values agree: exactly, or to ``tolerance`` times the largest magnitude."""
    assert len(given) == len(reference)
    for tensor, expected in zip(given, reference, strict=True):
        actual = tensor.detach().numpy()
        assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
        if tolerance == 0 or expected.dtype.kind != "f":
            np.testing.assert_array_equal(actual, expected)
        else:
            finite = np.abs(expected[np.isfinite(expected)])
            np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * finite.max(initial=0.0))


def compare(
    op: str,
    inputs: Sequence[Array | None],
    attributes: Mapping[str, Any] | None = None,
    *,
    constants: Sequence[int] = (),
    outputs: int = 1,
    opset: int = 21,
    domain: str = "",
    tolerance: float = TOLERANCE,
    trace: bool = True,
) -> None:
    """Fails unless the mirror gives what onnxruntime gives, and gives the very same when traced."""
    case = OneNode(op, inputs, attributes or {}, constants, outputs, opset, domain)
    function, tensors = case.function(), case.tensors()
    result = function(*tensors)
    given = result if isinstance(result, tuple) else (result,)
    agree(given, case.reference(), tolerance)
    if trace:
        again = traced(function, tensors)(*tensors)
        agree(again if isinstance(again, tuple) else (again,), [tensor.numpy() for tensor in given], 0)


def check_gradient(op: str, inputs: Sequence[Array], attributes: Mapping[str, Any] | None = None) -> None:
    """Fails unless the mirror's gradients are those of finite differences, in double precision."""
    function = OneNode(op, inputs, attributes or {}).function()
    tensors = [torch.from_numpy(value).double().requires_grad_() for value in inputs]
    assert torch.autograd.gradcheck(function, tensors)
