"""Tells whether a value can be negative, by the operators that lead to it."""

from __future__ import annotations

import onnx_ir as ir

_NEVER_NEGATIVE = frozenset({"Abs", "Exp", "HardSigmoid", "Relu", "Sigmoid", "Softmax", "Softplus", "Sqrt"})
_KEEPS_SIGN = frozenset(
    {"AveragePool", "DepthToSpace", "Dropout", "Expand", "Flatten", "Gather", "GlobalAveragePool", "GlobalMaxPool",
     "Identity", "MaxPool", "ReduceMax", "ReduceMean", "ReduceSum", "Reshape", "Slice", "SpaceToDepth", "Split",
     "Squeeze", "Tile", "Transpose", "Unsqueeze"}
)  # fmt: skip
"""Operators that are not negative if their first input is not."""

_JOINS = frozenset({"Add", "Concat", "Max", "Mul", "Sum"})
"""Operators that are not negative if none of their inputs is."""

_STEPS = 32
"""Nodes that are looked at; further back the answer is no."""


def is_nonnegative(value: ir.Value) -> bool:
    """Whether a value cannot be negative, as far as a few operators before it tell."""
    pending = [value]
    for _ in range(_STEPS):
        if not pending:
            return True
        node = pending.pop().producer()
        if node is None:
            return False
        if node.op_type in _NEVER_NEGATIVE:
            continue
        if node.op_type == "Clip":
            low = node.inputs[1] if len(node.inputs) > 1 else None
            if low is None or low.const_value is None or low.const_value.size != 1 or low.const_value.numpy().min() < 0:
                return False
        elif node.op_type in _KEEPS_SIGN | _JOINS:
            inputs = node.inputs if node.op_type in _JOINS else node.inputs[:1]
            pending.extend(value for value in inputs if value is not None)
        else:
            return False
    return False
