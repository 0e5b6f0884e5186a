"""Undoes the quantisers of QONNX, which Brevitas and QKeras write: Quant and BipolarQuant."""

from __future__ import annotations

from functools import partial

import numpy as np
import onnx_ir as ir

from haqc.errors import ModelError
from haqc.passes.clean.dequantise import replace_by
from haqc.passes.clean.lazy import lazy_constant
from haqc.passes.clean.pair import rectified

_DOMAINS = ("qonnx.custom_op.general", "finn.custom_op.general", "onnx.brevitas")


def remove_qonnx(model: ir.Model) -> int:
    """Removes QONNX quantisers: of weights and activations alike, only the rounding goes.

    Weights of one bit become their signs times the scale, which is what such a network computes with.

    Returns:
        how many there were.

    Raises:
        ModelError: an activation has one bit: the sign function cannot be undone.
    """
    count = 0
    for node in list(ir.traversal.RecursiveGraphIterator(model.graph)):
        if node.domain not in _DOMAINS or node.op_type not in ("Quant", "IntQuant", "BipolarQuant"):
            continue
        data, scale = node.inputs[0], node.inputs[1]
        assert data is not None and scale is not None
        if node.op_type == "BipolarQuant":
            replace_by(node, _signs(model, node, data, scale))
        else:
            replace_by(node, _unrounded(node, data, scale))
        count += 1
    return count


def _signs(model: ir.Model, node: ir.Node, data: ir.Value, scale: ir.Value) -> ir.Value:
    if data.const_value is None or scale.const_value is None:
        raise ModelError(
            f"node '{node.name}' (BipolarQuant) gives an activation one bit, which cannot be undone; "
            "give haqc the float model it was made from"
        )
    shape = [int(extent) for extent in data.const_value.shape.numpy()]
    compute = partial(_times_sign, data.const_value, scale.const_value)
    weight = lazy_constant(f"{node.outputs[0].name}_signs", data.const_value.dtype, shape, compute)
    model.graph.register_initializer(weight)
    return weight


def _times_sign(data: ir.TensorProtocol, scale: ir.TensorProtocol) -> np.ndarray:
    return np.asarray(np.where(data.numpy() >= 0, 1, -1) * scale.numpy())


def _unrounded(node: ir.Node, data: ir.Value, scale: ir.Value) -> ir.Value:
    """Gives what a Quant reads, rectified where its codes have no sign."""
    bits = node.inputs[3] if len(node.inputs) > 3 else None
    if node.attributes.get_int("signed", 1) or bits is None or bits.const_value is None:
        return data
    top = 2 ** int(bits.const_value.numpy().reshape(-1)[0]) - 1 - node.attributes.get_int("narrow", 0)
    zero_point = node.inputs[2]
    zero = 0 if zero_point is None or zero_point.const_value is None else zero_point.const_value.numpy().max(initial=0)
    return data if zero else rectified(node, data, scale, top)
