"""ResNet-18 (He et al. 2016, arXiv 1512.03385)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from benchmarks.zoo.convolution import conv_norm


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut around them."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv_norm(channels_in, channels, 3, stride=stride), conv_norm(channels, channels, 3, activation=None)
        )
        same = stride == 1 and channels_in == channels
        self.shortcut = nn.Identity() if same else conv_norm(channels_in, channels, stride=stride, activation=None)
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Maps [batch, channels_in, height, width] to [batch, channels, height / stride, width / stride]."""
        result: Tensor = self.activation(self.body(x) + self.shortcut(x))
        return result


class ResNet(nn.Module):
    """The 18-layer residual network; ``widths`` are the channels of its stages of two blocks."""

    def __init__(self, widths: Sequence[int] = (64, 128, 256, 512), classes: int = 1000) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_norm(3, widths[0], 7, stride=2), nn.MaxPool2d(3, 2, 1))
        blocks: list[nn.Module] = []
        before = widths[0]
        for index, width in enumerate(widths):
            blocks += [Block(before, width, 2 if index else 1), Block(width, width, 1)]
            before = width
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes))

    def forward(self, image: Tensor) -> Tensor:
        """Maps images [batch, 3, height, width] to logits [batch, classes]."""
        logits: Tensor = self.head(self.blocks(self.stem(image)))
        return logits
