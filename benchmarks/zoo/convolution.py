"""The blocks that convolutional networks of the zoo are made of."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn


def conv_norm(
    channels_in: int,
    channels: int,
    kernel: int = 1,
    *,
    stride: int = 1,
    groups: int = 1,
    activation: Callable[[], nn.Module] | None = nn.ReLU,
    epsilon: float = 1e-5,
) -> nn.Sequential:
    """Gives a convolution that keeps the size over the stride, its normalisation, and an activation if one is named."""
    members: list[nn.Module] = [
        nn.Conv2d(channels_in, channels, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(channels, epsilon),
    ]
    return nn.Sequential(*members, *([activation()] if activation else []))


class SqueezeExcite(nn.Module):
    """Scales every channel by a gate computed from all channels' means (Hu et al. 2018, arXiv 1709.01507)."""

    def __init__(self, channels: int, squeezed: int, activation: nn.Module, gate: nn.Module) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.expand = nn.Conv2d(squeezed, channels, 1)
        self.activation, self.gate = activation, gate

    def forward(self, x: Tensor) -> Tensor:
        """Maps [batch, channels, height, width] to the same shape."""
        result: Tensor = x * self.gate(self.expand(self.activation(self.reduce(self.pool(x)))))
        return result


class InvertedResidual(nn.Module):
    """Expands, filters each channel, excites where asked to, and projects (Sandler et al. 2018, arXiv 1801.04381)."""

    def __init__(
        self,
        channels_in: int,
        channels: int,
        expanded: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        activation: Callable[[], nn.Module] = nn.ReLU6,
        excite: Callable[[int], nn.Module] | None = None,
        epsilon: float = 1e-5,
    ) -> None:
        super().__init__()
        members: list[nn.Module] = []
        if expanded != channels_in:
            members.append(conv_norm(channels_in, expanded, activation=activation, epsilon=epsilon))
        members.append(
            conv_norm(
                expanded, expanded, kernel, stride=stride, groups=expanded, activation=activation, epsilon=epsilon
            )
        )
        if excite:
            members.append(excite(expanded))
        members.append(conv_norm(expanded, channels, activation=None, epsilon=epsilon))
        self.body = nn.Sequential(*members)
        self.adds = stride == 1 and channels_in == channels

    def forward(self, x: Tensor) -> Tensor:
        """Maps [batch, channels_in, height, width] to [batch, channels, height / stride, width / stride]."""
        result: Tensor = x + self.body(x) if self.adds else self.body(x)
        return result
