"""Runs of the float network over samples, some at a time, without gradients."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from haqc.mirror import Mirror


def forward(
    mirror: Mirror, inputs: tuple[np.ndarray, ...], wanted: tuple[str, ...], run: int
) -> Iterator[tuple[Tensor, ...]]:
    """Yields the wanted tensors of each run.

    Args:
        mirror: the float network.
        inputs: samples, one array per input.
        wanted: names of tensors.
        run: samples that run together.
    """
    for start in range(0, len(inputs[0]), run):
        with torch.no_grad():  # not round the yield, where it would hold for whoever reads
            given = mirror.tensors(array[start : start + run] for array in inputs)
            values = mirror.run(given, wanted)
        yield values
