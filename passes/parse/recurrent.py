"""From an LSTM, GRU or RNN to two layers: the product with its data, and the product with its own state."""

from __future__ import annotations

import onnx_ir as ir

from haqc.errors import ModelError
from haqc.graph import Layer, element_count
from haqc.passes.parse.reading import is_float, name_of, required, shape_of
from haqc.passes.parse.setting import Setting
from haqc.passes.parse.weights import Weight

STATE = ".state"
"""What is added to the node's name for the layer of the product with the state."""


def recurrent_layers(node: ir.Node, setting: Setting) -> tuple[Layer, Layer]:
    """Gives the layers of a recurrent node; each direction is a group, and each step in time a row.

    Raises:
        ModelError: a shape is not known, or the shapes contradict each other.
    """
    data = required(node, 0)
    data_shape, shapes = shape_of(data), [shape_of(required(node, 1)), shape_of(required(node, 2))]
    if any(len(shape) != 3 for shape in (data_shape, *shapes)):
        raise ModelError(f"the inputs of {node.op_type} '{node.name}' have not three axes each; export the model again")
    (directions, columns, features), (_, _, hidden) = shapes
    if shapes[1][:2] != (directions, columns) or data_shape[2] != features or columns % hidden:
        raise ModelError(
            f"the weights of {node.op_type} '{node.name}', of shapes {list(shapes[0])} and {list(shapes[1])}, do not "
            f"fit each other and data of shape {list(data_shape)}; export the model again"
        )
    steps = max(1, element_count(data_shape[:2]) // setting.batch)
    weights, recurrence = setting.weights.read_by(node, 1), setting.weights.read_by(node, 2)
    reason = _float_reason(data, weights, setting) or _float_reason(data, recurrence, setting)
    bias = node.inputs[3] if len(node.inputs) > 3 else None
    written = next((value for value in node.outputs if value.uses() or value.is_graph_output()), node.outputs[0])

    def layer(name: str, weight: Weight, reduction: int) -> Layer:
        is_state = weight is recurrence
        return Layer(
            name=name,
            op=node.op_type,
            nodes=(str(node.name),),
            activation="" if is_state else name_of(setting.flow.root(data)),
            weight=weight.tensor,
            output=name_of(written),
            in_channels=reduction,
            out_channels=directions * columns,
            kernel=(),
            stride=(),
            groups=directions,
            rows=steps,
            reduction=reduction,
            columns=columns,
            weight_values=setting.weights.count(weight),
            bias_values=0 if is_state or bias is None else element_count(shape_of(bias)),
            feature_size=reduction,
            weight_axis=weight.axis,
            float_reason=reason,
            data_reason="its state stays in float" if is_state and not reason else "",
        )

    return layer(str(node.name), weights, features), layer(f"{node.name}{STATE}", recurrence, hidden)


def _float_reason(data: ir.Value, weight: Weight, setting: Setting) -> str:
    if setting.flow.is_known(data):
        return "its data are constant"
    if not is_float(data):
        return "its operands are no floating-point numbers"
    return weight.float_reason if weight.is_stored else "its weights are computed while the model runs"
