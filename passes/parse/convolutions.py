"""From a Conv or ConvTranspose to a layer."""

from __future__ import annotations

import onnx_ir as ir

from haqc.errors import ModelError
from haqc.graph import Layer, element_count
from haqc.passes.parse.chains import bias_of
from haqc.passes.parse.float_reasons import float_reason
from haqc.passes.parse.reading import int_attribute, ints_attribute, name_of, required, shape_of
from haqc.passes.parse.setting import Setting


def convolution_layer(node: ir.Node, chain: list[ir.Node], setting: Setting) -> Layer:
    """Gives the layer of a convolution of one to three spatial axes, or of its transpose.

    Args:
        chain: the node and what is fused behind it.

    Raises:
        ModelError: a shape is not known, or the shapes contradict each other.
    """
    data, kernel_value = required(node, 0), required(node, 1)
    data_shape, weight_shape, output_shape = shape_of(data), shape_of(kernel_value), shape_of(node.outputs[0])
    groups, kernel = int_attribute(node, "group", 1), weight_shape[2:]
    stride, dilation = (ints_attribute(node, name, (1,) * len(kernel)) for name in ("strides", "dilations"))
    if len({len(data_shape), len(weight_shape), len(output_shape), len(stride) + 2, len(dilation) + 2}) > 1:
        raise ModelError(
            f"layer '{node.name}' has data of shape {list(data_shape)}, weights of shape {list(weight_shape)}, strides "
            f"{list(stride)} and dilations {list(dilation)}, which do not fit each other; export the model again"
        )
    if min((*stride, *dilation, len(kernel)), default=0) < 1:
        raise ModelError(
            f"layer '{node.name}' has strides {list(stride)} and dilations {list(dilation)} over a kernel of shape "
            f"{list(kernel)}; none may be below 1, so export the model again"
        )
    in_channels, out_channels = data_shape[1], output_shape[1]
    is_transposed = node.op_type == "ConvTranspose"
    read = weight_shape[0] if is_transposed else weight_shape[1] * groups
    if read != in_channels or groups < 1 or in_channels % groups or out_channels % groups:
        raise ModelError(
            f"the weights of layer '{node.name}', of shape {list(weight_shape)} in {groups} groups, do not fit "
            f"{in_channels} channels of data; export the model again"
        )
    feature_size, taps = element_count(data_shape[2:]), element_count(kernel)
    weight = setting.weights.read_by(node, 1)
    bias = bias_of(node)
    return Layer(
        name=str(node.name),
        op=node.op_type,
        nodes=tuple(str(n.name) for n in chain),
        activation=name_of(setting.flow.root(data)),
        weight=weight.tensor,
        output=name_of(chain[-1].outputs[0]),
        in_channels=in_channels,
        out_channels=out_channels,
        kernel=kernel,
        stride=stride,
        groups=groups,
        rows=feature_size if is_transposed else element_count(output_shape[2:]),
        reduction=in_channels // groups * (1 if is_transposed else taps),
        columns=out_channels // groups * (taps if is_transposed else 1),
        weight_values=setting.weights.count(weight),
        bias_values=element_count(shape_of(bias)) if bias is not None else 0,
        feature_size=feature_size,
        bias=name_of(bias) if bias is not None and shape_of(bias) == (out_channels,) else "",
        weight_axis=weight.axis,
        float_reason=float_reason(node, weight, setting.flow),
        dilation=dilation,
    )
