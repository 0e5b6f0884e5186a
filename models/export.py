"""Exports a torch module to ONNX so that one module always gives the same bytes, under readable names."""

from __future__ import annotations

import torch
from onnx import ModelProto, NodeProto
from torch import Tensor, nn

OPSET = 18
"""What torch's exporter writes by itself; it does not convert networks like ours further down."""


def export(network: nn.Module, image: Tensor) -> ModelProto:
    """Gives a network in evaluation mode as ONNX, its normalisations folded, its batch dimension named ``batch``.

    Nodes are called after the module whose weights they read, tensors after the node that writes them. What the
    exporter notes beside the graph (file names, stack traces) is left out.

    Args:
        network: maps one image tensor to logits.
        image: an example of its input, of at least two images.

    Raises:
        RuntimeError: the exporter gave no program.
    """
    program = torch.onnx.export(
        network,
        (image,),
        dynamo=True,
        opset_version=OPSET,
        input_names=["image"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        verbose=False,
    )
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    model: ModelProto = program.model_proto
    _strip(model)
    _rename(model)
    return model


def _strip(model: ModelProto) -> None:
    model.graph.ClearField("value_info")
    noted = [model, model.graph, *model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.output]
    for item in noted:
        item.ClearField("metadata_props")
        item.ClearField("doc_string")
    for node in model.graph.node:
        # The exporter keeps attributes in no order of its own.
        node.attribute.sort(key=lambda attribute: attribute.name)


def _rename(model: ModelProto) -> None:
    """Renames nodes, weights and tensors; a sequential module's first member, the convolution, lends no part."""
    new = {item.name: item.name for item in (*model.graph.input, *model.graph.output)}
    for weight in model.graph.initializer:
        new[weight.name] = weight.name.replace(".0.weight_bias", ".bias").replace(".0.weight", ".weight")
        weight.name = new[weight.name]
    weights = {weight.name for weight in model.graph.initializer}
    for node in model.graph.node:
        node.input[:] = [new[name] for name in node.input]
        node.name = _node_name(node, weights)
        for output in node.output:
            new.setdefault(output, f"{node.name}.out")
        node.output[:] = [new[output] for output in node.output]
    if len({node.name for node in model.graph.node}) != len(model.graph.node):
        raise RuntimeError("two nodes read the same tensors and would have one name")


def _node_name(node: NodeProto, weights: set[str]) -> str:
    owner = next((name.removesuffix(".weight") for name in node.input if name in weights and ".weight" in name), "")
    source = [name for name in node.input if name not in weights][-1].removesuffix(".out")
    return owner or f"{source}.{node.op_type.lower()}"
