"""Small seeded networks, one for each form of layer and join, and their way to an emitted file."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from haqc.calibration import Calibration
from haqc.codes import NetworkCodes
from haqc.formats import FormatName
from haqc.graph import Graph
from haqc.mirror import from_onnx
from haqc.mirror.quantised import QuantisedMirror
from haqc.passes.bind import bind
from haqc.passes.calibrate import calibrate, calibrate_codebooks
from haqc.passes.clean import clean
from haqc.passes.emit import Emission, at_opset, emit, emit_codebooks, emit_qcdq
from haqc.passes.parse import parse
from haqc.policy import Policy, Space
from haqc.precision import Precision
from haqc.weightonly import weight_only

WIDTHS = tuple(range(1, 9))
ANNOTATIONS: Mapping[str, Any] = {"haqc": "0", "policy": {"seed": 1}, "note": "30 µJ"}


class Builder:
    """Collects the nodes and seeded weights of one small model."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(20181121)
        self._nodes: list[NodeProto] = []
        self._weights: list[TensorProto] = []

    def weight(self, name: str, *shape: int) -> str:
        scale = max(1, int(np.prod(shape[1:]))) ** -0.5
        return self.constant(name, self._random.standard_normal(shape) * scale)

    def constant(self, name: str, value: Any, dtype: Any = np.float32) -> str:
        self._weights.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def node(self, op: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        self._nodes.append(helper.make_node(op, list(inputs), [output], name=f"{output}.node", **attributes))
        return output

    def conv(self, x: str, output: str, cin: int, cout: int, kernel: int = 3, groups: int = 1) -> str:
        weight = self.weight(f"{output}.w", cout, cin // groups, kernel, kernel)
        bias = self.weight(f"{output}.b", cout)
        return self.node("Conv", [x, weight, bias], output, group=groups, pads=[kernel // 2] * 4)

    def relu(self, x: str, output: str) -> str:
        return self.node("Relu", [x], output)

    def relu6(self, x: str, output: str) -> str:
        bounds = [self.constant(f"{output}.low", 0.0), self.constant(f"{output}.high", 6.0)]
        return self.node("Clip", [x, *bounds], output)

    def model(
        self, inputs: Mapping[str, Sequence[int]], outputs: Mapping[str, Sequence[int]], opset: int = 21
    ) -> ModelProto:
        """Finishes the model; shapes are those of one sample."""
        values = [
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape]) for name, shape in group.items()]
            for group in (inputs, outputs)
        ]
        graph = helper.make_graph(self._nodes, "small", *values, self._weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def conv_relu(opset: int = 21) -> ModelProto:
    b = Builder()
    x = b.relu(b.conv("x", "c1", 3, 8), "r1")
    x = b.relu(b.conv(x, "c2", 8, 6), "r2")
    b.conv(x, "y", 6, 4, kernel=1)
    return b.model({"x": (3, 8, 8)}, {"y": (4, 8, 8)}, opset)


def conv_relu6() -> ModelProto:
    b = Builder()
    x = b.relu6(b.conv("x", "c1", 3, 8), "r1")
    x = b.relu6(b.conv(x, "c2", 8, 6), "r2")
    b.conv(x, "y", 6, 4, kernel=1)
    return b.model({"x": (3, 8, 8)}, {"y": (4, 8, 8)})


def depthwise() -> ModelProto:
    b = Builder()
    x = b.relu(b.conv("x", "c1", 3, 8, kernel=1), "r1")
    x = b.relu6(b.conv(x, "c2", 8, 8, groups=8), "r2")
    b.conv(x, "y", 8, 4, kernel=1)
    return b.model({"x": (3, 8, 8)}, {"y": (4, 8, 8)})


def grouped() -> ModelProto:
    b = Builder()
    x = b.relu(b.conv("x", "c1", 4, 8, groups=2), "r1")
    x = b.conv(x, "c2", 8, 12, groups=4)
    b.conv(x, "y", 12, 4, kernel=1)
    return b.model({"x": (4, 8, 8)}, {"y": (4, 8, 8)})


def conv_1d() -> ModelProto:
    b = Builder()
    x = b.node("Conv", ["x", b.weight("w1", 8, 3, 5), b.weight("b1", 8)], "c1", pads=[2, 2], strides=[2])
    x = b.relu(x, "r1")
    b.node("Conv", [x, b.weight("w2", 4, 8, 3)], "y", dilations=[2])
    return b.model({"x": (3, 32)}, {"y": (4, 12)})


def transposed(groups: int = 1) -> ModelProto:
    b = Builder()
    x = b.relu(b.conv("x", "c1", 3, 8), "r1")
    weight, bias = b.weight("w2", 8, 6 // groups, 3, 3), b.weight("b2", 6)
    x = b.node("ConvTranspose", [x, weight, bias], "t1", strides=[2, 2], group=groups, pads=[1, 1, 1, 1])
    b.conv(b.relu(x, "r2"), "y", 6, 4, kernel=1)
    return b.model({"x": (3, 6, 6)}, {"y": (4, 11, 11)})


def gemm() -> ModelProto:
    b = Builder()
    x = b.node("Gemm", ["x", b.weight("w1", 24, 16), b.weight("b1", 24)], "g1", transB=1)
    x = b.node("Gemm", [b.relu(x, "r1"), b.weight("w2", 24, 20), b.weight("b2", 20)], "g2", transB=0)
    b.node("Gemm", [b.relu(x, "r2"), b.weight("w3", 10, 20)], "y", transB=1)
    return b.model({"x": (16,)}, {"y": (10,)})


def scaled_gemm() -> ModelProto:
    b = Builder()
    x = b.node("Gemm", ["x", b.weight("w1", 24, 16), b.weight("b1", 24)], "g1", transB=1, alpha=0.7, beta=1.5)
    x = b.node("Gemm", [b.relu(x, "r1"), b.weight("w2", 24, 20), b.weight("b2", 1, 20)], "g2", beta=0.5)
    b.node("Gemm", [b.relu(x, "r2"), b.weight("w3", 10, 20), b.constant("b3", 0.1)], "y", transB=1)
    return b.model({"x": (16,)}, {"y": (10,)})


def tokens() -> ModelProto:
    """MatMul, bias and ReLU on [batch, tokens, features]."""
    b = Builder()
    x = b.node("Add", [b.node("MatMul", ["x", b.weight("w1", 8, 16)], "m1"), b.weight("b1", 16)], "a1")
    x = b.node("Add", [b.weight("b2", 12), b.node("MatMul", [b.relu(x, "r1"), b.weight("w2", 16, 12)], "m2")], "a2")
    b.node("MatMul", [x, b.weight("w3", 12, 4)], "y")
    return b.model({"x": (5, 8)}, {"y": (5, 4)})


def attention() -> ModelProto:
    """Two MatMuls of two activations each."""
    b = Builder()
    names = [
        b.node("Add", [b.node("MatMul", ["x", b.weight(f"{n}.w", 8, 8)], f"{n}.m"), b.weight(f"{n}.b", 8)], n)
        for n in "qkv"
    ]
    key = b.node("Transpose", [names[1]], "kt", perm=[0, 2, 1])
    scores = b.node("Mul", [b.node("MatMul", [names[0], key], "qk"), b.constant("s", 8**-0.5)], "scores")
    mixed = b.node("MatMul", [b.node("Softmax", [scores], "p", axis=-1), names[2]], "mixed")
    b.node("MatMul", [mixed, b.weight("out.w", 8, 4)], "y")
    return b.model({"x": (6, 8)}, {"y": (6, 4)})


def residual() -> ModelProto:
    b = Builder()
    x = b.relu(b.conv("x", "c1", 3, 8), "r1")
    for name in ("a", "b"):
        inner = b.relu(b.conv(x, f"{name}1", 8, 8), f"{name}1r")
        x = b.relu(b.node("Add", [x, b.conv(inner, f"{name}2", 8, 8)], f"{name}.sum"), f"{name}r")
    pooled = b.node("Flatten", [b.node("GlobalAveragePool", [x], "gap")], "flat")
    b.node("Gemm", [pooled, b.weight("fc.w", 10, 8), b.weight("fc.b", 10)], "y", transB=1)
    return b.model({"x": (3, 8, 8)}, {"y": (10,)})


def concatenation() -> ModelProto:
    b = Builder()
    x = b.relu(b.conv("x", "c1", 3, 6), "r1")
    left, right = b.conv(x, "c2", 6, 4, kernel=1), b.relu(b.conv(x, "c3", 6, 4), "r3")
    x = b.node("Concat", [left, right, x], "cat", axis=1)
    b.conv(x, "y", 14, 4, kernel=1)
    return b.model({"x": (3, 8, 8)}, {"y": (4, 8, 8)})


def pooling() -> ModelProto:
    b = Builder()
    x = b.relu(b.conv("x", "c1", 3, 8), "r1")
    x = b.node("MaxPool", [x], "mp", kernel_shape=[2, 2], strides=[2, 2])
    x = b.conv(x, "c2", 8, 8)
    x = b.node("AveragePool", [x], "ap", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    x = b.node("GlobalAveragePool", [b.relu(b.conv(x, "c3", 8, 12), "r3")], "gap")
    b.conv(x, "y", 12, 4, kernel=1)
    return b.model({"x": (3, 16, 16)}, {"y": (4, 1, 1)})


def shared_weights() -> ModelProto:
    b = Builder()
    weight = b.weight("shared", 8, 8, 3, 3)
    x = b.relu(b.conv("x", "c1", 3, 8), "r1")
    x = b.relu(b.node("Conv", [x, weight, b.weight("b2", 8)], "c2", pads=[1] * 4), "r2")
    x = b.relu(b.node("Conv", [x, weight, b.weight("b3", 8)], "c3", pads=[1] * 4), "r3")
    b.conv(x, "y", 8, 4, kernel=1)
    return b.model({"x": (3, 8, 8)}, {"y": (4, 8, 8)})


def shared_bias() -> ModelProto:
    """Two layers with one bias: each gets a grid of its own."""
    b = Builder()
    bias = b.weight("b", 8)
    x = b.relu(b.node("Conv", ["x", b.weight("w1", 8, 3, 1, 1), bias], "c1"), "r1")
    b.node("Conv", [x, b.weight("w2", 8, 8, 1, 1), bias], "y")
    return b.model({"x": (3, 8, 8)}, {"y": (8, 8, 8)})


def read_output() -> ModelProto:
    """An output that a layer also reads."""
    b = Builder()
    b.relu(b.conv("x", "c1", 3, 8), "features")
    b.conv("features", "y", 8, 4)
    return b.model({"x": (3, 8, 8)}, {"features": (8, 8, 8), "y": (4, 8, 8)})


def shared_input() -> ModelProto:
    """An input that two layers read."""
    b = Builder()
    x = b.node("Add", [b.conv("x", "c1", 3, 4), b.relu(b.conv("x", "c2", 3, 4, kernel=1), "r2")], "sum")
    b.conv(x, "y", 4, 4)
    return b.model({"x": (3, 8, 8)}, {"y": (4, 8, 8)})


def two_inputs() -> ModelProto:
    b = Builder()
    x = b.node("Concat", [b.conv("x", "c1", 3, 4), b.relu(b.conv("z", "c2", 2, 4), "r2")], "cat", axis=1)
    b.conv(x, "y", 8, 4)
    return b.model({"x": (3, 6, 6), "z": (2, 6, 6)}, {"y": (4, 6, 6)})


def preactivation() -> ModelProto:
    """Residual blocks that rectify first: the sum is read by an Add and by a Relu whose result is quantised again."""
    b = Builder()
    x = b.conv("x", "c1", 3, 8)
    for name in "ab":
        inner = b.relu(b.conv(b.relu(x, f"{name}0r"), f"{name}1", 8, 8), f"{name}1r")
        x = b.node("Add", [x, b.conv(inner, f"{name}2", 8, 8)], f"{name}.sum")
    b.conv(b.relu(x, "last"), "y", 8, 4, kernel=1)
    return b.model({"x": (3, 8, 8)}, {"y": (4, 8, 8)})


def other_activations() -> ModelProto:
    b = Builder()
    x = b.node("LeakyRelu", [b.conv("x", "c1", 3, 8)], "l1", alpha=0.1)
    x = b.node("HardSwish", [b.conv(x, "c2", 8, 8)], "h2")
    x = b.node("Sigmoid", [b.conv(x, "c3", 8, 8)], "s3")
    x = b.node("Tanh", [b.conv(x, "c4", 8, 8)], "t4")
    b.conv(x, "y", 8, 4, kernel=1)
    return b.model({"x": (3, 8, 8)}, {"y": (4, 8, 8)})


def squeeze_excite() -> ModelProto:
    b = Builder()
    x = b.relu(b.conv("x", "c1", 3, 8), "r1")
    s = b.node("GlobalAveragePool", [x], "gap")
    s = b.node("Sigmoid", [b.conv(b.relu(b.conv(s, "e1", 8, 4, kernel=1), "er"), "e2", 4, 8, kernel=1)], "gate")
    b.conv(b.node("Mul", [x, s], "scaled"), "y", 8, 4, kernel=1)
    return b.model({"x": (3, 8, 8)}, {"y": (4, 8, 8)})


def quantised_on_both_sides() -> ModelProto:
    """Element-wise operators between two quantised tensors, which runtimes fuse to integer kernels of their own."""
    b = Builder()
    x = b.conv("x", "c1", 3, 8)
    parts = [x, b.node("Sigmoid", [x], "s"), b.node("LeakyRelu", [x], "l", alpha=0.2), b.node("Tanh", [x], "t")]
    parts.append(b.node("Mul", [x, b.conv("x", "c2", 3, 8)], "m"))
    parts.append(b.node("Softmax", [x], "sm", axis=1))
    joined = b.node("Concat", parts, "cat", axis=1)
    b.conv(joined, "y", 48, 4, kernel=1)
    return b.model({"x": (3, 8, 8)}, {"y": (4, 8, 8)})


def batched_weights() -> ModelProto:
    """A MatMul whose weights have a batch axis of their own."""
    b = Builder()
    x = b.node("MatMul", ["x", b.weight("w1", 2, 8, 6)], "m1")
    b.node("MatMul", [b.relu(x, "r1"), b.weight("w2", 2, 6, 4)], "y")
    return b.model({"x": (2, 5, 8)}, {"y": (2, 5, 4)})


def tokens_first() -> ModelProto:
    """Layers on [tokens, batch, features], as recurrent networks and some transformers have it."""
    b = Builder()
    x = b.node("Transpose", ["x"], "xt", perm=[1, 0, 2])
    x = b.relu(b.node("Add", [b.node("MatMul", [x, b.weight("w1", 8, 16)], "m1"), b.weight("b1", 16)], "a1"), "r1")
    x = b.node("MatMul", [x, b.weight("w2", 16, 4)], "m2")
    b.node("Transpose", [x], "y", perm=[1, 0, 2])
    return b.model({"x": (5, 8)}, {"y": (5, 4)})


def float_layers() -> ModelProto:
    """Two layers that share their weights along different axes stay in float, between tensors that are quantised."""
    b = Builder()
    both = b.weight("both", 16, 16)
    x = b.relu(b.node("Gemm", ["x", b.weight("w0", 16, 16), b.weight("b0", 16)], "g0", transB=1), "r0")
    left = b.node("Gemm", [x, both, b.weight("b1", 16)], "g1", transB=1)
    right = b.node("Gemm", [x, b.weight("w2", 16, 16), b.weight("b2", 16)], "g2", transB=1)
    x = b.node("Add", [left, right], "sum")
    left = b.node("Gemm", [x, both, b.weight("b3", 16)], "g3", transB=0)
    right = b.node("Gemm", [x, b.weight("w4", 16, 16), b.weight("b4", 16)], "g4", transB=1)
    x = b.node("Concat", [left, right], "cat", axis=1)
    b.node("Gemm", [x, b.weight("w5", 8, 32), b.weight("b5", 8)], "y", transB=1)
    return b.model({"x": (16,)}, {"y": (8,)})


def _indices(b: Builder) -> str:
    """Whole numbers from 0 to 10, for tables of 11 rows."""
    x = b.node("Mul", [b.node("Abs", ["x"], "magnitude"), b.constant("three", 3.0)], "larger")
    return b.node("Cast", [b.node("Min", [x, b.constant("last", 10.0)], "bounded")], "ids", to=TensorProto.INT64)


def table() -> ModelProto:
    """A table whose rows are read, one of them as a result, and a layer that reads them."""
    b = Builder()
    rows = b.node("Gather", [b.weight("t", 11, 6), _indices(b)], "rows")
    x = b.relu(b.node("MatMul", [rows, b.weight("w1", 6, 8)], "p1"), "r1")
    b.node("MatMul", [x, b.weight("w2", 8, 4)], "y")
    return b.model({"x": (5,)}, {"y": (5, 4), "rows": (5, 6)})


def tied_table() -> ModelProto:
    """A table that a Gemm reads as well, so that both have one width and the rows scales of their own."""
    b = Builder()
    rows = b.node("Gather", [b.weight("t", 11, 6), b.node("Squeeze", [_indices(b), b.constant("one", [1], int)], "i")],
                  "rows")  # fmt: skip
    x = b.relu(b.node("Gemm", [rows, b.weight("w1", 6, 6)], "p1"), "r1")
    b.node("Gemm", [x, "t"], "y", transB=1)
    return b.model({"x": (1,)}, {"y": (11,)})


def tied_through_transpose() -> ModelProto:
    """A table that a MatMul reads transposed, as a language model's last layer."""
    b = Builder()
    rows = b.node("Gather", [b.weight("t", 11, 6), _indices(b)], "rows")
    x = b.relu(b.node("MatMul", [rows, b.weight("w1", 6, 6)], "p1"), "r1")
    b.node("MatMul", [x, b.node("Transpose", ["t"], "turned", perm=[1, 0])], "y")
    return b.model({"x": (5,)}, {"y": (5, 11)})


def recurrent() -> ModelProto:
    """An LSTM in both directions, then a GRU and an RNN that read what it wrote."""
    b = Builder()
    x = b.node("Transpose", ["x"], "steps", perm=[1, 0, 2])
    x = b.node("LSTM", [x, b.weight("lw", 2, 16, 3), b.weight("lr", 2, 16, 4), b.weight("lb", 2, 32)], "h1",
               hidden_size=4, direction="bidirectional")  # fmt: skip
    x = b.node("Reshape", [b.node("Transpose", [x], "h2", perm=[0, 2, 1, 3]), b.constant("s", [0, -1, 8], int)], "h3")
    last = []
    for op, gates in (("GRU", 3), ("RNN", 1)):
        weights = [b.weight(f"{op}.w", 1, gates * 5, 8), b.weight(f"{op}.r", 1, gates * 5, 5)]
        last.append(b.node(op, [x, *weights, b.weight(f"{op}.b", 1, gates * 10)], f"{op}.h", hidden_size=5))
    both = b.node("Transpose", [b.node("Concat", last, "both", axis=3)], "turned", perm=[2, 0, 1, 3])
    flat = b.node("Reshape", [both, b.constant("s2", [0, 0, 10], int)], "flat")
    b.node("MatMul", [flat, b.weight("w", 10, 2)], "y")
    return b.model({"x": (4, 3)}, {"y": (4, 2)})


def grouped_attention() -> ModelProto:
    """Attention of four heads that share two pairs of keys and values, behind a causal mask, and a shortcut."""
    b = Builder()
    heads = {name: b.constant(f"{name}.s", [0, 5, count, 4], int) for name, count in (("q", 4), ("k", 2), ("v", 2))}
    parts = {}
    for name, shape in heads.items():
        x = b.node("MatMul", ["x", b.weight(f"{name}.w", 16, 4 * (4 if name == "q" else 2))], name)
        parts[name] = b.node("Transpose", [b.node("Reshape", [x, shape], f"{name}.h")], f"{name}.t", perm=[0, 2, 1, 3])
    axis, whole = b.constant("two", [2], int), b.constant("whole", [0, 4, 5, 4], int)
    for name in ("k", "v"):
        wide = b.node("Expand", [b.node("Unsqueeze", [parts[name], axis], f"{name}.u"),
                                 b.constant(f"{name}.e", [1, 2, 2, 5, 4], int)], f"{name}.x")  # fmt: skip
        parts[name] = b.node("Reshape", [wide, whole], f"{name}.r")
    scores = b.node("MatMul", [parts["q"], b.node("Transpose", [parts["k"]], "turned", perm=[0, 1, 3, 2])], "scores")
    mask = b.constant("mask", np.where(np.tri(5), 0.0, -np.inf))
    weights = b.node("Softmax", [b.node("Add", [b.node("Div", [scores, b.constant("c", 2.0)], "d"), mask], "m")], "p")
    mixed = b.node("Transpose", [b.node("MatMul", [weights, parts["v"]], "o")], "ot", perm=[0, 2, 1, 3])
    flat = b.node("Reshape", [mixed, b.constant("flat", [0, 5, 16], int)], "of")
    b.node("Add", [b.node("MatMul", [flat, b.weight("ow", 16, 16)], "z"), "x"], "y")
    return b.model({"x": (5, 16)}, {"y": (5, 16)})


def _normed(b: Builder, x: str, output: str) -> str:
    scale = b.constant(f"{output}.g", 1 + 0.1 * np.cos(np.arange(16)))
    return b.node("LayerNormalization", [x, scale, b.weight(f"{output}.o", 16)], output, axis=-1)


def _dense(b: Builder, x: str, output: str, cin: int, cout: int) -> str:
    product = b.node("MatMul", [x, b.weight(f"{output}.w", cin, cout)], f"{output}.m")
    return b.node("Add", [product, b.weight(f"{output}.b", cout)], output)


def _attended(b: Builder, x: str, output: str, tokens: int, mask: str = "") -> str:
    """Attention of two heads of eight features, behind a mask if there is one."""
    shape = b.constant(f"{output}.s", [0, tokens, 2, 8], int)
    parts = {}
    for name, order in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
        split = b.node("Reshape", [_dense(b, x, f"{output}.{name}", 16, 16), shape], f"{output}.{name}h")
        parts[name] = b.node("Transpose", [split], f"{output}.{name}t", perm=order)
    scores = b.node("MatMul", [parts["q"], parts["k"]], f"{output}.qk")
    scores = b.node("Div", [scores, b.constant(f"{output}.root", 8**0.5)], f"{output}.scores")
    scores = b.node("Add", [scores, mask], f"{output}.masked") if mask else scores
    mixed = b.node("MatMul", [b.node("Softmax", [scores], f"{output}.p", axis=-1), parts["v"]], f"{output}.mixed")
    turned = b.node("Transpose", [mixed], f"{output}.turned", perm=[0, 2, 1, 3])
    flat = b.node("Reshape", [turned, b.constant(f"{output}.flat", [0, tokens, 16], int)], f"{output}.joined")
    return _dense(b, flat, output, 16, 16)


def encoder() -> ModelProto:
    """A sentence encoder: tables of words and positions, post-normalised attention behind a mask, and a mean."""
    b = Builder()
    ids = _indices(b)
    here = b.constant("here", [[0, 1, 2, 3, 4]], int)
    words, places = b.node("Gather", [b.weight("t", 11, 16), ids], "words"), b.weight("places", 5, 16)
    x = _normed(b, b.node("Add", [words, b.node("Gather", [places, here], "place")], "embedded"), "n0")
    blank = b.node("Equal", [ids, b.constant("nothing", 0, int)], "blank")
    mask = b.node(
        "Mul", [b.node("Cast", [blank], "hidden", to=TensorProto.FLOAT), b.constant("far", -3.0e38)], "far_off"
    )
    mask = b.node("Unsqueeze", [mask, b.constant("heads", [1, 2], int)], "mask")
    x = _normed(b, b.node("Add", [_attended(b, x, "attended", 5, mask), x], "sum1"), "n1")
    inner = b.node("Gelu", [_dense(b, x, "wide", 16, 24)], "gelu")
    x = _normed(b, b.node("Add", [_dense(b, inner, "narrow", 24, 16), x], "sum2"), "n2")
    b.node("ReduceMean", [x, b.constant("along", [1], int)], "y", keepdims=0)
    return b.model({"x": (5,)}, {"y": (16,)})


def vision_transformer() -> ModelProto:
    """Patches, a class token and positions, a pre-normalised block, and a head that reads the class token."""
    b = Builder()
    x = b.node("Conv", ["x", b.weight("patch.w", 16, 3, 4, 4), b.weight("patch.b", 16)], "patches", strides=[4, 4])
    flat = b.node("Reshape", [x, b.constant("flat", [0, 16, 4], int)], "flat_patches")
    some = b.node("ReduceMean", [flat, b.constant("along", [1, 2], int)], "some")
    none = b.node("Mul", [some, b.constant("zero", 0.0)], "none")
    rows = [
        b.node("Add", [none, b.weight("token", 1, 1, 16)], "class"),
        b.node("Transpose", [flat], "r", perm=[0, 2, 1]),
    ]
    x = b.node("Add", [b.node("Concat", rows, "all", axis=1), b.weight("places", 1, 5, 16)], "placed")
    x = b.node("Add", [x, _attended(b, _normed(b, x, "n1"), "attended", 5)], "sum1")
    wide = _dense(b, _normed(b, x, "n2"), "wide", 16, 24)
    erf = b.node("Erf", [b.node("Div", [wide, b.constant("root", 2**0.5)], "scaled")], "erf")
    gelu = b.node("Mul", [wide, b.node("Add", [erf, b.constant("one", 1.0)], "shifted")], "twice")
    narrow = _dense(b, b.node("Mul", [gelu, b.constant("half", 0.5)], "gelu"), "narrow", 24, 16)
    x = _normed(b, b.node("Add", [x, narrow], "sum2"), "n3")
    seen = b.node("Gather", [x, b.constant("first", 0, int)], "seen", axis=1)
    b.node("Gemm", [seen, b.weight("head.w", 4, 16), b.weight("head.b", 4)], "y", transB=1)
    return b.model({"x": (3, 8, 8)}, {"y": (4,)})


def volume() -> ModelProto:
    """Convolutions over three spatial axes: depthwise and dilated, transposed, pointwise."""
    b = Builder()
    x = b.node("Conv", ["x", b.weight("w1", 6, 1, 3, 3, 3), b.weight("b1", 6)], "c1", group=3, dilations=[1, 2, 1],
               pads=[1] * 6)  # fmt: skip
    x = b.node("ConvTranspose", [b.relu(x, "r1"), b.weight("w2", 6, 2, 2, 2, 2)], "t", strides=[2, 2, 2])
    b.node("Conv", [x, b.weight("w3", 2, 2, 1, 1, 1)], "y")
    return b.model({"x": (3, 4, 5, 4)}, {"y": (2, 8, 6, 8)})


def concatenation_read_twice() -> ModelProto:
    """A Concat whose inputs and result layers read as well, so that all three have one width."""
    b = Builder()
    one = b.relu(b.conv("x", "c1", 3, 4), "r1")
    two = b.relu(b.conv(one, "c2", 4, 4), "r2")
    joined = b.node("Concat", [one, two], "j", axis=1)
    b.node("Add", [b.conv(joined, "c3", 8, 4), b.conv(two, "c4", 4, 4)], "y")
    return b.model({"x": (3, 6, 6)}, {"y": (4, 6, 6)})


GRAPHS: Mapping[str, Callable[[], ModelProto]] = {
    builder.__name__: builder
    for builder in (
        conv_relu, conv_relu6, depthwise, grouped, conv_1d, transposed, gemm, scaled_gemm, tokens, attention, residual,
        concatenation, pooling, shared_weights, shared_bias, read_output, shared_input, two_inputs, preactivation,
        other_activations, squeeze_excite, quantised_on_both_sides, batched_weights, tokens_first, float_layers, table,
        tied_table, tied_through_transpose, recurrent, concatenation_read_twice,
        grouped_attention, volume, encoder, vision_transformer,
    )
} | {"grouped_transposed": lambda: transposed(2)}  # fmt: skip

QUICK = (
    "attention", "concatenation", "conv_relu", "depthwise", "encoder", "float_layers", "grouped_transposed",
    "recurrent", "residual", "shared_weights", "tied_through_transpose",
)  # fmt: skip
"""One of each kind of layer, of join and of sharing."""

EVERY_GRAPH = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in sorted(GRAPHS)]
"""Names of all, for tests; those that show what a quick one shows as well are slow."""


@dataclass(frozen=True)
class Prepared:
    """A small model, ready to be quantised at any policy."""

    model: ir.Model
    graph: Graph
    space: Space
    calibration: Calibration

    @classmethod
    def of(cls, proto: ModelProto, scale: float = 1.0) -> Prepared:
        return _prepared(proto.SerializeToString(deterministic=True), scale)._with_own_model()

    @classmethod
    def of_codebooks(cls, proto: ModelProto) -> Prepared:
        """Prepares weights for codebooks; activations stay float."""
        return _prepared_codebooks(proto.SerializeToString(deterministic=True))._with_own_model()

    def _with_own_model(self) -> Prepared:
        """Gives a copy whose model may be changed: what was prepared is kept, and many tests ask for the same."""
        return replace(self, model=self.model.clone())

    def random_policy(self, seed: int) -> Policy:
        random = np.random.default_rng(seed)
        return self.space.policy({c.operand.tensor: int(random.choice(c.widths)) for c in self.space.free})

    def quantise(self, policy: Policy) -> Quantised:
        return Quantised(self, policy, QuantisedMirror(from_onnx(self.model), policy, self.calibration))


@functools.cache
def _prepared(content: bytes, scale: float) -> Prepared:
    model = clean(ir.from_proto(ModelProto.FromString(content)))
    graph = parse(bind(model), "small")
    space = Space.of(graph, Precision(WIDTHS, WIDTHS), min_bits=1, default_pins=False)
    data = samples(model, 32, seed=1, scale=scale)
    return Prepared(model, graph, space, calibrate(from_onnx(model), space, [data]))


@functools.cache
def _prepared_codebooks(content: bytes) -> Prepared:
    model = clean(ir.from_proto(ModelProto.FromString(content)))
    graph = weight_only(parse(bind(model), "small"))
    space = Space.of(graph, Precision(WIDTHS, (8,)), min_bits=1, default_pins=False)
    return Prepared(model, graph, space, calibrate_codebooks(from_onnx(model), space))


@dataclass(frozen=True)
class Quantised:
    """A small model at a policy."""

    prepared: Prepared
    policy: Policy
    network: QuantisedMirror

    @cached_property
    def codes(self) -> NetworkCodes:
        return self.network.codes()

    def emit(self) -> ir.Model:
        emitter = emit_codebooks if self.codes.codebooks else emit_qcdq
        return emitter(self.prepared.model, self.policy, self.codes, ANNOTATIONS)

    def emit_as(self, name: FormatName, opset: int = 21) -> Emission:
        return emit(name, at_opset(self.prepared.model, opset), self.policy, self.codes, ANNOTATIONS)

    def inputs(self, count: int = 32, seed: int = 2) -> tuple[np.ndarray, ...]:
        return samples(self.prepared.model, count, seed)


def samples(model: ir.Model, count: int, seed: int, scale: float = 1.0) -> tuple[np.ndarray, ...]:
    """Draws standard normal inputs."""
    random = np.random.default_rng(seed)
    shapes = [[count, *[int(str(extent)) for extent in list(value.shape or [])[1:]]] for value in model.graph.inputs]
    return tuple((random.standard_normal(shape) * scale).astype(np.float32) for shape in shapes)
