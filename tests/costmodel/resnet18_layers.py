"""ResNet-18 (He et al., CVPR 2016, as in torchvision) at 224 x 224 as 21 layers, without any ONNX file."""

from __future__ import annotations

from haqc.graph import Graph, Layer
from tests.costmodel.mobilenet_v2_layers import chain, convolution, dense

STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))
"""Channels of the two blocks of a stage, and the stride of the first one."""


def resnet18_layers() -> list[Layer]:
    """Makes the layers; a block's shortcut stands before the block's second convolution."""
    layers = [convolution("conv0", "x", (3, 64), kernel=7, stride=2, groups=1, size_in=224)]
    channels, size = 64, 56

    def add(source: Layer, outputs: int, kernel: int, stride: int) -> None:
        shape = (source.out_channels, outputs)
        name = f"conv{len(layers)}"
        layers.append(convolution(name, source.output, shape, kernel=kernel, stride=stride, groups=1, size_in=size))

    for outputs, first_stride in STAGES:
        for stride in (first_stride, 1):
            source = layers[-1]
            add(source, outputs, 3, stride)
            if stride > 1:
                main = layers[-1]
                add(source, outputs, 1, stride)
                size //= stride
                add(main, outputs, 3, 1)
            else:
                add(layers[-1], outputs, 3, 1)
            channels = outputs
    layers.append(dense("fc", layers[-1].output, channels, 1000))
    return layers


def resnet18() -> Graph:
    """Makes the graph of the 21 layers."""
    return chain(resnet18_layers(), "resnet18", 3 * 224 * 224)
