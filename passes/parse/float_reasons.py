"""Why a layer stays in float."""

from __future__ import annotations

import onnx_ir as ir

from haqc.passes.parse.flow import Flow
from haqc.passes.parse.reading import int_attribute, is_float, known_shape, required
from haqc.passes.parse.weights import Weight


def float_reason(node: ir.Node, weight: Weight, flow: Flow) -> str:
    """Gives the reason why a convolution or product stays in float, or an empty string."""
    data, right = required(node, 0), required(node, 1)
    if flow.is_known(data):
        return "its left operand is constant"
    if not (is_float(data) and is_float(right)):
        return "its operands are no floating-point numbers"
    if not weight.is_stored and node.op_type != "MatMul":
        return "its weights are computed while the model runs"
    if int_attribute(node, "transA", 0):
        return "it reads its data transposed"
    if len(known_shape(right) or ()) < 2:
        return "its weights are a vector"
    if not weight.is_stored:
        return _positions(data, right, flow)
    return weight.float_reason


def _positions(data: ir.Value, right: ir.Value, flow: Flow) -> str:
    """Gives a reason where an operand says where things are and not what they are: rounding would move them."""
    for value, which in ((data, "left"), (right, "right")):
        if value not in flow.data:
            return f"its {which} operand follows from positions or masks alone"
    return ""
