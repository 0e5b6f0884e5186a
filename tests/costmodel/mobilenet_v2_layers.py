"""MobileNet-V2 (Sandler et al., CVPR 2018, table 2) at 224 x 224 as 53 layers, without any ONNX file."""

from __future__ import annotations

from haqc.graph import Graph, Layer, Operand, Operation

STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Expansion, output channels, repeats and stride of the first repeat."""


def convolution(
    name: str, source: str, channels: tuple[int, int], *, kernel: int, stride: int, groups: int, size_in: int
) -> Layer:
    """Makes a square "same" convolution that reads ``source`` and writes ``name.out``."""
    channels_in, channels_out = channels
    size_out = -(-size_in // stride)
    reduction = channels_in // groups * kernel * kernel
    return Layer(
        name=name,
        op="Conv",
        nodes=(name,),
        activation=source,
        weight=f"{name}.w",
        output=f"{name}.out",
        in_channels=channels_in,
        out_channels=channels_out,
        kernel=(kernel, kernel),
        stride=(stride, stride),
        groups=groups,
        rows=size_out * size_out,
        reduction=reduction,
        columns=channels_out // groups,
        weight_values=channels_out * reduction,
        bias_values=channels_out,
        feature_size=size_in * size_in,
    )


def dense(name: str, source: str, length: int, outputs: int, *, rows: int = 1, groups: int = 1) -> Layer:
    """Makes a Gemm (a MatMul when it has rows or groups) that reads ``source`` and writes ``name.out``."""
    return Layer(
        name=name,
        op="Gemm" if rows == groups == 1 else "MatMul",
        nodes=(name,),
        activation=source,
        weight=f"{name}.w",
        output=f"{name}.out",
        in_channels=length,
        out_channels=outputs,
        kernel=(),
        stride=(),
        groups=groups,
        rows=rows,
        reduction=length,
        columns=outputs,
        weight_values=groups * length * outputs,
        bias_values=outputs,
        feature_size=length,
    )


def chain(layers: list[Layer], name: str = "chain", input_values: int = 1) -> Graph:
    """Makes a graph of layers that run in the given order; residual sums are left out."""
    operands: dict[str, Operand] = {}
    values = {"x": input_values}
    for layer in layers:
        operands.setdefault(layer.weight, Operand(layer.weight, "weight", (layer.name,), layer.weight_values))
        values[layer.output] = layer.rows * layer.out_channels
    for layer in layers:
        operands[layer.activation] = Operand(layer.activation, "activation", (layer.name,), values[layer.activation])
    operations = tuple(Operation(y.name, y.op, (y.activation,), (y.output,), y.name) for y in layers)
    return Graph(
        name=name,
        layers=tuple(layers),
        operands=tuple(operands.values()),
        operations=operations,
        tensor_values=values,
        inputs=("x",),
        outputs=(layers[-1].output,),
        last_layers=(layers[-1].name,),
    )


def mobilenet_v2_layers() -> list[Layer]:
    """Makes the 53 layers in the order of the published table."""
    layers = [convolution("conv0", "x", (3, 32), kernel=3, stride=2, groups=1, size_in=224)]
    channels, size = 32, 112

    def add(outputs: int, kernel: int, stride: int, groups: int) -> None:
        nonlocal channels, size
        name = f"conv{len(layers)}"
        shape = (channels, outputs)
        layers.append(
            convolution(name, layers[-1].output, shape, kernel=kernel, stride=stride, groups=groups, size_in=size)
        )
        channels, size = outputs, -(-size // stride)

    for expansion, outputs, repeats, first_stride in STAGES:
        for repeat in range(repeats):
            hidden = channels * expansion
            if expansion > 1:
                add(hidden, 1, 1, 1)
            add(hidden, 3, first_stride if repeat == 0 else 1, hidden)
            add(outputs, 1, 1, 1)
    add(1280, 1, 1, 1)
    layers.append(dense("fc", layers[-1].output, 1280, 1000))
    return layers


def mobilenet_v2() -> Graph:
    """Makes the graph of the 53 layers."""
    return chain(mobilenet_v2_layers(), "mobilenet_v2", 3 * 224 * 224)
