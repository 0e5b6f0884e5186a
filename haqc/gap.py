"""How far two results of one computation lie apart."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

EDGE_SHARE = 0.01
"""Share of whole numbers and truth values that may differ: what is compared or counted may lie on an edge."""

LEAST_OF_BOUNDED = 0.01
"""Magnitude that is assumed of what a bounded function gave at least: runtimes approximate it to about 1e-7, not to a
share of what they give."""

_BOUNDED = frozenset({"Sigmoid", "HardSigmoid", "Softmax", "Tanh", "Erf"})
_MOVING = frozenset({"Cast", "Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose"})


def least_magnitude(value: ir.Value) -> float:
    """Gives what :func:`gap_between` is to assume of a value: 0 but behind a function that gives at most 1."""
    return 0.0 if bounded_input(value) is None else LEAST_OF_BOUNDED


def least_magnitudes(model: ir.Model) -> dict[str, float]:
    """Gives the same for each output of a model, by name."""
    return {str(value.name): least_magnitude(value) for value in model.graph.outputs}


def bounded_input(value: ir.Value) -> ir.Value | None:
    """Gives what the bounded function reads that a value comes from; ``None`` where it comes from none."""
    function = bounding(value)
    return None if function is None else function.inputs[0]


def bounding(value: ir.Value) -> ir.Node | None:
    """Gives the bounded function that a value comes from, behind what only moves numbers; ``None`` where none is."""
    producer = value.producer()
    while producer is not None and producer.op_type in _MOVING and producer.inputs[0] is not None:
        producer = producer.inputs[0].producer()
    return producer if producer is not None and producer.op_type in _BOUNDED else None


def gap_between(found: np.ndarray, expected: np.ndarray, least: float = 0.0) -> float:
    """Gives the largest difference as a share of the largest magnitude expected, or of the least that is assumed.

    Infinities and NaN must stand in the same places. Whole numbers and truth values differ by 1 where more than a
    hundredth of them do, and by 0 otherwise: what is compared or counted may lie on an edge.
    """
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return float("inf")
    if expected.dtype.kind != "f":
        return float((found != expected).mean() > EDGE_SHARE) if expected.size else 0.0
    is_finite = np.isfinite(expected)
    if not np.array_equal(found[~is_finite], expected[~is_finite], equal_nan=True):
        return float("inf")
    a, b = found[is_finite].astype(np.float64), expected[is_finite].astype(np.float64)
    return float(np.abs(a - b).max(initial=0.0) / (max(np.abs(b).max(initial=0.0), least) or 1.0))
