"""Lets a MaxPool between two quantisers work on codes.

The largest of some values has the largest of their codes, so pooling codes gives the codes of what is pooled, exactly.
onnxruntime does so by itself only where both quantisers are equal, which they are not where each has its own range and
width; else it leaves the pooling, and changes of layout around it, in float.
"""

from __future__ import annotations

from collections.abc import Container

import onnx_ir as ir

from haqc.passes.emit.writer import GraphWriter


def pool_codes(writer: GraphWriter, quantised: Container[str]) -> None:
    """Moves every DequantizeLinear in front of a MaxPool behind it, where what is pooled has a quantiser again.

    Args:
        writer: holds the graph, in which activations stand behind their quantisers.
        quantised: names of the tensors with a quantiser.
    """
    for node in list(writer.graph):
        read = node.inputs[0] if node.op_type == "MaxPool" else None
        dequantise = None if read is None else read.producer()
        if dequantise is None or dequantise.op_type != "DequantizeLinear" or len(node.outputs) != 1:
            continue
        pooled = node.outputs[0]
        if pooled.name in quantised and not pooled.is_graph_output() and not _may_miss(node):
            _move_behind(writer, node, dequantise)


def _may_miss(node: ir.Node) -> bool:
    """Whether a window may lie outside of what is pooled, so that its largest value is what a runtime starts from."""
    return node.attributes.get_int("ceil_mode", 0) != 0


def _move_behind(writer: GraphWriter, node: ir.Node, dequantise: ir.Node) -> None:
    codes, scale, zero = dequantise.inputs
    pooled = node.outputs[0]
    assert codes is not None and scale is not None and zero is not None
    readers = list(pooled.uses())
    result = writer.node(
        "DequantizeLinear", [pooled, scale, zero], f"{pooled.name}_pooled", ir.DataType.FLOAT, pooled.shape
    )
    for reader, place in readers:
        reader.replace_input_with(place, result)
    writer.swap_names(pooled, result)  # the quantiser behind finds what it reads under its old name
    pooled.type = ir.TensorType(ir.DataType.UINT8)
    node.replace_input_with(0, codes)
    if not dequantise.outputs[0].uses():
        writer.graph.remove(dequantise, safe=True)
