"""EfficientNet-B0 (Tan and Le 2019, arXiv 1905.11946)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from benchmarks.zoo.convolution import InvertedResidual, SqueezeExcite, conv_norm

Stage = tuple[int, int, int, int, int]

STAGES: tuple[Stage, ...] = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
"""Expansion, channels, blocks, stride and kernel of each stage (table 1)."""


class EfficientNet(nn.Module):
    """Inverted residuals with SiLU and squeeze-and-excite."""

    def __init__(self, stages: Sequence[Stage] = STAGES, last: int = 1280, classes: int = 1000) -> None:
        super().__init__()
        members: list[nn.Module] = [conv_norm(3, 32, 3, stride=2, activation=nn.SiLU)]
        before = 32
        for expansion, channels, count, stride, kernel in stages:
            for index in range(count):
                squeezed = before // 4

                def excite(expanded: int, squeezed: int = squeezed) -> nn.Module:
                    return SqueezeExcite(expanded, squeezed, nn.SiLU(), nn.Sigmoid())

                members.append(
                    InvertedResidual(
                        before, channels, before * expansion, kernel=kernel, stride=1 if index else stride,
                        activation=nn.SiLU, excite=excite,
                    )
                )  # fmt: skip
                before = channels
        self.features = nn.Sequential(*members, conv_norm(before, last, activation=nn.SiLU), nn.AdaptiveAvgPool2d(1))
        self.classifier = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(last, classes))

    def forward(self, image: Tensor) -> Tensor:
        """Maps images [batch, 3, height, width] to logits [batch, classes]."""
        logits: Tensor = self.classifier(self.features(image))
        return logits
