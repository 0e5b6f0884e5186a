"""BERT, BERT-mini by default (Devlin et al. 2019, arXiv 1810.04805; Turc et al. 2019, arXiv 1908.08962)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Attention(nn.Module):
    """Self-attention written out, its mask added to the scores."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.output = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Keeps the shape [batch, tokens, width]; ``mask`` [batch, 1, 1, tokens] is added to the scores."""
        query, key, value = self._split(self.query(x)), self._split(self.key(x)), self._split(self.value(x))
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
        mixed = torch.softmax(scores + mask, -1) @ value
        result: Tensor = self.output(mixed.permute(0, 2, 1, 3).reshape(x.shape))
        return result

    def _split(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        return x.view(batch, tokens, self.heads, width // self.heads).permute(0, 2, 1, 3)


class Block(nn.Module):
    """Attention and a two-layer network, each added to its input and then normalised."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.norm1 = nn.LayerNorm(width, 1e-12)
        self.expand = nn.Linear(width, hidden)
        self.project = nn.Linear(hidden, width)
        self.norm2 = nn.LayerNorm(width, 1e-12)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Keeps the shape [batch, tokens, width]."""
        x = self.norm1(x + self.attention(x, mask))
        result: Tensor = self.norm2(x + self.project(F.gelu(self.expand(x))))
        return result


class Bert(nn.Module):
    """The encoder: tokens and a mask to one vector per token."""

    def __init__(
        self,
        vocabulary: int = 30522,
        width: int = 256,
        depth: int = 4,
        heads: int = 4,
        hidden: int = 1024,
        positions: int = 512,
    ) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(positions, width)
        self.types = nn.Embedding(2, width)
        self.norm = nn.LayerNorm(width, 1e-12)
        self.blocks = nn.ModuleList(Block(width, heads, hidden) for _ in range(depth))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Maps token ids and a mask of ones and zeros, both [batch, tokens], to [batch, tokens, width]."""
        position = torch.arange(input_ids.shape[1], device=input_ids.device)[None]
        x: Tensor = self.words(input_ids) + self.positions(position) + self.types(torch.zeros_like(input_ids))
        x = self.norm(x)
        mask = (1.0 - attention_mask[:, None, None, :].to(x.dtype)) * torch.finfo(x.dtype).min
        for block in self.blocks:
            x = block(x, mask)
        return x
