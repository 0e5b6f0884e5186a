"""Mirrors images left to right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from haqc.data.split import InputSpec, Split

_PROOF = 64
"""Samples on which the stored axis of the width is recognised."""


def reflect(split: Split) -> Split | None:
    """Gives the samples mirrored left to right, as a view, or ``None`` where they are not one image each.

    Stored images may lie differently from what the model takes, so the axis is found by trying: mirrored along it, the
    stored images must become the model's images, mirrored.
    """
    if len(split.arrays) != 1:
        return None
    (stored,), (transform,) = split.arrays, split.transforms
    (given,) = split.inputs(slice(0, _PROOF))
    channels = InputSpec("", given.dtype, (None, *given.shape[1:])).image_channel_axis
    if channels is None:
        return None
    wanted = np.flip(given, 3 if channels == 1 else 2)
    for axis in range(stored.ndim - 1, 0, -1):
        if np.array_equal(transform.apply(np.flip(stored[:_PROOF], axis)), wanted):
            return replace(split, arrays=(np.flip(stored, axis),))
    return None
