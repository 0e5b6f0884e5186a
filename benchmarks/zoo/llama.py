"""A decoder like Llama (Touvron et al. 2023, arXiv 2302.13971), at the sizes of SmolLM-135M with an untied output."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class RmsNorm(nn.Module):
    """Divides by the root of the mean square (Zhang and Sennrich 2019, arXiv 1910.07467)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Keeps the shape."""
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5))


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Turns pairs of features by their position's angle (Su et al. 2021, arXiv 2104.09864)."""
    half = x.shape[-1] // 2
    turned = torch.cat([-x[..., half:], x[..., :half]], -1)
    return x * cosine + turned * sine


class Attention(nn.Module):
    """Causal grouped-query attention (Ainslie et al. 2023, arXiv 2305.13245)."""

    def __init__(self, width: int, heads: int, key_heads: int) -> None:
        super().__init__()
        self.heads, self.key_heads, self.size = heads, key_heads, width // heads
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, key_heads * self.size, bias=False)
        self.value = nn.Linear(width, key_heads * self.size, bias=False)
        self.output = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        """Keeps the shape [batch, tokens, width]."""
        batch, tokens, width = x.shape
        query = rotate(self._split(self.query(x), self.heads), cosine, sine)
        key = self._repeat(rotate(self._split(self.key(x), self.key_heads), cosine, sine))
        value = self._repeat(self._split(self.value(x), self.key_heads))
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        result: Tensor = self.output(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return result

    def _split(self, x: Tensor, heads: int) -> Tensor:
        return x.view(x.shape[0], x.shape[1], heads, self.size).transpose(1, 2)

    def _repeat(self, x: Tensor) -> Tensor:
        batch, heads, tokens, size = x.shape
        times = self.heads // self.key_heads
        return x[:, :, None].expand(batch, heads, times, tokens, size).reshape(batch, heads * times, tokens, size)


class Block(nn.Module):
    """Attention and a gated network, each behind a normalisation and added to its input."""

    def __init__(self, width: int, heads: int, key_heads: int, hidden: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = RmsNorm(width), RmsNorm(width)
        self.attention = Attention(width, heads, key_heads)
        self.gate = nn.Linear(width, hidden, bias=False)
        self.up = nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        """Keeps the shape [batch, tokens, width]."""
        x = x + self.attention(self.norm1(x), cosine, sine)
        y = self.norm2(x)
        result: Tensor = x + self.down(F.silu(self.gate(y)) * self.up(y))
        return result


class Llama(nn.Module):
    """Token ids to the logits of the token that follows each."""

    frequency: Tensor

    def __init__(
        self,
        vocabulary: int = 49152,
        width: int = 576,
        depth: int = 30,
        heads: int = 9,
        key_heads: int = 3,
        hidden: int = 1536,
    ) -> None:
        super().__init__()
        size = width // heads
        self.words = nn.Embedding(vocabulary, width)
        self.blocks = nn.ModuleList(Block(width, heads, key_heads, hidden) for _ in range(depth))
        self.norm = RmsNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.register_buffer("frequency", 10000.0 ** (-torch.arange(0, size, 2) / size))

    def forward(self, input_ids: Tensor) -> Tensor:
        """Maps token ids [batch, tokens] to logits [batch, tokens, vocabulary]."""
        position = torch.arange(input_ids.shape[1], device=input_ids.device, dtype=torch.float32)
        angle = torch.outer(position, self.frequency)
        angle = torch.cat([angle, angle], -1)
        cosine, sine = angle.cos(), angle.sin()
        x = self.words(input_ids)
        for block in self.blocks:
            x = block(x, cosine, sine)
        logits: Tensor = self.head(self.norm(x))
        return logits
