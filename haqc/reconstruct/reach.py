"""Which positions of a sequence the output depends on: what merely fills it up counts for nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from haqc.reconstruct.parts import Original

TOGETHER = 16
"""Samples of which the gradients through the whole network are held at a time."""


def reach(original: Original, seed: int) -> Mapping[str, Tensor]:
    """Finds, at the end of each stretch, the positions of each sample that the float network's output depends on.

    A position is an index of the second axis. The output depends on it where the gradient of a random combination of
    all outputs is not 0 there: behind a mask it is 0 exactly. Only networks that read integers are looked at, as
    tokens are: elsewhere a position may have no gradient for its value alone, as in front of a MaxPool.

    Args:
        original: the float network and its inputs.
        seed: of the combinations.

    Returns:
        By the name of the stretch's end, 1 or 0 for each, shape ``[N, positions, 1, ...]``; only ends that have both.
    """
    passes = all(part.is_differentiable for part in original.parts)
    if not passes or all(value.is_floating_point() for value in original.given.values()):
        return {}
    generator = torch.Generator().manual_seed(seed)
    together = original.samples_per_run or TOGETHER
    pieces = zip(*(torch.split(value, together) for value in original.given.values()), strict=True)
    some = (replace(original, given=dict(zip(original.given, piece, strict=True))) for piece in pieces)
    found = [_reached(each, generator) for each in some]
    whole = {name: torch.cat([each[name] for each in found]) for name in found[0]}
    return {name: reached for name, reached in whole.items() if reached.any() and not reached.all()}


def _reached(original: Original, generator: torch.Generator) -> dict[str, Tensor]:
    known, ends = original.given, dict[str, Tensor]()
    for part in original.parts:
        value = part.run(part.start(known), original.floating)
        ends[part.wanted] = value if value.requires_grad else value.detach().requires_grad_()
        known = original.behind(part, ends[part.wanted])
    output = ends[original.parts[-1].wanted]
    combined = (torch.randn(output.shape, generator=generator).to(output.device) * output).sum()
    gradients = torch.autograd.grad(combined, list(ends.values()))
    return {
        name: (gradient != 0).flatten(2).any(dim=2).float().reshape(gradient.shape[:2] + (1,) * (gradient.ndim - 2))
        for name, gradient in zip(ends, gradients, strict=True)
        if gradient.ndim > 2
    }
