"""Scales channels of a model's tensors without changing what it computes, so that they are easier to quantise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir

from haqc.data.split import Split
from haqc.effort import Effort
from haqc.frontend import Front
from haqc.graph import Graph
from haqc.mirror import Mirror
from haqc.passes.equalise import equalise
from haqc.passes.smooth import smooth, smoothable
from haqc.train import runs


def smoothed(front: Front, mirror: Mirror, train: Split, effort: Effort) -> Front | None:
    """Gives the model with outlying channels scaled down, or ``None`` where it has none.

    Args:
        front: the cleaned model.
        mirror: its float mirror.
        train: training samples, of which as many run as calibrate.
        effort: says how many that are, and how many run together.
    """
    tensors = smoothable(front.model)
    if not tensors:
        return None
    largest: dict[str, np.ndarray] = {}
    few = train.take(slice(0, effort.calibration))
    for arrays in runs(mirror, tensors, few, min(64, effort.run)):
        for tensor, array in zip(tensors, arrays, strict=True):
            found = _largest(array)
            largest[tensor] = np.maximum(largest.get(tensor, found), found)
    model = smooth(front.model, largest)
    return None if model is None else replace(front, model=model)


def equalised(front: Front, mirror: Mirror, graph: Graph) -> Front:
    """Gives the model with the ranges of neighbouring layers' weights evened out.

    Args:
        front: the cleaned model.
        mirror: its float mirror.
        graph: its layers.
    """
    model = front.model.clone()
    for name, array in equalise(mirror, front.model, graph).items():
        model.graph.initializers[name].const_value = ir.tensor(array, name=name)
    return replace(front, model=model)


def _largest(array: np.ndarray) -> np.ndarray:
    """Gives the largest magnitude of each channel of an array ``[..., channels]``."""
    flat = np.abs(array).reshape(-1, array.shape[-1])
    found: np.ndarray = flat.max(axis=0, initial=0.0)
    return found
