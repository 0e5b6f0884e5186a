"""Which output of a model is scored, and what kind it is."""

from __future__ import annotations

import onnx_ir as ir

from haqc.errors import DataError

_RESHAPING = frozenset({"Cast", "Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose"})

_SCALING = frozenset({"Div", "LpNormalization", "LayerNormalization", "RMSNormalization", "Tanh"})
"""Operators that end an embedding, and no row of class scores."""


def scored_output(model: ir.Model) -> ir.Value:
    """Gives the output that is scored.

    Raises:
        DataError: no output is of floating-point numbers.
    """
    for value in model.graph.outputs:
        if value.dtype is None or value.dtype.is_floating_point():
            return value
    raise DataError(
        "no output of the model is of floating-point numbers, so nothing can be scored; export what they are computed "
        "from as an output as well"
    )


def before_softmax(value: ir.Value) -> ir.Value:
    """Gives the tensor that losses read: the output in 32 bits, or what goes into a final Softmax."""
    for passed in (("Cast",), ("Softmax", "LogSoftmax")):
        node = value.producer()
        source = None if node is None else node.inputs[0]
        if node is not None and source is not None and node.op_type in passed and source.dtype == ir.DataType.FLOAT:
            value = source
    return value


def is_embedding(value: ir.Value) -> bool:
    """Whether an output is a direction rather than a row of classes: the last thing done to it is to scale it."""
    node = value.producer()
    while node is not None and node.op_type in _RESHAPING and node.inputs[0] is not None:
        node = node.inputs[0].producer()
    return node is not None and node.op_type in _SCALING
