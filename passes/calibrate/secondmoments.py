"""Second moments of what a layer's weights multiply: they tell what errors of the weights do to the layer's output."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from haqc.graph import Graph
from haqc.mirror import Mirror
from haqc.passes.calibrate.sums import Sums

KEPT_BYTES = 256 * 2**20
"""Bound on the sums that are kept at a time; what would pass it waits for another run over the samples."""

_RIDGE = 1e-3
"""Share of the mean square of all inputs that is added to each: what these samples leave at zero counts a little."""


@dataclass(frozen=True)
class Moments:
    """The second moments of the inputs of a layer's dot products.

    Attributes:
        square: mean products ``[groups, inputs, inputs]``; of long dot products the variances ``[groups, inputs]``.
        mean: mean inputs ``[groups, inputs]``.
        is_shared: whether the groups share the scales of their output channels, as those of a ConvTranspose do.
    """

    square: Tensor
    mean: Tensor
    is_shared: bool = False

    def product(self, left: Tensor, right: Tensor) -> Tensor:
        """Gives the mean product of what two tensors of weights give, for every scale ``[channels]``.

        Args:
            left, right: weights ``[channels, inputs]``, with the inputs of all groups that share the channel's scale.
        """
        first, second = self._grouped(left), self._grouped(right)
        if self.square.ndim == 3:
            found = (torch.bmm(first, self.square) * second).sum(dim=2)
        else:  # as if the inputs were uncorrelated, but for their means
            mean = self.mean[:, :, None]
            found = (first * second * self.square[:, None]).sum(dim=2)
            found = found + (torch.bmm(first, mean) * torch.bmm(second, mean))[:, :, 0]
        return found.sum(dim=0) if self.is_shared else found.reshape(-1)

    def _grouped(self, rows: Tensor) -> Tensor:
        groups, inputs = self.mean.shape
        if self.is_shared:
            return rows.reshape(-1, groups, inputs).transpose(0, 1)
        return rows.reshape(groups, -1, inputs)


def moments(
    mirror: Mirror, graph: Graph, weights: Iterable[str], batches: Iterable[tuple[np.ndarray, ...]]
) -> Iterator[tuple[str, Moments | None]]:
    """Gives each weight with the moments of what it multiplies in the float network.

    Memory does not grow with the samples. There are none for tables, recurrent layers and weights with a batch axis,
    for weights that are read through other operators, and where the inputs pass what float32 squares.

    Args:
        mirror: the float mirror.
        graph: its layers; those that share a weight count alike.
        weights: names of the weights.
        batches: calibration inputs; iterated once for as many weights as there is room for.
    """
    for some in _affordable(Sums.of(mirror, graph, weights)):
        sums = {one.key: one for parts in some.values() for one in parts}
        tensors = tuple(dict.fromkeys(one.data for one in sums.values()))
        for batch in batches if sums else ():
            with torch.no_grad():  # not round the loop, where it would hold for whoever makes the batches
                values = mirror.run(mirror.tensors(batch), tensors)
            known = dict(zip(tensors, values, strict=True))
            for one in sums.values():
                one.add(known[one.data].cpu())
        for weight, parts in some.items():
            yield weight, _joined([sums[part.key] for part in parts])


def _affordable(sums: dict[str, tuple[Sums, ...]]) -> Iterator[dict[str, tuple[Sums, ...]]]:
    """Divides weights so that the sums of each part fit the memory, or are those of one weight."""
    some: dict[str, tuple[Sums, ...]] = {}
    kept: dict[tuple[str, str], int] = {}
    for weight, parts in sums.items():
        more = {part.key: part.bytes for part in parts}
        if some and sum({**kept, **more}.values()) > KEPT_BYTES:
            yield some
            some, kept = {}, {}
        some[weight] = parts
        kept |= more
    if some:
        yield some


def _joined(parts: list[Sums]) -> Moments | None:
    """Gives the moments over the inputs of all layers that read one weight."""
    count = sum(part.count for part in parts)
    if not count:
        return None
    square, total = sum(part.square for part in parts) / count, sum(part.total for part in parts) / count
    assert isinstance(square, Tensor) and isinstance(total, Tensor)
    if square.ndim == 3:
        each = square.diagonal(dim1=1, dim2=2)
        each += _RIDGE * each.mean()
    else:
        square = (square - total.square()).clamp(min=0) + _RIDGE * square.mean()
    if not bool(square.abs().sum().isfinite()) or not bool(square.any()):
        return None
    return Moments(square.float(), total.float(), parts[0].is_shared)
