"""Mutations of ONNX models that know what a model is made of."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence

import onnx
from google.protobuf.message import DecodeError
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper

from tests.fuzz.evil import FLOATS, NAMES, NUMBERS

Mutation = Callable[[random.Random, ModelProto], None]

_OPSETS = (*range(1, 29), -1, 0, 2**31, 2**62)
_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft", "acme", "a" * 300, "\x1b[2J")
_HUGE = ("ConstantOfShape", "Expand", "Tile", "Range", "EyeLike", "Pad", "Resize", "OneHot")
_OPS = tuple(sorted({schema.name for schema in onnx.defs.get_all_schemas()}))


def mutate_model(rng: random.Random, model: ModelProto, count: int) -> tuple[str, ...]:
    """Changes a model in some places; gives what was done."""
    done = []
    for _ in range(count):
        mutation = rng.choice(MUTATIONS)
        try:
            mutation(rng, model)
        except (LookupError, ValueError, TypeError, OverflowError, DecodeError, onnx.checker.ValidationError):
            continue  # nothing there to change in this way
        done.append(mutation.__name__)
    return tuple(done)


def drop_node(rng: random.Random, model: ModelProto) -> None:
    del model.graph.node[rng.randrange(len(model.graph.node))]


def repeat_node(rng: random.Random, model: ModelProto) -> None:
    node = NodeProto()
    node.CopyFrom(_node(rng, model))
    model.graph.node.insert(rng.randrange(len(model.graph.node) + 1), node)


def swap_nodes(rng: random.Random, model: ModelProto) -> None:
    one, other = _node(rng, model), _node(rng, model)
    kept = NodeProto()
    kept.CopyFrom(one)
    one.CopyFrom(other)
    other.CopyFrom(kept)


def rewire(rng: random.Random, model: ModelProto) -> None:
    """Lets a node read, or write, another tensor; cycles come about."""
    node, tensors = _node(rng, model), _tensors(model)
    names = rng.choice((node.input, node.input, node.output))
    names[rng.randrange(len(names))] = rng.choice(tensors)


def add_or_drop_input(rng: random.Random, model: ModelProto) -> None:
    node = _node(rng, model)
    names = rng.choice((node.input, node.output))
    if rng.random() < 0.5:
        names.append(rng.choice(("", *_tensors(model))))
    else:
        del names[rng.randrange(len(names))]


def read_itself(rng: random.Random, model: ModelProto) -> None:
    node = _node(rng, model)
    node.input[rng.randrange(len(node.input))] = node.output[0]


def change_operator(rng: random.Random, model: ModelProto) -> None:
    _node(rng, model).op_type = rng.choice((*_OPS, *NAMES))


def change_domain(rng: random.Random, model: ModelProto) -> None:
    _node(rng, model).domain = rng.choice(_DOMAINS)


def change_attribute(rng: random.Random, model: ModelProto) -> None:
    node = _node(rng, model)
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
    _node(rng, model).attribute.append(helper.make_attribute(rng.choice((*names, *NAMES)), value))


def change_dims(rng: random.Random, model: ModelProto) -> None:
    tensor = rng.choice(list(model.graph.initializer))
    action = rng.choice(("set", "append", "drop", "many"))
    if action == "set":
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(NUMBERS)
    elif action == "append":
        tensor.dims.append(rng.choice((0, 1, *NUMBERS)))
    elif action == "many":
        tensor.dims.extend([1] * rng.choice((8, 62, 70, 5000)))
    else:
        del tensor.dims[rng.randrange(len(tensor.dims))]


def change_type(rng: random.Random, model: ModelProto) -> None:
    tensor = rng.choice(list(model.graph.initializer))
    tensor.data_type = rng.choice((*TensorProto.DataType.values(), 99, -1))


def recast(rng: random.Random, model: ModelProto) -> None:
    """Gives an initialiser another type together with as many bytes as that needs."""
    tensor = rng.choice(list(model.graph.initializer))
    raw = onnx.numpy_helper.to_array(tensor)
    if raw.size < 100_000:
        kind = rng.choice(("float16", "float64", "int8", "int32", "int64", "uint8", "bool"))
        tensor.CopyFrom(onnx.numpy_helper.from_array(raw.astype(kind), tensor.name))


def change_values(rng: random.Random, model: ModelProto) -> None:
    tensor = rng.choice(list(model.graph.initializer))
    if len(tensor.dims) > 8 or len(tensor.raw_data) > 1 << 20:
        return
    values = onnx.numpy_helper.to_array(tensor).copy()
    flat = values.reshape(-1)
    value = rng.choice(FLOATS) if values.dtype.kind == "f" else rng.choice(NUMBERS)
    flat[rng.randrange(flat.size) : None if rng.random() < 0.3 else flat.size] = value
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))


def change_data(rng: random.Random, model: ModelProto) -> None:
    tensor = rng.choice(list(model.graph.initializer))
    raw = tensor.raw_data
    tensor.raw_data = rng.choice((raw[:-1], raw + b"\0", b"", raw * 2))


def go_external(rng: random.Random, model: ModelProto) -> None:
    """Moves a tensor's data to a file: a good one, or one that must not be read."""
    tensor = rng.choice([t for t in model.graph.initializer if t.raw_data])
    size = len(tensor.raw_data)
    places = (*NAMES, "weights.bin", "weights.bin", "weights.bin", "weights.bin", "./weights.bin", "in/../weights.bin")
    entries = {
        "location": rng.choice(places),
        "offset": rng.choice(("0", "0", "0", "1", "-1", "x", str(2**62), "9" * 30)),
        "length": rng.choice((str(size), str(size), str(size), "0", "-1", "x", str(2**62))),
    }
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key in rng.sample(sorted(entries), rng.choice((1, 2, 3, 3))):
        tensor.external_data.add(key=key, value=entries[key])


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
        rng.choice(list(ports)).name = rng.choice(_tensors(model))
    elif action == "input":
        model.graph.output.add().CopyFrom(rng.choice(list(model.graph.input)))
    else:
        tensor = rng.choice(list(model.graph.initializer))
        ports.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))


def rename_tensor(rng: random.Random, model: ModelProto) -> None:
    """Gives a tensor a name that breaks programs, wherever it stands."""
    old, new = rng.choice(_tensors(model)), rng.choice(NAMES)
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
        _node(rng, model).name = name
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


def ask_for_terabytes(rng: random.Random, model: ModelProto) -> None:
    """Puts an operator in front of a node whose output is larger than any memory."""
    node, op = _node(rng, model), rng.choice(_HUGE)
    index = rng.randrange(len(node.input))
    extents = rng.choice(([10**6, 10**6], [2**40], [2**62, 4], [-1], [0, 10**12], [10**5, 10**5, 3]))
    model.graph.initializer.append(helper.make_tensor("huge", TensorProto.INT64, [len(extents)], extents))
    zero, one = helper.make_tensor("zero", TensorProto.INT64, [], [0]), helper.make_tensor("one", 7, [], [1])
    most = helper.make_tensor("most", TensorProto.INT64, [], [extents[0]])
    model.graph.initializer.extend([zero, one, most])
    inputs = {
        "ConstantOfShape": ["huge"],
        "Range": ["zero", "most", "one"],
        "OneHot": ["zero", "most", "huge"],
    }.get(op, [node.input[index], "huge"])
    made = helper.make_node(op, inputs, ["huge_out"])
    node.input[index] = "huge_out"
    model.graph.node.insert(0, made)


def nest(rng: random.Random, model: ModelProto) -> None:
    """Moves a node into the body of an If, Loop or Scan, perhaps many deep."""
    index = rng.randrange(len(model.graph.node))
    node = NodeProto()
    node.CopyFrom(model.graph.node[index])
    for depth in range(rng.choice((1, 1, 1, 2, 40, 150))):
        node = _nested(rng, node, depth)
    model.graph.node[index].CopyFrom(node)
    model.graph.initializer.append(helper.make_tensor("nest_true", TensorProto.BOOL, [], [True]))
    model.graph.initializer.append(helper.make_tensor("nest_trips", TensorProto.INT64, [], [rng.choice((0, 1, 2**40))]))


def _nested(rng: random.Random, node: NodeProto, depth: int) -> NodeProto:
    outputs = [helper.make_empty_tensor_value_info(name) for name in node.output]
    if rng.random() < 0.6:
        body = helper.make_graph([node], f"body{depth}", [], outputs)
        condition = rng.choice(("nest_true", node.input[0] if node.input else "nest_true"))
        other = [helper.make_node("Identity", ["nest_trips"], [name]) for name in node.output]  # the body would double
        otherwise = helper.make_graph(other, f"else{depth}", [], outputs)
        return helper.make_node("If", [condition], list(node.output), then_branch=body, else_branch=otherwise)
    names = [f"i{depth}", f"c{depth}"]
    inputs = [helper.make_tensor_value_info(names[0], 7, []), helper.make_tensor_value_info(names[1], 9, [])]
    keeps = helper.make_node("Identity", [names[1]], [f"k{depth}"])
    body = helper.make_graph(
        [node, keeps], f"body{depth}", inputs, [helper.make_tensor_value_info(f"k{depth}", 9, []), *outputs]
    )
    trips = rng.choice(("nest_trips", ""))
    return helper.make_node("Loop", [trips, "nest_true"], list(node.output), body=body)


def make_function(rng: random.Random, model: ModelProto) -> None:
    """Moves a node into a function, which may call itself."""
    node = _node(rng, model)
    inner = NodeProto()
    inner.CopyFrom(node)
    body = [inner]
    if rng.random() < 0.3:
        body = [helper.make_node("F", list(node.input), list(node.output), domain="own")]
    opsets = list(model.opset_import) or [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("own", "F", list(node.input), list(node.output), body, opsets))
    node.op_type, node.domain = "F", "own"
    del node.attribute[:]
    model.opset_import.add(domain="own", version=1)


def long_chain(rng: random.Random, model: ModelProto) -> None:
    """Puts thousands of nodes in front of one."""
    node = _node(rng, model)
    index = rng.randrange(len(node.input))
    op, start = rng.choice(("Identity", "Relu", "Neg", "Transpose")), node.input[index]
    count = rng.choice((50, 500, 2000))
    names = [start, *(f"chain{step}" for step in range(count))]
    node.input[index] = names[-1]
    made = [helper.make_node(op, [before], [after]) for before, after in itertools.pairwise(names)]
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*made, *rest])


def quantise(rng: random.Random, model: ModelProto) -> None:
    """Puts a quantiser on a tensor, sound or not."""
    node = _node(rng, model)
    index = rng.randrange(len(node.input))
    kind = rng.choice((TensorProto.INT8, TensorProto.UINT8, TensorProto.INT32, TensorProto.FLOAT))
    scales = [rng.choice((0.1, 0.1, *FLOATS)) for _ in range(rng.choice((1, 1, 3)))]
    dims = [] if len(scales) == 1 else [len(scales)]
    model.graph.initializer.append(helper.make_tensor("q_scale", TensorProto.FLOAT, dims, scales))
    model.graph.initializer.append(helper.make_tensor("q_zero", kind, dims, [0] * len(scales)))
    quantised = helper.make_node("QuantizeLinear", [node.input[index], "q_scale", "q_zero"], ["q_codes"])
    back = helper.make_node("DequantizeLinear", ["q_codes", "q_scale", "q_zero"], ["q_values"])
    node.input[index] = "q_values"
    for made in (back, quantised):
        model.graph.node.insert(0, made)


def sparse(rng: random.Random, model: ModelProto) -> None:
    tensor = rng.choice(list(model.graph.initializer))
    values = helper.make_tensor(tensor.name, TensorProto.FLOAT, [2], [1.0, 2.0])
    places = helper.make_tensor("places", TensorProto.INT64, [2], [0, rng.choice(NUMBERS)])
    dims = rng.choice((list(tensor.dims), [rng.choice(NUMBERS)]))
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, dims))
    if rng.random() < 0.7:
        model.graph.initializer.remove(tensor)


def annotate(rng: random.Random, model: ModelProto) -> None:
    """Claims a shape for a tensor inside the graph."""
    extents = [rng.choice((*NUMBERS, "N")) for _ in range(rng.choice((0, 1, 2, 4)))]
    model.graph.value_info.append(helper.make_tensor_value_info(rng.choice(_tensors(model)), 1, extents))


MUTATIONS: Sequence[Mutation] = (
    *(drop_node, repeat_node, swap_nodes, rewire, rewire, add_or_drop_input, read_itself, change_operator),
    *(change_operator, change_domain, change_attribute, change_attribute, change_attribute, add_attribute),
    *(change_dims, change_type, recast, change_values, change_data, go_external, change_shape, change_shape),
    *(change_value_type, change_ports, rename_tensor, rename, change_opset, ask_for_terabytes, nest),
    *(make_function, long_chain, quantise, sparse, annotate),
)


def _node(rng: random.Random, model: ModelProto) -> NodeProto:
    return model.graph.node[rng.randrange(len(model.graph.node))]


def _tensors(model: ModelProto) -> list[str]:
    graph: GraphProto = model.graph
    names = dict.fromkeys(name for node in graph.node for name in (*node.input, *node.output))
    return [*names, *(tensor.name for tensor in graph.initializer)]


def _tensor(rng: random.Random, name: str) -> TensorProto:
    dims = [rng.choice((0, 1, 2, 3, *NUMBERS[:8])) for _ in range(rng.choice((0, 1, 2)))]
    count = 1
    for extent in dims:
        count *= max(0, extent)
    return helper.make_tensor(name, TensorProto.FLOAT, dims, [rng.choice(FLOATS)] * min(count, 1000))
