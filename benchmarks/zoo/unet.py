"""A U-Net (Ronneberger et al. 2015, arXiv 1505.04597), padded, with normalisation, as it is used today."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from benchmarks.zoo.convolution import conv_norm


def _double(channels_in: int, channels: int) -> nn.Sequential:
    return nn.Sequential(conv_norm(channels_in, channels, 3), conv_norm(channels, channels, 3))


class UNet(nn.Module):
    """An encoder, a decoder of transposed convolutions, and a shortcut at every resolution."""

    def __init__(self, widths: Sequence[int] = (64, 128, 256, 512, 1024), classes: int = 2) -> None:
        super().__init__()
        self.down = nn.ModuleList(_double(a, b) for a, b in zip((3, *widths), widths, strict=False))
        pairs = list(zip(widths[::-1], widths[-2::-1], strict=False))
        self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, 2) for a, b in pairs)
        self.merge = nn.ModuleList(_double(2 * b, b) for _, b in pairs)
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Conv2d(widths[0], classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Maps images [batch, 3, height, width] to scores [batch, classes, height, width]."""
        kept = []
        x = image
        for index, stage in enumerate(self.down):
            x = stage(self.pool(x) if index else x)
            kept.append(x)
        for up, merge, shortcut in zip(self.up, self.merge, kept[-2::-1], strict=True):
            x = merge(torch.cat([shortcut, up(x)], 1))
        scores: Tensor = self.head(x)
        return scores
