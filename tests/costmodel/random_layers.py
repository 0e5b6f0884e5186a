"""Layers of random shapes, each reading a tensor of its own, so that no layer has a neighbour that matters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import strategies as st

from haqc.graph import Graph, Layer, Operand, Operation
from tests.costmodel.mobilenet_v2_layers import convolution, dense

CHANNELS = st.sampled_from([1, 3, 8, 16, 24, 32, 48, 64, 96, 128, 200, 256])
SIZES = st.sampled_from([1, 4, 7, 8, 14, 16, 28, 30, 56])


@st.composite
def convolutions(draw: st.DrawFn) -> Layer:
    """Draws a dense convolution."""
    kernel = draw(st.sampled_from([1, 3, 5]))
    stride = draw(st.sampled_from([1, 2])) if kernel > 1 else 1
    channels = (draw(CHANNELS), draw(CHANNELS))
    return convolution("layer", "t", channels, kernel=kernel, stride=stride, groups=1, size_in=draw(SIZES))


@st.composite
def depthwise(draw: st.DrawFn) -> Layer:
    """Draws a depthwise convolution."""
    channels, stride = draw(CHANNELS.filter(lambda n: n > 1)), draw(st.sampled_from([1, 2]))
    shape, size = (channels, channels), draw(SIZES)
    return convolution("layer", "t", shape, kernel=3, stride=stride, groups=channels, size_in=size)


@st.composite
def products(draw: st.DrawFn) -> Layer:
    """Draws a Gemm or MatMul with weights."""
    return dense("layer", "t", draw(CHANNELS) * 4, draw(CHANNELS) * 4, rows=draw(st.sampled_from([1, 2, 16, 49])))


LAYERS = st.one_of(convolutions(), depthwise(), products())


def graph_of(layers: Sequence[Layer]) -> Graph:
    """Makes a graph in which every layer reads and writes tensors of its own, and none reads an input."""
    named = tuple(
        replace(layer, name=f"layer{k}", nodes=(f"layer{k}",), activation=f"t{k}", weight=f"w{k}", output=f"y{k}")
        for k, layer in enumerate(layers)
    )
    operands = [Operand(y.weight, "weight", (y.name,), y.weight_values) for y in named]
    operands += [Operand(y.activation, "activation", (y.name,), inputs(y)) for y in named]
    steps = [Operation(f"make{k}", "Relu", ("x",), (y.activation,)) for k, y in enumerate(named)]
    steps += [Operation(y.name, y.op, (y.activation,), (y.output,), y.name) for y in named]
    values = {"x": 1, **{y.activation: inputs(y) for y in named}, **{y.output: outputs(y) for y in named}}
    ends = tuple(y.output for y in named)
    return Graph("random", named, tuple(operands), tuple(steps), values, ("x",), ends, tuple(y.name for y in named))


def inputs(layer: Layer) -> int:
    """Counts the elements that a layer reads."""
    return layer.groups * layer.rows * layer.reduction if layer.is_dense else layer.in_channels * layer.feature_size


def outputs(layer: Layer) -> int:
    """Counts the elements that a layer writes."""
    return layer.groups * layer.rows * layer.columns
