"""ConvNeXt-T (Liu et al. 2022, arXiv 2201.03545)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ChannelNorm(nn.LayerNorm):
    """Normalises over the channels of [batch, channels, height, width]."""

    def forward(self, input: Tensor) -> Tensor:
        """Keeps the shape."""
        x = F.layer_norm(input.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class Block(nn.Module):
    """A 7x7 depthwise convolution, then two dense layers on each pixel, scaled and added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.filter = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, 1e-6)
        self.expand = nn.Linear(channels, 4 * channels)
        self.project = nn.Linear(4 * channels, channels)
        self.scale = nn.Parameter(torch.rand(channels))  # begins at 1e-6 in training, and does not stay there

    def forward(self, x: Tensor) -> Tensor:
        """Keeps the shape [batch, channels, height, width]."""
        y = self.norm(self.filter(x).permute(0, 2, 3, 1))
        y = self.scale * self.project(F.gelu(self.expand(y)))
        result: Tensor = x + y.permute(0, 3, 1, 2)
        return result


class ConvNeXt(nn.Module):
    """Four stages of blocks with a normalised, strided convolution before each."""

    def __init__(
        self,
        depths: Sequence[int] = (3, 3, 9, 3),
        widths: Sequence[int] = (96, 192, 384, 768),
        classes: int = 1000,
    ) -> None:
        super().__init__()
        members: list[nn.Module] = [nn.Conv2d(3, widths[0], 4, 4), ChannelNorm(widths[0], 1e-6)]
        before = widths[0]
        for depth, width in zip(depths, widths, strict=True):
            if width != before:
                members += [ChannelNorm(before, 1e-6), nn.Conv2d(before, width, 2, 2)]
            members += [Block(width) for _ in range(depth)]
            before = width
        self.features = nn.Sequential(*members, nn.AdaptiveAvgPool2d(1))
        self.norm = ChannelNorm(before, 1e-6)
        self.classifier = nn.Linear(before, classes)

    def forward(self, image: Tensor) -> Tensor:
        """Maps images [batch, 3, height, width] to logits [batch, classes]."""
        logits: Tensor = self.classifier(self.norm(self.features(image)).flatten(1))
        return logits
