"""How well the statistics that a network kept of its training data fit what inputs give it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from haqc.channelstatistics import ChannelStatistics
from haqc.mirror import Mirror
from haqc.passes.imagine.forward import forward

_WORST = 10.0
"""Divergence at which a channel counts no further, in nats."""


@dataclass(frozen=True, slots=True)
class Matching:
    """Compares what flows through batch-normalisations with what they expect, as ZeroQ does (Cai et al., CVPR 2020).

    Attributes:
        statistics: means and deviations of tensors that the mirror has.
    """

    known: ClassVar[str] = "statistics"
    least: ClassVar[float] = -0.8 * _WORST
    statistics: tuple[ChannelStatistics, ...]

    @classmethod
    def of(cls, mirror: Mirror, statistics: Sequence[ChannelStatistics]) -> Matching | None:
        """Gives what can be compared: clean-up may have merged tensors away; ``None`` when nothing is left."""
        computed = {name for step in mirror.steps for name in step.outputs}
        named = [each if each.tensor in computed else replace(each, tensor=each.folded) for each in statistics]
        kept = tuple(each for each in named if each.tensor in computed)
        return cls(kept) if kept else None

    def close(self, best: float) -> float:
        """Gives a divergence that is a fifth larger than the best."""
        return 1.2 * best

    def measure(self, mirror: Mirror, inputs: tuple[np.ndarray, ...], run: int) -> float:
        """Gives the negative divergence of normal distributions, in nats, over all channels of all tensors.

        Args:
            mirror: the float network.
            inputs: samples, one array per input.
            run: samples that run together.
        """
        wanted = tuple(each.tensor for each in self.statistics)
        count = np.zeros(len(wanted))
        sums: list[list[Tensor]] = [[] for _ in wanted]
        for tensors in forward(mirror, inputs, wanted, run):
            for place, tensor in enumerate(tensors):
                values = tensor.double().transpose(0, 1).flatten(1)
                count[place] += values.shape[1]
                sums[place].append(torch.stack([values.sum(1), values.square().sum(1)]))
        found = [torch.stack(parts).sum(0) / number for parts, number in zip(sums, count, strict=True)]
        divergences = [_divergence(one, each) for one, each in zip(found, self.statistics, strict=True)]
        return -float(torch.cat(divergences).mean())


def _divergence(moments: Tensor, expected: ChannelStatistics) -> Tensor:
    """Gives the Kullback-Leibler divergence of each channel's normal distribution from the expected one."""
    mean, deviation = (torch.from_numpy(each).to(moments.device) for each in (expected.mean, expected.deviation))
    variance = (moments[1] - moments[0].square()).clamp(min=1e-12) / deviation.square()
    shift = (moments[0] - mean) / deviation
    divergence = (variance + shift.square() - 1 - variance.log()) / 2
    return torch.nan_to_num(divergence, nan=_WORST, posinf=_WORST).clamp(max=_WORST)
