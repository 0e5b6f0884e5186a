"""Nodes of our own for the gradient check, for operators that the ONNX project's cases do not reach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.mirror.one_node import OneNode

Array = np.ndarray
MICROSOFT = "com.microsoft"


def _draw(*shape: int) -> Array:
    return np.random.default_rng([7, *shape]).standard_normal(shape).astype(np.float32)


def _whole(*values: int) -> Array:
    return np.array(values, np.int64)


def _node(op: str, inputs: Sequence[Array], attributes: dict[str, Any] | None = None, **more: Any) -> OneNode:
    """Gives a node whose integers are known."""
    known = tuple(index for index, value in enumerate(inputs) if value.dtype.kind != "f")
    return OneNode(op, inputs, attributes or {}, constants=known, **more)


CHOICE = """<ir_version: 10, opset_import: ["": 21]>
    choice (float[4] x) => (float[4] y) <bool b = {1}> {
        y = If (b) <
            then_branch = yes () => (float[4] p) { p = Mul (x, x) },
            else_branch = no () => (float[4] q) { q = Neg (x) }
        >
    }
"""
"""If squares what it captures."""

NODES = (
    _node("Cast", [_draw(4)], {"to": 11}),
    _node("CastLike", [_draw(4), np.arange(2).astype(np.float64)]),
    _node("CumProd", [_draw(2, 3), np.asarray(np.int64(1))], {"reverse": 1}, opset=26),
    _node("CumSum", [_draw(2, 3), np.asarray(np.int64(1))], {"exclusive": 1}),
    _node("Einsum", [_draw(2, 3), _draw(3, 4)], {"equation": "ij,jk->ik"}),
    _node("Erf", [_draw(5)]),
    _node("EyeLike", [_draw(3, 3)]),
    _node("GlobalLpPool", [_draw(1, 2, 3, 3)]),
    _node("LRN", [_draw(1, 5, 2, 2)], {"size": 3, "alpha": 0.1}),
    _node("MaxRoiPool", [_draw(1, 2, 5, 5), np.float32([[0, 0, 0, 3, 4]])], {"pooled_shape": [2, 2]}),
    _node("Mish", [_draw(5)], opset=22),
    _node("ReduceLogSumExp", [_draw(2, 3), _whole(1)]),
    _node("Slice", [_draw(4, 5), _whole(3, 0), _whole(0, 4), _whole(0, 1), _whole(-2, 1)]),
    _node("Trilu", [_draw(3, 4), np.asarray(np.int64(1))]),
    _node("BiasGelu", [_draw(2, 3), _draw(3)], domain=MICROSOFT),
    _node("FastGelu", [_draw(2, 3), _draw(3)], domain=MICROSOFT),
    _node("FusedMatMul", [_draw(2, 3), _draw(4, 3)], {"transB": 1, "alpha": 0.5}, domain=MICROSOFT),
    _node("Gelu", [_draw(5)], domain=MICROSOFT),
    _node("QuickGelu", [_draw(5)], domain=MICROSOFT),
    _node("SkipLayerNormalization", [_draw(1, 2, 4)] * 2 + [_draw(4)] * 3, {"epsilon": 1e-5}, domain=MICROSOFT),
    _node("SkipSimplifiedLayerNormalization", [_draw(1, 2, 4)] * 2 + [_draw(4)], {"epsilon": 1e-5}, domain=MICROSOFT),
)
