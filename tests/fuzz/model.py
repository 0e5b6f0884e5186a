"""Mutations of ONNX models that know what a model is made of."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto

from tests.fuzz.initialisers import (
    change_data,
    change_dims,
    change_type,
    change_values,
    go_external,
    recast,
    sparse,
)
from tests.fuzz.insertions import (
    ask_for_terabytes,
    long_chain,
    make_function,
    nest,
    quantise,
)
from tests.fuzz.nodes import (
    add_attribute,
    add_or_drop_input,
    change_attribute,
    change_domain,
    change_operator,
    drop_node,
    read_itself,
    repeat_node,
    rewire,
    swap_nodes,
)
from tests.fuzz.ports import (
    annotate,
    change_opset,
    change_ports,
    change_shape,
    change_value_type,
    rename,
    rename_tensor,
)

Mutation = Callable[[random.Random, ModelProto], None]

MUTATIONS: Sequence[Mutation] = (
    *(drop_node, repeat_node, swap_nodes, rewire, rewire, add_or_drop_input, read_itself, change_operator),
    *(change_operator, change_domain, change_attribute, change_attribute, change_attribute, add_attribute),
    *(change_dims, change_type, recast, change_values, change_data, go_external, change_shape, change_shape),
    *(change_value_type, change_ports, rename_tensor, rename, change_opset, ask_for_terabytes, nest),
    *(make_function, long_chain, quantise, sparse, annotate),
)


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
