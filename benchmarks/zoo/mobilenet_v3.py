"""MobileNet-V3 Large (Howard et al. 2019, arXiv 1905.02244)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from benchmarks.zoo.convolution import InvertedResidual, SqueezeExcite, conv_norm

Row = tuple[int, int, int, bool, bool, int]

ROWS: tuple[Row, ...] = (
    (3, 16, 16, False, False, 1),
    (3, 64, 24, False, False, 2),
    (3, 72, 24, False, False, 1),
    (5, 72, 40, True, False, 2),
    (5, 120, 40, True, False, 1),
    (5, 120, 40, True, False, 1),
    (3, 240, 80, False, True, 2),
    (3, 200, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 480, 112, True, True, 1),
    (3, 672, 112, True, True, 1),
    (5, 672, 160, True, True, 2),
    (5, 960, 160, True, True, 1),
    (5, 960, 160, True, True, 1),
)
"""Kernel, expanded channels, channels, squeeze-and-excite, hard swish, stride (table 1)."""

EPSILON = 1e-3


class MobileNetV3(nn.Module):
    """Inverted residuals with hard swish and squeeze-and-excite."""

    def __init__(self, rows: Sequence[Row] = ROWS, last: int = 1280, classes: int = 1000) -> None:
        super().__init__()
        members: list[nn.Module] = [conv_norm(3, 16, 3, stride=2, activation=nn.Hardswish, epsilon=EPSILON)]
        before, expanded = 16, 16
        for kernel, expanded, channels, excites, swish, stride in rows:
            members.append(
                InvertedResidual(
                    before, channels, expanded, kernel=kernel, stride=stride, epsilon=EPSILON,
                    activation=nn.Hardswish if swish else partial(nn.ReLU, inplace=True),
                    excite=_excite if excites else None,
                )
            )  # fmt: skip
            before = channels
        members.append(conv_norm(before, expanded, activation=nn.Hardswish, epsilon=EPSILON))
        self.features = nn.Sequential(*members, nn.AdaptiveAvgPool2d(1))
        self.classifier = nn.Sequential(
            nn.Linear(expanded, last), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(last, classes)
        )

    def forward(self, image: Tensor) -> Tensor:
        """Maps images [batch, 3, height, width] to logits [batch, classes]."""
        logits: Tensor = self.classifier(self.features(image).flatten(1))
        return logits


def _excite(channels: int) -> nn.Module:
    wanted = channels // 4
    rounded = max(8, (wanted + 4) // 8 * 8)  # to a multiple of 8, but not down by more than a tenth
    return SqueezeExcite(channels, rounded if rounded >= 0.9 * wanted else rounded + 8, nn.ReLU(), nn.Hardsigmoid())
