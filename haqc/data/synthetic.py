"""Makes up inputs when there are no data: each input gets values of the kind that the model reads it as."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from haqc.data.split import InputSpec
from haqc.errors import DataError
from haqc.memory import check_size

_BLOCK = 64  # samples made at a time, which bounds the memory the smoothing needs


@dataclass(frozen=True, slots=True)
class Counts:
    """How many samples are made up for each split."""

    train: int = 1_024
    search: int = 256
    reported: int = 512


@dataclass(frozen=True, slots=True)
class Role:
    """What the model does with an input.

    Attributes:
        kind: ``index`` when it picks rows of a table, ``mask`` when it says which places count, else ``data``.
        limit: rows of the table, for an index: values lie in ``[0, limit)``.
    """

    kind: Literal["data", "index", "mask"] = "data"
    limit: int = 0


def make_inputs(
    inputs: tuple[InputSpec, ...], seed: int, roles: Mapping[str, Role] | None = None, counts: Counts | None = None
) -> dict[str, np.ndarray]:
    """Gives samples for each input under the inputs' names, those to train first, then to search, then to report on.

    Data are normal with mean 0 and deviation 1. Images are averaged over squares (wrapping round at the edges) of up
    to a quarter of their side, because pure noise drives a convolution unlike any picture. Indices are drawn evenly
    from the rows of their table; masks, and whole numbers that pick nothing, are ones.

    Args:
        inputs: the model's inputs.
        seed: of all draws.
        roles: what the model does with its inputs; data where nothing is said.
        counts: samples of each split; 1,024, 256 and 512 when ``None``.

    Raises:
        DataError: an input has an open axis besides the batch, so that its length must be given, or the samples would
            not fit into memory.
    """
    chosen = counts or Counts()
    count = chosen.train + chosen.search + chosen.reported
    check_inputs(inputs, count)
    made = {}
    for place, spec in enumerate(inputs):
        role = (roles or {}).get(spec.name, Role())
        made[spec.name] = _samples(spec, role, count, np.random.default_rng((seed, place)))
    return made


def check_inputs(inputs: tuple[InputSpec, ...], count: int) -> None:
    """Checks that ``count`` samples of every input can be made up.

    Raises:
        DataError: an input has an open axis besides the batch, so that its length must be given, or a type that is no
            number, or the samples would not fit into memory.
    """
    for spec in inputs:
        _check(spec)
    check_size(sum(count * math.prod(_axes(spec)) * spec.dtype.itemsize for spec in inputs), "synthetic inputs")


def words_for(spec: InputSpec, role: Role) -> str:
    """Says what is made up for an input."""
    if role.kind == "index":
        return f"whole numbers from 0 to {_largest(spec, role)}, drawn evenly: rows of the table it picks from"
    if _is_ones(spec, role):
        return "ones: a mask that hides nothing" if role.kind == "mask" else "ones: whole numbers that pick no row"
    smoothed = ", smoothed as an image" if len(spec.shape) == 4 else ""
    return f"normal noise of mean 0 and deviation 1{smoothed}"


def _check(spec: InputSpec) -> None:
    if spec.dtype.kind not in "biuf":
        raise DataError(f"{spec} takes {spec.dtype}, for which nothing can be made up; give data with --data")
    if None in spec.sample_shape:
        example = ",".join("1" if place == 0 else str(axis or 128) for place, axis in enumerate(spec.shape))
        raise DataError(
            f"{spec} has an open axis besides the batch, so no inputs can be made up; state the length you mean, for "
            f"example --shape {spec.name}={example}, or give data with --data"
        )


def _axes(spec: InputSpec) -> tuple[int, ...]:
    return tuple(axis for axis in spec.sample_shape if axis is not None)


def _is_ones(spec: InputSpec, role: Role) -> bool:
    return role.kind == "mask" or spec.dtype.kind != "f"


def _largest(spec: InputSpec, role: Role) -> int:
    return role.limit - 1 if spec.dtype.kind not in "iu" else min(role.limit - 1, int(np.iinfo(spec.dtype).max))


def _samples(spec: InputSpec, role: Role, count: int, generator: np.random.Generator) -> np.ndarray:
    if role.kind == "index":
        return generator.integers(0, _largest(spec, role) + 1, (count, *_axes(spec))).astype(spec.dtype)
    if _is_ones(spec, role):
        return np.ones((count, *_axes(spec)), spec.dtype)
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
