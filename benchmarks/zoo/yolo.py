"""A one-stage detector at the sizes of YOLOv8n: CSP backbone, path aggregation neck, distributional box decoding."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.zoo.convolution import conv_norm

conv = partial(conv_norm, activation=nn.SiLU, epsilon=1e-3)


class Csp(nn.Module):
    """Splits the channels, sends one half through residual pairs, and joins all that came by (Wang et al. 2020)."""

    def __init__(self, channels_in: int, channels: int, depth: int, *, adds: bool) -> None:
        super().__init__()
        half, self.adds = channels // 2, adds
        self.enter = conv(channels_in, channels)
        self.pairs = nn.ModuleList(nn.Sequential(conv(half, half, 3), conv(half, half, 3)) for _ in range(depth))
        self.leave = conv((2 + depth) * half, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps [batch, channels_in, height, width] to [batch, channels, height, width]."""
        parts = list(self.enter(x).chunk(2, 1))
        for pair in self.pairs:
            y = pair(parts[-1])
            parts.append(parts[-1] + y if self.adds else y)
        result: Tensor = self.leave(torch.cat(parts, 1))
        return result


class PyramidPool(nn.Module):
    """Joins an image with three of its poolings."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.enter = conv(channels, channels // 2)
        self.leave = conv(2 * channels, channels)
        self.pool = nn.MaxPool2d(5, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Keeps the shape."""
        parts = [self.enter(x)]
        for _ in range(3):
            parts.append(self.pool(parts[-1]))
        result: Tensor = self.leave(torch.cat(parts, 1))
        return result


class Head(nn.Module):
    """Predicts boxes, as distributions over ``bins`` distances to each side, and classes, at one resolution."""

    def __init__(self, channels: int, box_width: int, class_width: int, classes: int, bins: int) -> None:
        super().__init__()
        self.box = nn.Sequential(
            conv(channels, box_width, 3), conv(box_width, box_width, 3), nn.Conv2d(box_width, 4 * bins, 1)
        )
        self.classify = nn.Sequential(
            conv(channels, class_width, 3), conv(class_width, class_width, 3), nn.Conv2d(class_width, classes, 1)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Gives [batch, 4 * bins, cells] and [batch, classes, cells]."""
        return self.box(x).flatten(2), self.classify(x).flatten(2)


class Yolo(nn.Module):
    """Images to boxes and scores; suppression of overlapping boxes is left to who reads them."""

    def __init__(self, width: int = 16, depth: int = 1, classes: int = 80, bins: int = 16) -> None:
        super().__init__()
        w, self.bins = width, bins
        self.stage3 = nn.Sequential(
            conv(3, w, 3, stride=2), conv(w, 2 * w, 3, stride=2), Csp(2 * w, 2 * w, depth, adds=True),
            conv(2 * w, 4 * w, 3, stride=2), Csp(4 * w, 4 * w, 2 * depth, adds=True),
        )  # fmt: skip
        self.stage4 = nn.Sequential(conv(4 * w, 8 * w, 3, stride=2), Csp(8 * w, 8 * w, 2 * depth, adds=True))
        self.stage5 = nn.Sequential(
            conv(8 * w, 16 * w, 3, stride=2), Csp(16 * w, 16 * w, depth, adds=True), PyramidPool(16 * w)
        )
        self.larger = nn.Upsample(scale_factor=2, mode="nearest")
        self.up4 = Csp(24 * w, 8 * w, depth, adds=False)
        self.up3 = Csp(12 * w, 4 * w, depth, adds=False)
        self.smaller3 = conv(4 * w, 4 * w, 3, stride=2)
        self.down4 = Csp(12 * w, 8 * w, depth, adds=False)
        self.smaller4 = conv(8 * w, 8 * w, 3, stride=2)
        self.down5 = Csp(24 * w, 16 * w, depth, adds=False)
        box, score = max(16, w, 4 * bins), max(4 * w, min(classes, 100))
        self.heads = nn.ModuleList(Head(c * w, box, score, classes, bins) for c in (4, 8, 16))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Maps images [batch, 3, height, width] to boxes [batch, cells, 4] and scores [batch, cells, classes].

        Height and width are multiples of 32. A box is its two corners, in pixels.
        """
        x3 = self.stage3(image)
        x4 = self.stage4(x3)
        x5 = self.stage5(x4)
        y4 = self.up4(torch.cat([self.larger(x5), x4], 1))
        y3 = self.up3(torch.cat([self.larger(y4), x3], 1))
        y4 = self.down4(torch.cat([self.smaller3(y3), y4], 1))
        y5 = self.down5(torch.cat([self.smaller4(y4), x5], 1))
        levels = (y3, y4, y5)
        found = [head(y) for head, y in zip(self.heads, levels, strict=True)]
        centre, pitch = _cells(levels, image.shape[-2])
        sides = torch.cat([box for box, _ in found], 2)
        sides = sides.view(sides.shape[0], 4, self.bins, -1).softmax(2)
        steps = torch.arange(self.bins, dtype=sides.dtype, device=sides.device)
        distance = (sides * steps[:, None]).sum(2)
        before, behind = distance.chunk(2, 1)
        boxes = torch.cat([centre - before, centre + behind], 1) * pitch
        scores = torch.cat([score for _, score in found], 2).sigmoid()
        return boxes.transpose(1, 2), scores.transpose(1, 2)


def _cells(levels: tuple[Tensor, ...], image_height: int) -> tuple[Tensor, Tensor]:
    """Gives the centres [2, cells] of all levels' cells, in cells, and their pitch [1, cells] in pixels."""
    centres, pitches = [], []
    for level in levels:
        height, width = level.shape[-2:]
        rows = torch.arange(height, device=level.device) + 0.5
        columns = torch.arange(width, device=level.device) + 0.5
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        centres.append(torch.stack([x, y]).flatten(1))
        pitches.append(torch.full((1, height * width), float(image_height // height), device=level.device))
    return torch.cat(centres, 1), torch.cat(pitches, 1)
