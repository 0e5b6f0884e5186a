"""MLP-Mixer, Mixer-S/16 by default (Tolstikhin et al. 2021, arXiv 2105.01601)."""

from __future__ import annotations

from torch import Tensor, nn


def _mlp(width: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))


class Block(nn.Module):
    """Mixes over the patches, then over the channels."""

    def __init__(self, tokens: int, width: int, hidden_tokens: int, hidden: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, 1e-6), nn.LayerNorm(width, 1e-6)
        self.over_tokens, self.over_channels = _mlp(tokens, hidden_tokens), _mlp(width, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """Keeps the shape [batch, tokens, width]."""
        x = x + self.over_tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        result: Tensor = x + self.over_channels(self.norm2(x))
        return result


class Mixer(nn.Module):
    """Patches as tokens, and dense layers only."""

    def __init__(
        self,
        resolution: int = 224,
        patch: int = 16,
        width: int = 512,
        depth: int = 8,
        hidden_tokens: int = 256,
        hidden: int = 2048,
        classes: int = 1000,
    ) -> None:
        super().__init__()
        tokens = (resolution // patch) ** 2
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.blocks = nn.Sequential(*(Block(tokens, width, hidden_tokens, hidden) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, 1e-6)
        self.head = nn.Linear(width, classes)

    def forward(self, image: Tensor) -> Tensor:
        """Maps images [batch, 3, resolution, resolution] to logits [batch, classes]."""
        x = self.patches(image).flatten(2).transpose(1, 2)
        logits: Tensor = self.head(self.norm(self.blocks(x)).mean(1))
        return logits
