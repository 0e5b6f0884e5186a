"""Mutations of nodes: which there are, what they do, and what they read."""

from __future__ import annotations

import random

import onnx
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, helper

from tests.fuzz.evil import FLOATS, NAMES, NUMBERS
from tests.fuzz.parts import node_of, tensors_of

_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft", "acme", "a" * 300, "\x1b[2J")
_OPS = tuple(sorted({schema.name for schema in onnx.defs.get_all_schemas()}))


def drop_node(rng: random.Random, model: ModelProto) -> None:
    del model.graph.node[rng.randrange(len(model.graph.node))]


def repeat_node(rng: random.Random, model: ModelProto) -> None:
    node = NodeProto()
    node.CopyFrom(node_of(rng, model))
    model.graph.node.insert(rng.randrange(len(model.graph.node) + 1), node)


def swap_nodes(rng: random.Random, model: ModelProto) -> None:
    one, other = node_of(rng, model), node_of(rng, model)
    kept = NodeProto()
    kept.CopyFrom(one)
    one.CopyFrom(other)
    other.CopyFrom(kept)


def rewire(rng: random.Random, model: ModelProto) -> None:
    """Lets a node read, or write, another tensor; cycles come about."""
    node, tensors = node_of(rng, model), tensors_of(model)
    names = rng.choice((node.input, node.input, node.output))
    names[rng.randrange(len(names))] = rng.choice(tensors)


def add_or_drop_input(rng: random.Random, model: ModelProto) -> None:
    node = node_of(rng, model)
    names = rng.choice((node.input, node.output))
    if rng.random() < 0.5:
        names.append(rng.choice(("", *tensors_of(model))))
    else:
        del names[rng.randrange(len(names))]


def read_itself(rng: random.Random, model: ModelProto) -> None:
    node = node_of(rng, model)
    node.input[rng.randrange(len(node.input))] = node.output[0]


def change_operator(rng: random.Random, model: ModelProto) -> None:
    node_of(rng, model).op_type = rng.choice((*_OPS, *NAMES))


def change_domain(rng: random.Random, model: ModelProto) -> None:
    node_of(rng, model).domain = rng.choice(_DOMAINS)


def change_attribute(rng: random.Random, model: ModelProto) -> None:
    node = node_of(rng, model)
    attribute = rng.choice(list(node.attribute))
    kinds = ("i", "f", "s", "ints", "floats", "drop", "element", "element", "element", "type", "t")
    kind = rng.choice(kinds)
    if kind == "drop":
        node.attribute.remove(attribute)
    elif kind == "element" and attribute.ints:
        attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(NUMBERS)
    elif kind == "type":
        attribute.type = rng.choice(list(AttributeProto.AttributeType.values()))
    elif kind == "t":
        attribute.CopyFrom(helper.make_attribute(attribute.name, _tensor(rng, "")))
    else:
        values = {
            "i": rng.choice(NUMBERS),
            "f": rng.choice(FLOATS),
            "s": rng.choice(NAMES),
            "ints": [rng.choice(NUMBERS) for _ in range(rng.choice((1, 2, 4, 300)))],
            "floats": [rng.choice(FLOATS) for _ in range(rng.choice((1, 2, 4)))],
        }
        attribute.CopyFrom(helper.make_attribute(attribute.name, values.get(kind, rng.choice(NUMBERS))))


def add_attribute(rng: random.Random, model: ModelProto) -> None:
    names = ("axis", "axes", "perm", "group", "kernel_shape", "pads", "strides", "dilations", "to", "keepdims", "value")
    value = rng.choice((rng.choice(NUMBERS), [rng.choice(NUMBERS)] * 3, rng.choice(FLOATS), rng.choice(NAMES)))
    node_of(rng, model).attribute.append(helper.make_attribute(rng.choice((*names, *NAMES)), value))


def _tensor(rng: random.Random, name: str) -> TensorProto:
    dims = [rng.choice((0, 1, 2, 3, *NUMBERS[:8])) for _ in range(rng.choice((0, 1, 2)))]
    count = 1
    for extent in dims:
        count *= max(0, extent)
    return helper.make_tensor(name, TensorProto.FLOAT, dims, [rng.choice(FLOATS)] * min(count, 1000))
