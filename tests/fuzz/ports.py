"""Mutations of what a model says of itself: inputs, outputs, shapes, names and operator sets."""

from __future__ import annotations

import random

from onnx import ModelProto, TensorProto, helper

from tests.fuzz.evil import NAMES, NUMBERS
from tests.fuzz.parts import node_of, tensors_of

_OPSETS = (*range(1, 29), -1, 0, 2**31, 2**62)
_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft", "acme", "a" * 300, "\x1b[2J")


def change_shape(rng: random.Random, model: ModelProto) -> None:
    value = rng.choice([*model.graph.input, *model.graph.input, *model.graph.output, *model.graph.value_info])
    dims = value.type.tensor_type.shape.dim
    action = rng.choice(("number", "number", "symbol", "none", "drop", "add", "unknown", "many"))
    if action == "unknown":
        value.type.tensor_type.ClearField("shape")
        return
    if action in ("add", "many"):
        for _ in range(1 if action == "add" else rng.choice((8, 70))):
            dims.add().dim_value = 1
        return
    dim = dims[rng.randrange(len(dims))]
    if action == "drop":
        dims.remove(dim)
    elif action == "none":
        dim.Clear()
    elif action == "symbol":
        dim.dim_param = rng.choice((*NAMES, "N", "T", "batch"))
    else:
        dim.dim_value = rng.choice(NUMBERS)


def change_value_type(rng: random.Random, model: ModelProto) -> None:
    value = rng.choice([*model.graph.input, *model.graph.output, *model.graph.value_info])
    action = rng.choice(("element", "sequence", "optional", "none", "sparse"))
    if action == "element":
        value.type.tensor_type.elem_type = rng.choice((*TensorProto.DataType.values(), 99))
    elif action == "none":
        value.ClearField("type")
    elif action == "sequence":
        value.type.CopyFrom(helper.make_sequence_type_proto(helper.make_tensor_type_proto(1, None)))
    elif action == "optional":
        value.type.CopyFrom(helper.make_optional_type_proto(helper.make_tensor_type_proto(1, [2])))
    else:
        value.type.CopyFrom(helper.make_sparse_tensor_type_proto(1, [2, 2]))


def change_ports(rng: random.Random, model: ModelProto) -> None:
    ports = rng.choice((model.graph.input, model.graph.output))
    action = rng.choice(("drop", "repeat", "rename", "initialiser", "input"))
    if action == "drop":
        del ports[rng.randrange(len(ports))]
    elif action == "repeat":
        ports.add().CopyFrom(rng.choice(list(ports)))
    elif action == "rename":
        rng.choice(list(ports)).name = rng.choice(tensors_of(model))
    elif action == "input":
        model.graph.output.add().CopyFrom(rng.choice(list(model.graph.input)))
    else:
        tensor = rng.choice(list(model.graph.initializer))
        ports.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))


def rename_tensor(rng: random.Random, model: ModelProto) -> None:
    """Gives a tensor a name that breaks programs, wherever it stands."""
    old, new = rng.choice(tensors_of(model)), rng.choice(NAMES)
    for node in model.graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                if name == old:
                    names[index] = new
    for named in (*model.graph.input, *model.graph.output, *model.graph.value_info, *model.graph.initializer):
        if named.name == old:
            named.name = new


def rename(rng: random.Random, model: ModelProto) -> None:
    name = rng.choice(NAMES)
    place = rng.choice(("node", "node", "node", "graph", "producer", "metadata", "doc"))
    if place == "node":
        node_of(rng, model).name = name
    elif place == "graph":
        model.graph.name = name
    elif place == "producer":
        model.producer_name = model.producer_version = model.domain = name
    elif place == "metadata":
        model.metadata_props.add(key=rng.choice(("haqc", name)), value=rng.choice((name, "{}", "[" * 9999, "1")))
    else:
        model.doc_string = model.graph.doc_string = name


def change_opset(rng: random.Random, model: ModelProto) -> None:
    action = rng.choice(("set", "set", "add", "drop", "format"))
    if action == "set":
        rng.choice(list(model.opset_import)).version = rng.choice(_OPSETS)
    elif action == "add":
        model.opset_import.add(domain=rng.choice(_DOMAINS), version=rng.choice(_OPSETS))
    elif action == "format":
        model.ir_version = rng.choice((0, 1, 2, 3, 4, 7, 10, 14, 99, 2**40))
    else:
        del model.opset_import[rng.randrange(len(model.opset_import))]


def annotate(rng: random.Random, model: ModelProto) -> None:
    """Claims a shape for a tensor inside the graph."""
    extents = [rng.choice((*NUMBERS, "N")) for _ in range(rng.choice((0, 1, 2, 4)))]
    model.graph.value_info.append(helper.make_tensor_value_info(rng.choice(tensors_of(model)), 1, extents))
