"""Attention (ONNX opsets 23 to 25)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.fx
import torch.nn.functional as F

from haqc.mirror.node import Function, Node, operator
from haqc.mirror.operators.constant import element_type

Optional = torch.Tensor | None


@dataclass(frozen=True, slots=True)
class Form:
    """What the attributes of an Attention node say.

    Attributes:
        heads, shared_heads: of the queries, and of keys and values; zero where the inputs' shape tells.
        scale: factor of the scores; ``None`` for one over the root of the head's size.
        softcap: bound that a hyperbolic tangent draws the scores to; zero for none.
        causal: whether a query sees only keys up to its own position.
        reach: how many keys before and behind its own position a query sees; -1 for all.
        precision: type of the softmax; ``None`` for that of the queries.
        exposed: which scores are the fourth output: 0 raw, 1 capped, 2 masked, 3 after the softmax.
    """

    heads: int
    shared_heads: int
    scale: float | None
    softcap: float
    causal: bool
    reach: tuple[int, int]
    precision: torch.dtype | None
    exposed: int


@operator("Attention")
def attention(node: Node) -> Function:
    """Builds scaled dot-product attention with masks, caches, and key heads that several query heads share."""
    code = node.attribute("softmax_precision")
    form = Form(
        heads=node.attribute("q_num_heads", 0),
        shared_heads=node.attribute("kv_num_heads", 0),
        scale=node.attribute("scale"),
        softcap=node.attribute("softcap", 0.0),
        causal=bool(node.attribute("is_causal", 0)),
        reach=(node.attribute("left_window_size", -1), node.attribute("right_window_size", -1)),
        precision=None if code is None else element_type(node, code),
        exposed=node.attribute("qk_matmul_output_mode", 0),
    )
    count = node.output_count

    def run(
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: Optional = None,
        past_key: Optional = None,
        past_value: Optional = None,
        lengths: Optional = None,
    ) -> torch.Tensor | tuple[torch.Tensor, ...]:
        found = attend(query, key, value, mask, (past_key, past_value), lengths, form)
        return tuple(found[index] for index in range(count)) if count > 1 else found[0]

    return run


def attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: Optional,
    past: tuple[Optional, Optional],
    lengths: Optional,
    form: Form,
) -> tuple[torch.Tensor, ...]:
    """Gives the attended values, the caches of keys and values, and the scores.

    Args:
        query, key, value: [batch, heads, positions, size], or [batch, positions, heads x size].
        mask: added to the scores, or true where a key may be seen; broadcasts to [batch, heads, queries, keys].
        past: keys and values of earlier positions.
        lengths: how many keys of each sample are no padding, [batch].
        form: the attributes.
    """
    is_flat = query.dim() == 3
    if is_flat:
        query = split_heads(query, form.heads)
        key, value = split_heads(key, form.shared_heads), split_heads(value, form.shared_heads)
    before = 0
    if past[0] is not None and past[1] is not None:
        before = past[0].shape[2]
        key, value = torch.cat([past[0], key], 2), torch.cat([past[1], value], 2)
    factor = math.sqrt(1 / math.sqrt(query.shape[3]) if form.scale is None else form.scale)
    share = query.shape[1] // key.shape[1]
    scores = (query * factor) @ (key.repeat_interleave(share, 1) * factor).transpose(2, 3)
    capped = form.softcap * torch.tanh(scores / form.softcap) if form.softcap > 0 else scores
    bias = score_bias(capped, mask, before, lengths, form)
    # A query that may see no key at all gives zero; the softmax of nothing would have no number and no gradient.
    blind = torch.isneginf(bias.amax(-1, keepdim=True))
    masked = capped + bias
    logits = torch.where(blind, torch.zeros_like(capped), masked)
    chances = torch.softmax(logits if form.precision is None else logits.to(form.precision), -1).to(query.dtype)
    chances = torch.where(blind, torch.zeros_like(chances), chances)
    y = chances @ value.repeat_interleave(share, 1)
    if is_flat:
        y = y.transpose(1, 2).flatten(2)
    return y, key, value, (scores, capped, masked, chances)[form.exposed]


def split_heads(x: torch.Tensor, heads: int) -> torch.Tensor:
    """Turns [batch, positions, heads x size] into [batch, heads, positions, size]."""
    return x.reshape(*x.shape[:2], heads, -1).transpose(1, 2)


def score_bias(scores: torch.Tensor, mask: Optional, before: int, lengths: Optional, form: Form) -> torch.Tensor:
    """Gives what is added to scores of shape [batch, heads, queries, keys]: minus infinity where none may look."""
    queries, keys = scores.shape[2:]
    seen = torch.ones(queries, keys, dtype=torch.bool, device=scores.device)
    place = torch.arange(queries, device=scores.device).reshape(-1, 1) + before
    at = torch.arange(keys, device=scores.device)
    if lengths is not None:
        ends = lengths.reshape(-1, 1, 1, 1)
        place = place + ends - queries
        seen = seen & (at < ends)
    if form.causal:
        seen = seen & (at <= place)
    left, right = form.reach
    if left >= 0:
        seen = seen & (at >= place - left)
    if right >= 0:
        seen = seen & (at <= place + right)
    bias = scores.new_zeros(())
    if mask is not None:
        is_choice = mask.dtype == torch.bool
        mask = F.pad(mask, (0, keys - mask.shape[-1]), value=False if is_choice else -math.inf)
        seen, bias = (seen & mask, bias) if is_choice else (seen, bias + mask)
    return torch.where(seen, bias, bias.new_full((), -math.inf))


torch.fx.wrap("attend")
