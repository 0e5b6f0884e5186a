"""Makes up inputs when there are no data: seeded normal noise, smoothed where the input is an image."""

from __future__ import annotations

import math

import numpy as np

from haqc.data.memory import check_size
from haqc.data.split import InputSpec
from haqc.errors import DataError

TRAIN_COUNT, SEARCH_COUNT, REPORTED_COUNT = 1_024, 256, 512
_BLOCK = 64  # samples made at a time, which bounds the memory the smoothing needs


def make_inputs(inputs: tuple[InputSpec, ...], seed: int) -> dict[str, np.ndarray]:
    """Gives 1,792 samples per input under the inputs' names: 1,024 to train, 256 to search and 512 to report on.

    Every value is normal with mean 0 and deviation 1. Images are averaged over squares (wrapping round at the edges)
    of up to a quarter of their side, because pure noise drives a convolution unlike any picture.

    Raises:
        DataError: an input takes integers or has an open axis besides the batch, so that data are needed.
    """
    count = TRAIN_COUNT + SEARCH_COUNT + REPORTED_COUNT
    for spec in inputs:
        _check(spec)
    check_size(sum(count * math.prod(_axes(spec)) * spec.dtype.itemsize for spec in inputs), "synthetic inputs")
    return {spec.name: _samples(spec, count, np.random.default_rng((seed, i))) for i, spec in enumerate(inputs)}


def _check(spec: InputSpec) -> None:
    if spec.dtype.kind != "f":
        raise DataError(
            f"{spec} takes {spec.dtype}, for which no inputs can be made up; "
            "give data with --data, for example an .npz with one array per model input"
        )
    if None in spec.sample_shape:
        raise DataError(
            f"{spec} has an open axis besides the batch, so no inputs can be made up; "
            "give data with --data, or fix the axis in the model"
        )


def _axes(spec: InputSpec) -> tuple[int, ...]:
    return tuple(axis for axis in spec.sample_shape if axis is not None)


def _samples(spec: InputSpec, count: int, generator: np.random.Generator) -> np.ndarray:
    samples = np.empty((count, *_axes(spec)), spec.dtype)
    spatial = () if len(spec.shape) != 4 else (1, 2) if spec.image_channel_axis == 3 else (2, 3)
    for start in range(0, count, _BLOCK):
        block = samples[start : start + _BLOCK]
        noise = generator.standard_normal(block.shape, np.float32)
        for axis in spatial:
            noise = _smooth(noise, axis)
        block[...] = noise
    return samples


def _smooth(noise: np.ndarray, axis: int) -> np.ndarray:
    """Averages along an axis over a power of two of neighbours, keeping the deviation at 1.

    Adding a copy moved by 1, then by 2, 4, ... sums 2, 4, 8, ... neighbours. It is elementwise, hence equal on every
    number of threads.
    """
    width, length = 1, noise.shape[axis]
    while width * 2 <= length // 4:
        noise = noise + np.roll(noise, width, axis)
        width *= 2
    return noise / np.float32(math.sqrt(width))
