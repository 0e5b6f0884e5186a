"""A decoder like GPT-2 small (Radford et al. 2019), its output layer tied to its embedding."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Attention(nn.Module):
    """Causal self-attention, its mask a stored triangle that is sliced and selected with."""

    mask: Tensor

    def __init__(self, width: int, heads: int, positions: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.register_buffer("mask", torch.ones(positions, positions, dtype=torch.bool).tril()[None, None])

    def forward(self, x: Tensor) -> Tensor:
        """Keeps the shape [batch, tokens, width]."""
        batch, tokens, width = x.shape
        query, key, value = (
            part.view(batch, tokens, self.heads, width // self.heads).transpose(1, 2)
            for part in self.qkv(x).split(width, 2)
        )
        scores = query @ key.transpose(-1, -2) / math.sqrt(width // self.heads)
        lowest = torch.finfo(scores.dtype).min
        scores = torch.where(self.mask[:, :, :tokens, :tokens], scores, torch.full([], lowest, dtype=scores.dtype))
        mixed = F.softmax(scores, -1) @ value
        result: Tensor = self.project(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return result


class Block(nn.Module):
    """Attention and a two-layer network, each behind a normalisation and added to its input."""

    def __init__(self, width: int, heads: int, positions: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads, positions)
        self.norm2 = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 4 * width)
        self.project = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Keeps the shape [batch, tokens, width]."""
        x = x + self.attention(self.norm1(x))
        result: Tensor = x + self.project(F.gelu(self.expand(self.norm2(x)), approximate="tanh"))
        return result


class Gpt2(nn.Module):
    """Token ids to the logits of the token that follows each."""

    def __init__(
        self, vocabulary: int = 50257, width: int = 768, depth: int = 12, heads: int = 12, positions: int = 1024
    ) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(positions, width)
        self.blocks = nn.ModuleList(Block(width, heads, positions) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.words.weight
        nn.init.normal_(self.words.weight, std=0.02)

    def forward(self, input_ids: Tensor) -> Tensor:
        """Maps token ids [batch, tokens] to logits [batch, tokens, vocabulary]."""
        x = self.words(input_ids) + self.positions(torch.arange(input_ids.shape[1], device=input_ids.device))
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(self.norm(x))
        return logits
