"""What a model does with its inputs is read off the graph."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from haqc.data.synthetic import Role
from haqc.dimensions import Shape
from haqc.passes.bind import bind
from haqc.passes.clean import clean
from haqc.roles import roles
from tests.small_model import draw, small_model

INTEGER_CASES = {
    "a row of a table": ("int64[N,5] x", "y = Gather (table, x)", Role("index", 30)),
    "through a cast and a reshape": (
        "int32[N,5] x",
        "a = Cast <to=7> (x) b = Unsqueeze (a, one) y = Gather (table, b)",
        Role("index", 30),
    ),
    "an offset less": ("int64[N,5] x", "a = Add (x, two) y = Gather (table, a)", Role("index", 28)),
    "the smaller of two tables": (
        "int64[N,5] x",
        "a = Gather (table, x) b = Gather (small, x) y = Add (a, b)",
        Role("index", 4),
    ),
    "one hot": ("int64[N,5] x", "y = OneHot (x, depth, onoff)", Role("index", 9)),
    "one hot by comparison": (
        "int32[N,5] x",
        "a = Cast <to=7> (x) b = Unsqueeze (a, two) c = Equal (classes, b) y = Cast <to=1> (c)",
        Role("index", 6),
    ),
    "two values that stand for nothing": ("int64[N,2] x", "c = Equal (x, ends) y = Cast <to=1> (c)", Role("mask")),
    "a mask": ("int64[N,5] x", "a = Cast <to=1> (x) b = Sub (unit, a) y = Mul (b, large)", Role("mask")),
    "a truth value": ("bool[N,8] x", "y = Where (x, unit, large)", Role("mask")),
    "ids that are compared as well": (
        "int64[N,5] x",
        "p = Equal (x, two) q = Cast <to=1> (p) r = Unsqueeze (q, two) e = Gather (table, x) y = Mul (e, r)",
        Role("index", 30),
    ),
}
FLOAT_CASES = {
    "data": ("float[N,8] x", "y = MatMul (x, square)", Role()),
    "data that are scaled": ("float[N,8] x", "a = Sub (x, unit) b = Mul (a, half) y = MatMul (b, square)", Role()),
    "a mask that is multiplied": (
        "float[N,8] x",
        "a = Sub (unit, x) b = Mul (a, large) y = Add (b, unit)",
        Role("mask"),
    ),
    "a mask of a mean": (
        "float[N,8] x",
        "a = Mul (x, table) s = ReduceSum (a, one) n = ReduceSum (x, one) m = Clip (n, half) y = Div (s, m)",
        Role("mask"),
    ),
    "data divided by their sum": ("float[N,8] x", "n = ReduceSum (x, one) y = Div (x, n)", Role()),
    "a mask that is added": ("float[N,8] x", "a = Add (x, row) y = Softmax (a)", Role("mask")),
}
CONSTANTS = {
    "table": draw(30, 8),
    "small": draw(4, 8),
    "square": draw(8, 8),
    "row": draw(8),
    "onoff": draw(2),
    "classes": [[range(6)]],
    "ends": [4, 9],
    "one": [1],
    "two": [2],
    "depth": [9],
    "unit": 1.0,
    "half": 0.5,
    "large": -1e9,
}


def found(text: str, shapes: dict[str, Shape] | None = None) -> dict[str, Role]:
    return roles(bind(clean(ir.from_proto(small_model(text, CONSTANTS))), shapes))


@pytest.mark.parametrize("case", [*INTEGER_CASES, *FLOAT_CASES])
def test_one_input(case: str) -> None:
    given, nodes, role = (INTEGER_CASES | FLOAT_CASES)[case]
    assert found(f"({given}) => (float[N,a,b] y) {{ {nodes} }}") == {"x": role}


def test_rows_of_a_tensor_that_is_computed() -> None:
    """The last token is picked by its place: the table's extent is known once the length is."""
    text = """(float[N,length,8] x, int64[N] last) => (float[N,8] y) {
        a = MatMul (x, square)
        t = Gather <axis=1> (a, last)
        y = ReduceSum <keepdims=0> (t, one)
    }"""
    assert found(text, {"x": (1, 12, 8)}) == {"x": Role(), "last": Role("index", 12)}
