"""The layer IR: what the cost models price and the search decides on. Imports neither onnx nor torch.

A :class:`Graph` is an ONNX graph seen by a compiler of bits. Compute nodes are :class:`Layer` s, every node that runs
is an :class:`Operation` of the schedule, and every tensor that carries a quantiser is an :class:`Operand`. One tensor
has one quantiser and therefore one width: layers that read the same tensor, or share the same weights, share the
decision by construction.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

OperandKind = Literal["weight", "activation"]

RECURRENT = frozenset({"LSTM", "GRU", "RNN"})
"""Operators that are two layers: a product with their data and one with their state."""

FULL_BITS = 8
"""The widest quantised width; also the width of the baseline that budget fractions refer to."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One compute layer: a convolution, a matrix product, half of a recurrent node, or a table, with what is fused.

    As a matrix product it is ``groups`` products of ``rows x reduction`` by ``reduction x columns``. An LSTM, GRU or
    RNN is two layers: the product with the data it reads, and the product with its own state, whose rows are the time
    steps and whose groups are the directions. A table read by a Gather has a reduction of 0 and multiplies nothing.

    Attributes:
        name: unique name, from the ONNX node.
        op: ONNX operator: ``Conv``, ``ConvTranspose``, ``Gemm``, ``MatMul``, ``LSTM``, ``GRU``, ``RNN`` or ``Gather``.
        nodes: names of the ONNX nodes it stands for (the compute node first, then bias and activation).
        activation: name of the tensor read as data (the left operand of a MatMul, the indices of a Gather); empty for
            the state of a recurrent node.
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
        dilation: spacing of the kernel's taps, one entry per spatial axis; empty for Gemm and MatMul.
        data_reason: why what a quantised layer reads as data has no quantiser, or an empty string when it has one.
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
    dilation: tuple[int, ...] = ()
    data_reason: str = ""

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
        """Whether the layer is a matrix product, whose rows over a batch share one pass over the weights."""
        return self.op in ("Gemm", "MatMul") or self.op in RECURRENT

    @property
    def is_table(self) -> bool:
        """Whether the layer only looks rows of a table up."""
        return self.op == "Gather"

    @property
    def weight_scales(self) -> int:
        """How many scales the stored weights have, one for each of their output channels."""
        if self.op == "ConvTranspose":
            return self.out_channels // self.groups
        if self.op in RECURRENT:  # the directions share theirs
            return self.columns
        return self.in_channels if self.is_table and self.weight_axis == 0 else self.out_channels

    @property
    def kind(self) -> str:
        """A short word: ``conv``, ``depthwise``, ``grouped``, ``transposed``, ``dense``, ``recurrent``, ``table``."""
        if self.is_table:
            return "table"
        if self.op in RECURRENT:
            return "recurrent"
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
        reason: why it is fixed, or shares its width by the user's word; else empty.
        group: name of the group of operands that share one width, or an empty string when it has its own.
    """

    tensor: str
    kind: OperandKind
    layers: tuple[str, ...]
    values: int
    signed: bool = True
    fixed_bits: int | None = None
    reason: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A node that computes and is no layer, so that it runs in float.

    Attributes:
        node: ONNX node name.
        op: ONNX operator, with its domain unless that is the default one.
        reason: why it is no layer.
    """

    node: str
    op: str
    reason: str


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
        left_out: nodes that compute and are no layers, in graph order.
        unknown_tensors: activation tensors whose shape is only known when the model runs; they are priced at nothing.
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
    left_out: tuple[LeftOut, ...] = ()
    unknown_tensors: frozenset[str] = frozenset()

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

    @cached_property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Tensors of the operands that share one width, by the name of their group, each in the order of operands."""
        found: dict[str, list[str]] = {}
        for operand in self.operands:
            if operand.group:
                found.setdefault(operand.group, []).append(operand.tensor)
        return {name: tuple(tensors) for name, tensors in found.items()}

    def sharing(self, tensor: str) -> tuple[str, ...]:
        """Gives the tensors whose width is that of an operand, itself among them."""
        return self.groups.get(self.operand[tensor].group, (tensor,))

    def leader(self, tensor: str) -> str:
        """Gives the first tensor of a tensor's group, which stands for it in a search; itself when it has none."""
        return self.sharing(tensor)[0] if tensor in self.operand else tensor

    def without(self, reasons: Mapping[str, str]) -> Graph:
        """Gives the graph with some operands that no layer reads left in float, each for a reason.

        Raises:
            ValueError: a layer reads one of them.
        """
        if any(self.operand[tensor].layers for tensor in reasons):
            raise ValueError("only operands that no layer reads can be left out")
        readers = [
            LeftOut(operation.name, operation.op, f"tensor '{tensor}' stays in float: {reason}")
            for tensor, reason in reasons.items()
            for operation in self.operations
            if tensor in operation.reads
        ]
        kept = tuple(operand for operand in self.operands if operand.tensor not in reasons)
        return replace(self, operands=kept, left_out=(*self.left_out, *readers))

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
