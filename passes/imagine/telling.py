"""How much a network's outputs tell about its inputs: what inputs of the right kind and scale have much of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from haqc.mirror import Mirror
from haqc.passes.imagine.forward import forward


@dataclass(frozen=True, slots=True)
class Telling:
    """Measures what one tensor tells about the samples.

    Attributes:
        tensor: the class scores before a Softmax, or any other output.
        classifies: whether its rows are scores of classes.
    """

    known: ClassVar[str] = "outputs"
    least: ClassVar[float] = 0.05  # outputs that tell less, in nats or directions, do so by chance
    tensor: str
    classifies: bool

    def close(self, best: float) -> float:
        """Gives four fifths of the best."""
        return 0.8 * best

    def measure(self, mirror: Mirror, inputs: tuple[np.ndarray, ...], run: int) -> float:
        """Runs the network and measures; inputs that it cannot take tell nothing.

        Args:
            mirror: the float network.
            inputs: samples, one array per input.
            run: samples that run together.
        """
        found = torch.cat([rows for (rows,) in forward(mirror, inputs, (self.tensor,), run)])
        found = found.reshape(len(found), -1)
        if not bool(torch.isfinite(found).all()):
            return 0.0
        return _information(found) if self.classifies else _variety(found)


def _information(scores: Tensor) -> float:
    """Gives the mutual information of sample and class, in nats: the entropy of the mean less the mean entropy."""
    chances = torch.softmax(scores.double(), dim=1)
    return float(_entropy(chances.mean(0)) - _entropy(chances).mean())


def _variety(rows: Tensor) -> float:
    """Gives how much directions differ, times the effective number of dimensions in which they do."""
    lengths = rows.norm(dim=1, keepdim=True)
    directions = rows / torch.where(lengths > 0, lengths, 1)
    centred = directions - directions.mean(0)
    power = torch.linalg.eigvalsh((centred @ centred.T).double() / len(rows)).clamp(min=0)
    spread = power.sum()
    return float(spread * _entropy(power / spread).exp()) if float(spread) > 1e-9 else 0.0


def _entropy(chances: Tensor) -> Tensor:
    return torch.special.entr(chances).sum(-1)  # type: ignore[no-any-return]
