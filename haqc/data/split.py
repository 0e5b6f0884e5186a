"""Samples as they are stored, and the views of them that training, search and the report read.

Arrays stay as they came (``uint8`` images stay ``uint8``): a :class:`Split` converts one batch at a time, so the
memory of a data set is that of its stored arrays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from haqc.errors import DataError

Shape = tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One input of the model.

    Attributes:
        name: its name in the ONNX graph.
        dtype: the numpy type of its values.
        shape: its axes, the batch first; ``None`` for an axis the model leaves open.
    """

    name: str
    dtype: np.dtype
    shape: Shape

    @property
    def sample_shape(self) -> Shape:
        """The shape of one sample: all axes but the batch."""
        return self.shape[1:]

    @property
    def image_channel_axis(self) -> int | None:
        """The axis of the channels, 1 or 3, of an image input ``[batch, C, H, W]`` or ``[batch, H, W, C]``.

        It is ``None`` when the shape is not of four axes, or when not exactly one of the two has 1, 3 or 4 channels.
        """
        if len(self.shape) != 4:
            return None
        found = [axis for axis in (1, 3) if self.shape[axis] in (1, 3, 4)]
        return found[0] if len(found) == 1 else None

    def __str__(self) -> str:
        return f"input '{self.name}' of shape {shape_text(self.shape)}"


@dataclass(frozen=True, slots=True)
class Transform:
    """What is done to stored values on their way to the model: ``(value * scale - mean) / std``, channel by channel.

    The first four are what a data description states; :func:`haqc.data.fit.fit` fills in the rest for one input.

    Attributes:
        layout: axes of the stored images: ``NHWC``, ``NCHW``, ``HW``, or ``None`` when the shapes speak for themselves.
        scale: factor on the stored value.
        mean, std: subtracted and divided by after scaling; one entry for all channels or one per channel.
        dtype: the model input's type. Arithmetic is in float32, or in float64 when that is the type.
        order: permutation of the stored axes, the batch included, or ``None`` to leave them.
        sample_shape: shape that each sample gets after the permutation, or ``None`` to leave it.
        channel_axis: axis of the result, the batch included, along which ``mean`` and ``std`` lie.
    """

    layout: str | None = None
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    dtype: np.dtype = field(default_factory=lambda: np.dtype(np.float32))
    order: tuple[int, ...] | None = None
    sample_shape: tuple[int, ...] | None = None
    channel_axis: int | None = None

    @property
    def changes_values(self) -> bool:
        """Whether values are more than cast."""
        return self.scale != 1.0 or any(self.mean) or any(value != 1.0 for value in self.std)

    @property
    def channels(self) -> int:
        """The number of channels that ``mean`` and ``std`` tell apart; 1 when they do not."""
        return max(len(self.mean), len(self.std))

    def apply(self, stored: np.ndarray) -> np.ndarray:
        """Gives a batch as the model takes it, as a new contiguous array.

        Args:
            stored: a batch of stored samples, batch first.
        """
        values = stored if self.order is None else stored.transpose(self.order)
        if self.sample_shape is not None:
            values = values.reshape(len(stored), *self.sample_shape)
        if not self.changes_values:
            return np.array(values, dtype=self.dtype, order="C")
        result = np.array(values, dtype=np.promote_types(self.dtype, np.float32), order="C")
        result *= self.scale
        result -= self._along_channels(self.mean, result)
        result /= self._along_channels(self.std, result)
        return result.astype(self.dtype, copy=False)

    def _along_channels(self, numbers: tuple[float, ...], result: np.ndarray) -> np.ndarray:
        shape = [1] * result.ndim
        if len(numbers) > 1 and self.channel_axis is not None:
            shape[self.channel_axis] = len(numbers)
        return np.array(numbers, dtype=result.dtype).reshape(shape)


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Some samples, as stored, with what turns them into the model's inputs.

    Attributes:
        arrays: one array per model input, in the model's order, samples along the first axis.
        labels: what is said of each sample, samples along the first axis, or ``None``; see :mod:`haqc.metrics`.
        transforms: one per array.
        samples_per_run: how many samples one run of the cleaned model takes, no more and no fewer; ``None`` for any.

    Raises:
        DataError: the lengths differ.
    """

    arrays: tuple[np.ndarray, ...]
    labels: np.ndarray | None
    transforms: tuple[Transform, ...]
    samples_per_run: int | None = None

    def __post_init__(self) -> None:
        lengths = [len(array) for array in self.arrays] + ([] if self.labels is None else [len(self.labels)])
        if not self.arrays or len(set(lengths)) != 1 or len(self.transforms) != len(self.arrays):
            raise DataError(
                f"arrays and labels have {lengths} samples and there are {len(self.transforms)} transforms; "
                "give as many samples in each array as labels, and one transform per array"
            )

    def __len__(self) -> int:
        return len(self.arrays[0])

    def inputs(self, index: slice | np.ndarray) -> tuple[np.ndarray, ...]:
        """Gives the chosen samples as the model takes them, one new array per input.

        Args:
            index: a slice, or an array of sample numbers.
        """
        return tuple(t.apply(array[index]) for t, array in zip(self.transforms, self.arrays, strict=True))

    def take(self, index: slice | np.ndarray) -> Split:
        """Gives the chosen samples as a split; a slice shares memory, an array of sample numbers copies."""
        labels = None if self.labels is None else self.labels[index]
        return Split(tuple(array[index] for array in self.arrays), labels, self.transforms, self.samples_per_run)

    def runs(self, size: int) -> Iterator[tuple[tuple[np.ndarray, ...], int]]:
        """Yields what one run after the other takes, in order, and how many of its samples count.

        At most ``size`` samples a run; where the model takes a fixed number, exactly so many, and the last run is
        filled up with the last sample, which does not count again.
        """
        step = self.samples_per_run or size
        for start in range(0, len(self), step):
            count = min(step, len(self) - start)
            if self.samples_per_run is None or count == step:
                yield self.inputs(slice(start, start + count)), count
            else:
                yield self.inputs(np.minimum(np.arange(start, start + step), len(self) - 1)), count

    def batches(self, size: int) -> Iterator[tuple[tuple[np.ndarray, ...], np.ndarray | None]]:
        """Yields inputs and labels, ``size`` samples at a time, in order; the last batch may be smaller."""
        if size < 1:
            raise ValueError(f"a batch must hold at least one sample, not {size}")
        for start in range(0, len(self), size):
            chosen = slice(start, start + size)
            yield self.inputs(chosen), None if self.labels is None else self.labels[chosen]


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """The three splits of a data set.

    Attributes:
        train: what fine-tuning and calibration read.
        search: what the search and every choice read.
        reported: what the reported accuracy is measured on, once, at the end.
        name: the data's file, folder or function name, for reports.
        digest: SHA-256 of what is stored and how it is transformed and split; no path and no date enters it.
        synthetic: whether the samples are made up because there was no data.
        made_up: what was made up for each input, in words; empty when there was data.
        trust: how far agreement on made-up samples can be trusted, in a sentence; empty when there was data.
    """

    train: Split
    search: Split
    reported: Split
    name: str
    digest: str
    synthetic: bool
    made_up: Mapping[str, str] = field(default_factory=dict)
    trust: str = ""

    @property
    def sample_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shape of one sample of every input, as the model takes it."""
        return tuple(array.shape[1:] for array in self.train.inputs(slice(0, 1)))

    @property
    def has_labels(self) -> bool:
        """Whether every sample has a label, so that accuracy can be measured."""
        return all(split.labels is not None for split in (self.train, self.search, self.reported))


def shape_text(shape: Shape) -> str:
    """Writes a shape for a message, with ``?`` for an open axis.

    >>> shape_text((None, 1, 28, 28))
    '[?, 1, 28, 28]'
    """
    return "[" + ", ".join("?" if axis is None else str(axis) for axis in shape) + "]"
