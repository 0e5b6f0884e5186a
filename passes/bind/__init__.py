"""Binds a model's symbolic dimensions: a copy of it in which every shape is a number."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from haqc.dimensions import Dimensions, Shape
from haqc.errors import ModelError
from haqc.onnxprocess import infer_shapes, lasting
from haqc.passes.bind.walk import Walk
from haqc.storedtensors import MAX_RANK

__all__ = ["bind"]

_ROUNDS = 3
"""Whole-graph inferences after the walks at most; each must make something known that was not."""

_SHAPE_OPERANDS = {"ConstantOfShape": 0, "Expand": 1, "Reshape": 1}
"""Which input of an operator holds the extents of its output, one for each dimension."""


def bind(model: ir.Model, shapes: Mapping[str, Shape] | None = None) -> ir.Model:
    """Gives a copy for one sample of given shape: what follows from shapes alone is computed, all shapes are inferred.

    Names of nodes and tensors stay. Nodes whose outputs follow from shapes alone (integers and truth values, and a few
    floats such as the scales of a Resize) are replaced by constants of the same name; what computes with data stays as
    it is. Values of which no shape can be inferred keep the one they were declared with, or none.

    Args:
        model: a cleaned model; it is not changed.
        shapes: shapes of inputs by name, for one sample. Symbols that count samples need none: they become 1.

    Raises:
        ModelError: a symbol is left open, the shapes contradict the model or each other, or ONNX's inference crashes.
    """
    dimensions = Dimensions.of(model).bind(shapes or {})
    bound = dimensions.shapes(or_else="or give data")
    extents = {**dict.fromkeys(dimensions.batch, 1), **dimensions.bound}
    try:
        copy = model.clone()
    except Exception as error:  # a body that reads what nobody computes; the library says so in its own ways
        raise ModelError(
            "the graph cannot be copied: a node or the body of one reads a tensor that does not exist; check it with "
            "'onnx.checker'"
        ) from error
    for value in copy.graph.inputs:
        value.shape = ir.Shape(bound[str(value.name)]) if isinstance(value.type, ir.TensorType) else value.shape
    walk = Walk.start(copy, extents)
    unknown = walk.run()
    _check_ranks(copy)
    for _ in range(_ROUNDS if _has_bodies(copy) else 0):
        if not unknown:
            break
        infer_shapes(copy, lasting())  # knows subgraphs and functions, which the walk does not
        before, unknown = unknown, walk.run()
        if unknown >= before:
            break
    walk.replace_known()
    walk.restore()
    return copy


def _has_bodies(model: ir.Model) -> bool:
    """Whether there is anything that only whole-graph inference knows; it takes a process of its own."""
    return bool(model.functions) or len(list(model.graphs())) > 1


def _check_ranks(model: ir.Model) -> None:
    """Refuses a tensor with more dimensions than arrays can have: one with a million makes inference take seconds.

    Raises:
        ModelError: naming the tensor.
    """
    for node in model.graph:
        place = _SHAPE_OPERANDS.get(node.op_type, len(node.inputs))
        given = node.inputs[place] if place < len(node.inputs) else None
        shape = None if given is None else given.shape
        rank = shape[0] if shape is not None and len(shape) == 1 else 0
        if isinstance(rank, int) and rank > MAX_RANK:
            raise ModelError(
                f"tensor '{node.outputs[0].name}' has {rank:,} dimensions; allowed are {MAX_RANK}: check the shape "
                f"that its {node.op_type} is given"
            )
