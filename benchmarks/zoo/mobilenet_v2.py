"""MobileNet-V2 (Sandler et al. 2018, arXiv 1801.04381)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from benchmarks.zoo.convolution import InvertedResidual, conv_norm

STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Expansion, channels, blocks and stride of each stage (table 2)."""


class MobileNetV2(nn.Module):
    """Inverted residuals with ReLU6 and a linear bottleneck."""

    def __init__(
        self, stages: Sequence[tuple[int, int, int, int]] = STAGES, last: int = 1280, classes: int = 1000
    ) -> None:
        super().__init__()
        members: list[nn.Module] = [conv_norm(3, 32, 3, stride=2, activation=nn.ReLU6)]
        before = 32
        for expansion, channels, count, stride in stages:
            for index in range(count):
                step = 1 if index else stride
                members.append(InvertedResidual(before, channels, before * expansion, stride=step))
                before = channels
        self.features = nn.Sequential(*members, conv_norm(before, last, activation=nn.ReLU6))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, classes))

    def forward(self, image: Tensor) -> Tensor:
        """Maps images [batch, 3, height, width] to logits [batch, classes]."""
        logits: Tensor = self.classifier(self.features(image).mean((2, 3)))
        return logits
