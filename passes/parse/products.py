"""From a Gemm or MatMul to a layer."""

from __future__ import annotations

import onnx_ir as ir

from haqc.errors import ModelError
from haqc.graph import Layer, element_count
from haqc.passes.parse.chains import bias_of
from haqc.passes.parse.float_reasons import float_reason
from haqc.passes.parse.reading import int_attribute, name_of, required, shape_of
from haqc.passes.parse.setting import Setting


def product_layer(node: ir.Node, chain: list[ir.Node], setting: Setting) -> Layer:
    """Gives the layer of a matrix product, of stored weights or of two activations.

    Args:
        chain: the node and what is fused behind it.

    Raises:
        ModelError: a shape is not known, or the shapes do not fit each other.
    """
    data, right = required(node, 0), required(node, 1)
    data_shape, right_shape, output_shape = shape_of(data), shape_of(right), shape_of(node.outputs[0])
    if not data_shape or not right_shape:
        raise ModelError(f"layer '{node.name}' multiplies a scalar as a matrix; export the model again")
    reduction = data_shape[0 if int_attribute(node, "transA", 0) else -1]
    matrix = right_shape[-2:] if len(right_shape) > 1 else (*right_shape, 1)
    depth, columns = matrix[::-1] if int_attribute(node, "transB", 0) else matrix
    if depth != reduction:
        raise ModelError(
            f"the operands of layer '{node.name}', of shapes {list(data_shape)} and {list(right_shape)}, do not fit "
            "each other; export the model again"
        )
    weight = setting.weights.read_by(node, 1)
    groups, rows = 1, max(1, element_count(output_shape) // columns // setting.batch)
    if not weight.is_stored and len(right_shape) > 2:  # one product per head, each with its own operands
        groups = max(1, element_count(right_shape[:-2]) // setting.batch)
        rows = max(1, rows // groups)
    bias = bias_of(node)
    return Layer(
        name=str(node.name),
        op=node.op_type,
        nodes=tuple(str(n.name) for n in chain),
        activation=name_of(setting.flow.root(data)),
        weight=weight.tensor,
        output=name_of(chain[-1].outputs[0]),
        in_channels=reduction,
        out_channels=columns,
        kernel=(),
        stride=(),
        groups=groups,
        rows=rows,
        reduction=reduction,
        columns=columns,
        weight_values=setting.weights.count(weight),
        bias_values=element_count(shape_of(bias)) if bias is not None else 0,
        feature_size=reduction,
        bias=name_of(bias) if bias is not None and shape_of(bias) == (columns,) else "",
        weight_axis=weight.axis,
        float_reason=float_reason(node, weight, setting.flow),
    )
