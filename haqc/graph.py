"""The layer IR: what the cost models price and the search decides on. Imports neither onnx nor torch.

A :class:`Graph` is an ONNX graph seen by a compiler of bits. Compute nodes are :class:`Layer` s, every node that runs
is an :class:`Operation` of the schedule, and every tensor that carries a quantiser is an :class:`Operand`. One tensor
has one quantiser and therefore one width: layers that read the same tensor, or share the same weights, share the
decision by construction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

OperandKind = Literal["weight", "activation"]

FULL_BITS = 8
"""The widest quantised width; also the width of the baseline that budget fractions refer to."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One compute layer: a convolution of any kind, a Gemm, or a MatMul, with what is fused behind it.

    As a matrix product it is ``groups`` products of ``rows x reduction`` by ``reduction x columns``.

    Attributes:
        name: unique name, from the ONNX node.
        op: ONNX operator: ``Conv``, ``ConvTranspose``, ``Gemm`` or ``MatMul``.
        nodes: names of the ONNX nodes it stands for (the compute node first, then bias and activation).
        activation: name of the operand read as data (the left operand of a MatMul).
        weight: name of the operand read as weights (the right operand of a MatMul).
        output: name of the tensor written at the end of the fused chain.
        in_channels, out_channels: channels of the whole layer, over all groups.
        kernel, stride: spatial extents, one entry per spatial axis; empty for Gemm and MatMul.
        groups: number of groups; equal to ``in_channels`` for a depthwise convolution.
        rows: output positions of one inference (pixels, tokens; 1 for a Gemm); input positions for ConvTranspose.
        reduction: length of the dot products of one group.
        columns: outputs of one group.
        weight_values: number of stored weights; 0 where the right operand is an activation, or where the weights
            were counted at an earlier layer that shares them.
        bias_values: number of stored biases.
        feature_size: product of the input's spatial extents; the input length for Gemm and MatMul.
        bias: name of the initialiser that is its bias and is rounded to the accumulator's grid; empty without one.
        weight_axis: axis of the weights along which every output channel has its own scale.
        float_reason: why the layer stays in float, or an empty string when it is quantised.
    """

    name: str
    op: str
    nodes: tuple[str, ...]
    activation: str
    weight: str
    output: str
    in_channels: int
    out_channels: int
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    groups: int
    rows: int
    reduction: int
    columns: int
    weight_values: int
    bias_values: int
    feature_size: int
    bias: str = ""
    weight_axis: int = 0
    float_reason: str = ""

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return self.groups * self.rows * self.reduction * self.columns

    @property
    def is_depthwise(self) -> bool:
        """Whether every input channel is a group of its own (and there is more than one)."""
        return self.groups > 1 and self.groups == self.in_channels

    @property
    def is_dense(self) -> bool:
        """Whether the layer is a Gemm or MatMul, whose rows over a batch share one pass over the weights."""
        return self.op in ("Gemm", "MatMul")

    @property
    def kind(self) -> str:
        """A short word for reports: ``conv``, ``depthwise``, ``grouped``, ``transposed``, ``dense``."""
        if self.is_dense:
            return "dense"
        if self.is_depthwise:
            return "depthwise"
        if self.op == "ConvTranspose":
            return "transposed"
        return "grouped" if self.groups > 1 else "conv"


@dataclass(frozen=True, slots=True)
class Operand:
    """A tensor with a quantiser: one width for all that read it.

    Attributes:
        tensor: ONNX name of the tensor; for activations the one that is quantised (before any reshape of it).
        kind: ``weight`` or ``activation``.
        layers: names of the layers that read it as an operand; empty when only Add, Concat or pooling read it.
        values: number of elements (of one inference for activations).
        signed: whether the values may be negative (False behind ReLU).
        fixed_bits: the width when it is not searched, else ``None``.
        reason: why it is fixed; empty when it is searched.
    """

    tensor: str
    kind: OperandKind
    layers: tuple[str, ...]
    values: int
    signed: bool = True
    fixed_bits: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """One step of the schedule, for liveness and for what no cost model prices.

    Attributes:
        name: ONNX node name (of the compute node for a layer).
        op: ONNX operator.
        reads, writes: names of the activation tensors it really reads and writes; reshapes are seen through.
        layer: name of the layer it executes, or ``None``.
    """

    name: str
    op: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    layer: str | None = None


@dataclass(frozen=True)
class Graph:
    """A model as layers, operands and a schedule.

    Attributes:
        name: the model's name (file stem).
        layers: compute layers in graph order.
        operands: every quantised tensor, in the order in which layers first read them (weight before activation).
        operations: the schedule, in graph order.
        tensor_values: elements of every activation tensor that is really stored, for one inference.
        inputs, outputs: names of the graph's inputs and outputs.
        last_layers: names of the layers after which no other layer runs on the way to some output.
        batch: the model's own batch size when it is static, else 1; counts are of one inference either way.
        opset: the opset of the model as it was given.
    """

    name: str
    layers: tuple[Layer, ...]
    operands: tuple[Operand, ...]
    operations: tuple[Operation, ...]
    tensor_values: dict[str, int]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    last_layers: tuple[str, ...] = ()
    batch: int = 1
    opset: int = 0

    def __post_init__(self) -> None:
        names = [layer.name for layer in self.layers]
        if len(set(names)) != len(names):
            raise ValueError("layer names must be unique")
        if len(self.operand) != len(self.operands):
            raise ValueError("operand tensors must be unique")

    @cached_property
    def layer(self) -> dict[str, Layer]:
        """Layers by name."""
        return {layer.name: layer for layer in self.layers}

    @cached_property
    def operand(self) -> dict[str, Operand]:
        """Operands by tensor name."""
        return {operand.tensor: operand for operand in self.operands}

    @cached_property
    def quantised_layers(self) -> tuple[Layer, ...]:
        """Layers that are quantised, in graph order."""
        return tuple(layer for layer in self.layers if not layer.float_reason)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(layer.macs for layer in self.layers)

    @property
    def weight_values(self) -> int:
        """Stored weights of all layers."""
        return sum(layer.weight_values for layer in self.layers)


def element_count(shape: tuple[int, ...]) -> int:
    """Gives the number of elements of a shape; 1 for a scalar."""
    return math.prod(shape)
