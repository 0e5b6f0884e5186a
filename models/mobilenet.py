"""MobileNet-V1 and MobileNet-V2, as HAQ's tables have them, with seeded random weights."""

from __future__ import annotations

from onnx import ModelProto

from haqc.errors import ModelError
from models.network import Feature, Network

V1_BLOCKS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1), (512, 1), (512, 1), (512, 1),
    (1024, 2), (1024, 1),
)  # fmt: skip
"""Output channels and stride of each depthwise-separable block (Howard et al. 2017, table 1)."""

V2_STAGES = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip
"""Expansion, output channels, repeats and first stride of each stage (Sandler et al. 2018, table 2)."""


def mobilenet_v1(seed: int = 0, classes: int = 1000, width: float = 1.0, resolution: int = 224) -> ModelProto:
    """Builds MobileNet-V1 (Howard et al. 2017, arXiv 1704.04861), with ReLU as in the paper.

    Args:
        seed: of the weights.
        classes: number of logits.
        width: multiplier of all channel counts.
        resolution: height and width of the input in pixels.

    Returns:
        ``image`` [batch, 3, resolution, resolution] to ``logits`` [batch, classes]; 28 layers.

    Raises:
        ModelError: a size is not above zero.
    """
    network = Network("mobilenet-v1", seed)
    x = network.convolve("conv1", network.image(resolution), _scaled(32, width), 3, stride=2)
    x = network.rectify("conv1.relu", x)
    for number, (channels, stride) in enumerate(V1_BLOCKS, start=1):
        depthwise, pointwise = f"block{number}.depthwise", f"block{number}.pointwise"
        x = network.convolve(depthwise, x, x.channels, 3, stride=stride, groups=x.channels)
        x = network.rectify(f"{depthwise}.relu", x)
        x = network.convolve(pointwise, x, _scaled(channels, width), 1)
        x = network.rectify(f"{pointwise}.relu", x)
    return network.classify("classifier", x, classes, resolution=resolution)


def mobilenet_v2(seed: int = 0, classes: int = 1000, width: float = 1.0, resolution: int = 224) -> ModelProto:
    """Builds MobileNet-V2 (Sandler et al. 2018, arXiv 1801.04381), with ReLU6.

    The layers stand in the order of HAQ's latency tables: ``conv1``, ``block1`` (depthwise, project), ``block2`` to
    ``block17`` (expand, depthwise, project), ``last``, ``classifier``.

    Args:
        seed: of the weights.
        classes: number of logits.
        width: multiplier of all channel counts; the last convolution keeps at least 1,280 channels.
        resolution: height and width of the input in pixels.

    Returns:
        ``image`` [batch, 3, resolution, resolution] to ``logits`` [batch, classes]; 53 layers.

    Raises:
        ModelError: a size is not above zero.
    """
    network = Network("mobilenet-v2", seed)
    x = network.convolve("conv1", network.image(resolution), _scaled(32, width), 3, stride=2)
    x = network.rectify("conv1.relu6", x, ceiling=6)
    number = 0
    for expansion, channels, repeats, first_stride in V2_STAGES:
        for repeat in range(repeats):
            number += 1
            stride = first_stride if repeat == 0 else 1
            x = _inverted_residual(
                network, f"block{number}", x, expansion=expansion, channels=_scaled(channels, width), stride=stride
            )
    x = network.convolve("last", x, _scaled(1280, max(1.0, width)), 1)
    x = network.rectify("last.relu6", x, ceiling=6)
    return network.classify("classifier", x, classes, resolution=resolution)


def _inverted_residual(
    network: Network, name: str, x: Feature, *, expansion: int, channels: int, stride: int
) -> Feature:
    y = x
    if expansion > 1:
        y = network.convolve(f"{name}.expand", y, expansion * x.channels, 1)
        y = network.rectify(f"{name}.expand.relu6", y, ceiling=6)
    y = network.convolve(f"{name}.depthwise", y, y.channels, 3, stride=stride, groups=y.channels)
    y = network.rectify(f"{name}.depthwise.relu6", y, ceiling=6)
    y = network.convolve(f"{name}.project", y, channels, 1)
    return network.add(f"{name}.add", x, y) if stride == 1 and x.channels == channels else y


def _scaled(channels: int, width: float) -> int:
    """Gives the multiple of 8 nearest to ``channels * width``, but none that loses over a tenth of it."""
    if not 0 < width <= 16:
        raise ModelError(f"width multiplier {width} is outside (0, 16]; 1.0 is the network as published")
    exact = channels * width
    rounded = max(8, int(exact + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * exact else rounded + 8
