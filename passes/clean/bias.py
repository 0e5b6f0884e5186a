"""Gives every layer a bias of its own: equal biases were merged, but their grids differ from layer to layer."""

from __future__ import annotations

import onnx_ir as ir


def unshare_biases(model: ir.Model) -> None:
    """Gives every Conv, ConvTranspose and Gemm a bias that nothing else reads."""
    for node in model.graph:
        if node.op_type not in ("Conv", "ConvTranspose", "Gemm") or len(node.inputs) < 3:
            continue
        bias = node.inputs[2]
        if bias is None or bias.const_value is None or len(bias.uses()) == 1:
            continue
        name = f"{bias.name}_of_{node.name}"
        own = ir.Value(name=name, type=bias.type, shape=bias.shape, const_value=bias.const_value)
        model.graph.register_initializer(own)
        node.replace_input_with(2, own)
