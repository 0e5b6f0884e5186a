"""Mutations that put nodes into a model."""

from __future__ import annotations

import itertools
import random

from onnx import ModelProto, NodeProto, TensorProto, helper

from tests.fuzz.evil import FLOATS
from tests.fuzz.parts import node_of

_HUGE = ("ConstantOfShape", "Expand", "Tile", "Range", "EyeLike", "Pad", "Resize", "OneHot")


def ask_for_terabytes(rng: random.Random, model: ModelProto) -> None:
    """Puts an operator in front of a node whose output is larger than any memory."""
    node, op = node_of(rng, model), rng.choice(_HUGE)
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


def long_chain(rng: random.Random, model: ModelProto) -> None:
    """Puts thousands of nodes in front of one."""
    node = node_of(rng, model)
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
    node = node_of(rng, model)
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
    node = node_of(rng, model)
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
