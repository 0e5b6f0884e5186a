"""What hardware fuses behind a layer."""

from __future__ import annotations

import onnx_ir as ir

from haqc.passes.parse.operators import FUSED_ACTIVATIONS
from haqc.passes.parse.reading import is_constant, is_standard


def fused_chain(node: ir.Node) -> list[ir.Node]:
    """Gives the nodes that run while a layer's result is written: a constant bias, then one activation function."""
    chain: list[ir.Node] = []
    value = node.outputs[0]
    follower = _sole_reader(value)
    if follower is not None and follower.op_type == "Add" and node.op_type == "MatMul":
        other = follower.inputs[1] if follower.inputs[0] is value else follower.inputs[0]
        if is_constant(other):
            chain.append(follower)
            value = follower.outputs[0]
            follower = _sole_reader(value)
    applies = follower is not None and follower.op_type in FUSED_ACTIVATIONS and follower.inputs[0] is value
    if follower is not None and applies and all(is_constant(other) for other in follower.inputs[1:]):
        chain.append(follower)
    return chain


def bias_of(node: ir.Node) -> ir.Value | None:
    """Gives the constant bias of a Conv, ConvTranspose or Gemm, or ``None``."""
    bias = node.inputs[2] if node.op_type != "MatMul" and len(node.inputs) > 2 else None
    return bias if bias is not None and bias.const_value is not None else None


def _sole_reader(value: ir.Value) -> ir.Node | None:
    uses = list(value.uses())
    if len(uses) != 1 or value.is_graph_output():
        return None
    reader = uses[0].node
    return reader if reader.graph is value.graph and is_standard(reader) else None
