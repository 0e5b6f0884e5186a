"""Parts of a model, picked at random."""

from __future__ import annotations

import random

from onnx import GraphProto, ModelProto, NodeProto


def node_of(rng: random.Random, model: ModelProto) -> NodeProto:
    return model.graph.node[rng.randrange(len(model.graph.node))]


def tensors_of(model: ModelProto) -> list[str]:
    graph: GraphProto = model.graph
    names = dict.fromkeys(name for node in graph.node for name in (*node.input, *node.output))
    return [*names, *(tensor.name for tensor in graph.initializer)]
