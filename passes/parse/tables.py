"""From a Gather of rows of a table to a layer."""

from __future__ import annotations

import onnx_ir as ir

from haqc.graph import Layer, element_count
from haqc.passes.parse.reading import name_of, required, shape_of
from haqc.passes.parse.setting import Setting


def table_layer(node: ir.Node, setting: Setting) -> Layer:
    """Gives the layer of a table: rows are looked up, and nothing is multiplied.

    Raises:
        ModelError: it is not known how many rows are looked up.
    """
    table, indices = required(node, 0), required(node, 1)
    entries, width = shape_of(table)
    rows = max(1, element_count(shape_of(indices)) // setting.batch)
    weight = setting.weights.read_by(node, 0)
    return Layer(
        name=str(node.name),
        op="Gather",
        nodes=(str(node.name),),
        activation=name_of(setting.flow.root(indices)),
        weight=weight.tensor,
        output=name_of(node.outputs[0]),
        in_channels=entries,
        out_channels=width,
        kernel=(),
        stride=(),
        groups=1,
        rows=rows,
        reduction=0,
        columns=width,
        weight_values=setting.weights.count(weight),
        bias_values=0,
        feature_size=rows,
        weight_axis=weight.axis,
        float_reason=weight.float_reason,
        data_reason="" if weight.float_reason else "its data are indices",
    )
