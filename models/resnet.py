"""ResNet-18 and ResNet-50 with seeded random weights."""

from __future__ import annotations

from collections.abc import Callable

from onnx import ModelProto

from models.network import Feature, Network

STAGE_CHANNELS = (64, 128, 256, 512)
BOTTLENECK_EXPANSION = 4

Block = Callable[[Network, str, Feature, int, int], Feature]


def resnet18(seed: int = 0, classes: int = 1000, resolution: int = 224) -> ModelProto:
    """Builds ResNet-18 (He et al. 2016, arXiv 1512.03385, table 1).

    Args:
        seed: of the weights.
        classes: number of logits.
        resolution: height and width of the input in pixels.

    Returns:
        ``image`` [batch, 3, resolution, resolution] to ``logits`` [batch, classes]; 21 layers.

    Raises:
        ModelError: a size is not above zero.
    """
    return _resnet("resnet18", _basic, (2, 2, 2, 2), seed=seed, classes=classes, resolution=resolution)


def resnet50(seed: int = 0, classes: int = 1000, resolution: int = 224) -> ModelProto:
    """Builds ResNet-50 (He et al. 2016), with the stride on the 3x3 convolution of a bottleneck ("version 1.5").

    Args:
        seed: of the weights.
        classes: number of logits.
        resolution: height and width of the input in pixels.

    Returns:
        ``image`` [batch, 3, resolution, resolution] to ``logits`` [batch, classes]; 54 layers.

    Raises:
        ModelError: a size is not above zero.
    """
    return _resnet("resnet50", _bottleneck, (3, 4, 6, 3), seed=seed, classes=classes, resolution=resolution)


def _resnet(
    name: str, block: Block, repeats: tuple[int, int, int, int], *, seed: int, classes: int, resolution: int
) -> ModelProto:
    network = Network(name, seed)
    x = network.convolve("conv1", network.image(resolution), 64, 7, stride=2)
    x = network.rectify("conv1.relu", x)
    x = network.pool_maximum("maxpool", x)
    for stage, (channels, count) in enumerate(zip(STAGE_CHANNELS, repeats, strict=True), start=1):
        for number in range(count):
            stride = 2 if stage > 1 and number == 0 else 1
            x = block(network, f"layer{stage}.{number}", x, channels, stride)
    return network.classify("fc", x, classes, resolution=resolution)


def _basic(network: Network, name: str, x: Feature, channels: int, stride: int) -> Feature:
    y = network.convolve(f"{name}.conv1", x, channels, 3, stride=stride)
    y = network.rectify(f"{name}.relu1", y)
    y = network.convolve(f"{name}.conv2", y, channels, 3)
    return _join(network, name, x, y, stride)


def _bottleneck(network: Network, name: str, x: Feature, channels: int, stride: int) -> Feature:
    y = network.convolve(f"{name}.conv1", x, channels, 1)
    y = network.rectify(f"{name}.relu1", y)
    y = network.convolve(f"{name}.conv2", y, channels, 3, stride=stride)
    y = network.rectify(f"{name}.relu2", y)
    y = network.convolve(f"{name}.conv3", y, BOTTLENECK_EXPANSION * channels, 1)
    return _join(network, name, x, y, stride)


def _join(network: Network, name: str, x: Feature, y: Feature, stride: int) -> Feature:
    if stride != 1 or x.channels != y.channels:
        x = network.convolve(f"{name}.downsample", x, y.channels, 1, stride=stride)
    return network.rectify(f"{name}.relu", network.add(f"{name}.add", y, x))
