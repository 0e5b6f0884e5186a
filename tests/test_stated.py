"""The values of an input that the graph states are read off it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from haqc.data import Role
from haqc.data.span import Span
from haqc.frontend import Front
from haqc.roles import roles
from haqc.stated import stated_spans
from tests.small_model import draw, small_model

IMAGENET = np.array([0.485, 0.456, 0.406], np.float32).reshape(3, 1, 1)
SPREAD = np.array([0.229, 0.224, 0.225], np.float32).reshape(3, 1, 1)
CASES = {
    "pixels to the unit interval": ("float", "y = Div (x, raw)", Span(0, 255)),
    "by a factor": ("float", "y = Mul (x, share)", Span(0, 250)),
    "by a factor on the left": ("float", "y = Mul (share, x)", Span(0, 250)),
    "pixels to -1 to 1": ("float", "a = Sub (x, half) y = Div (a, half)", Span(0, 255)),
    "the other way round": ("float", "a = Div (x, half) y = Sub (a, one)", Span(0, 255)),
    "an image's mean and deviation": ("float", "a = Sub (x, mean) y = Div (a, std)", Span(0, 0.901)),
    "behind casts and changes of shape": (
        "float16",
        "a = Cast <to=1> (x) c = Transpose <perm=[0,1,3,2]> (a) y = Div (c, raw)",
        Span(0, 255),
    ),
    "pixels, mean and deviation": ("float", "a = Div (x, raw) c = Sub (a, mean) y = Div (c, std)", Span(0, 229.7)),
    "a mean alone": ("float", "y = Sub (x, half)", Span(0, 255)),
    "a small mean": ("float", "a = Sub (x, tenth) y = Div (a, third)", Span(0, 0.7)),
    "a negative mean": ("float", "a = Add (x, one) y = Div (a, third)", Span(-1.6, -0.4)),
    "statistics": ("float", "y = BatchNormalization (x, g, b, mu, var)", Span(-2, 8)),
    "a quantiser": ("float", "a = QuantizeLinear (x, step, zero) y = DequantizeLinear (a, step, zero)", Span(-1, 4.1)),
    "bytes": ("uint8", "y = Cast <to=1> (x)", Span(0, 255)),
    "signed bytes": ("int8", "y = Cast <to=1> (x)", Span(-128, 127)),
}
SILENT = {
    "nothing": ("float", "y = Relu (x)"),
    "no large divisor": ("float", "y = Mul (x, one)"),
    "two readers": ("float", "a = Div (x, raw) y = Add (a, x)"),
    "what is divided": ("float", "y = Div (raw, x)"),
    "an unknown": ("float", "a = Abs (x) y = Div (x, a)"),
    "a factor of nothing": ("float", "y = Mul (x, none)"),
    "an addition to values about zero": ("float", "y = Add (x, one)"),
    "infinite numbers": ("float", "y = Sub (x, endless)"),
    "whole numbers": ("int64", "y = Cast <to=1> (x)"),
}
CONSTANTS = {
    **{"raw": 255.0, "share": 0.004, "half": 127.5, "one": 1.0, "tenth": 0.1, "third": 0.3, "none": 0.0},
    **{"mean": IMAGENET, "std": SPREAD, "endless": float("inf"), "step": 0.02, "zero": np.uint8(50)},
    **{"g": draw(3), "b": draw(3), "mu": np.full(3, 3, np.float32), "var": np.full(3, 6.25, np.float32)},
}


def stated(kind: str, nodes: str) -> dict[str, Span]:
    return stated_spans(
        ir.from_proto(small_model(f"({kind}[N,3,8,8] x) => (float[N,3,8,8] y) {{ {nodes} }}", CONSTANTS))
    )


@pytest.mark.parametrize("case", CASES)
def test_a_graph_that_states_its_values(case: str) -> None:
    kind, nodes, expected = CASES[case]
    span = stated(kind, nodes)["x"]
    assert (span.low, span.high) == pytest.approx((expected.low, expected.high), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("case", SILENT)
def test_a_graph_that_does_not(case: str) -> None:
    assert stated(*SILENT[case]) == {}


def test_it_is_read_before_the_graph_is_cleaned(tmp_path: Path) -> None:
    nodes = "a = Div (x, raw) y = Conv (a, w)"
    model = small_model(f"(float[N,3,8,8] x) => (float[N,4,8,8] y) {{ {nodes} }}", {**CONSTANTS, "w": draw(4, 3, 1, 1)})
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    assert Front.read(tmp_path / "m.onnx").stated == {"x": Span(0, 255)}


def test_bytes_of_an_image_are_data() -> None:
    model = small_model(
        "(uint8[N,8,8,3] x, uint8[N,8] m) => (float[N,8,8,3] y, float[N,8] z) "
        "{ y = Cast <to=1> (x) z = Cast <to=1> (m) }",
        {},
    )
    assert roles(ir.from_proto(model)) == {"x": Role(), "m": Role("mask")}
