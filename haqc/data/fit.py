"""How a stored array fits a model input: as it is, with an axis of length one more or less, or with axes moved."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from haqc.data.split import InputSpec, Shape, Transform, shape_text
from haqc.errors import DataError

TO_NCHW = (0, 3, 1, 2)
TO_NHWC = (0, 2, 3, 1)
LAYOUT_AXES = {"NHWC": 4, "NCHW": 4, "HW": 3}


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read stored samples.

    Attributes:
        words: what it does, for messages.
        shape: shape of one sample after it.
        order: permutation of the stored axes, the batch included, or ``None``.
        channel_axis: axis of the channels after it, the batch included, or ``None`` when it is not known.
    """

    words: str
    shape: tuple[int, ...]
    order: tuple[int, ...] | None = None
    channel_axis: int | None = None


def fit(array: np.ndarray, name: str, spec: InputSpec, transform: Transform, where: str) -> Transform:
    """Completes a transform for one input.

    Args:
        array: the stored samples, batch first.
        name: what the array is called, for messages.
        spec: the input it is for.
        transform: layout, scale, mean and std as described.
        where: the data's path, for messages.

    Raises:
        DataError: the array cannot be read as the input's shape, or can be read in several ways; its type does not
            fit the input's; or mean and std do not match its channels.
    """
    _check_type(array, name, spec, where)
    if spec.dtype.kind != "f":  # integers are codes or indices, which no scaling concerns
        transform = replace(transform, scale=1.0, mean=(0.0,), std=(1.0,))
    reading = _only_reading(array, name, spec, transform.layout, where)
    return replace(
        transform,
        dtype=spec.dtype,
        order=reading.order,
        sample_shape=None if reading.shape == array.shape[1:] and reading.order is None else reading.shape,
        channel_axis=_channel_axis(reading, transform, name, where),
    )


def _check_type(array: np.ndarray, name: str, spec: InputSpec, where: str) -> None:
    if spec.dtype.kind not in "biuf":
        raise DataError(f"{where}: {spec} takes {spec.dtype}, and haqc feeds numbers only; give a model of numbers")
    if spec.dtype.kind == "f" or array.dtype == spec.dtype:
        return
    low, high = (0, 1) if spec.dtype.kind == "b" else (np.iinfo(spec.dtype).min, np.iinfo(spec.dtype).max)
    if array.dtype.kind == "f" or int(array.min()) < low or int(array.max()) > high:
        raise DataError(
            f"{where}: array '{name}' holds {array.dtype} from {array.min()} to {array.max()}, but input "
            f"'{spec.name}' takes {spec.dtype}; store whole numbers from {low} to {high}"
        )


def _only_reading(array: np.ndarray, name: str, spec: InputSpec, layout: str | None, where: str) -> Reading:
    sample = array.shape[1:]
    if layout is not None and array.ndim != LAYOUT_AXES[layout]:
        raise DataError(
            f"{where}: layout '{layout}' means {LAYOUT_AXES[layout]} axes with the samples', but array '{name}' has "
            f"shape {shape_text(array.shape)}; correct or remove the key 'layout'"
        )
    if layout is None and _matches(sample, spec.sample_shape):
        return Reading("as stored", sample)
    distinct = {(reading.shape, reading.order): reading for reading in _readings(sample, layout)}
    fitting = [reading for reading in distinct.values() if _matches(reading.shape, spec.sample_shape)]
    if len(fitting) == 1:
        return fitting[0]
    stored = f"{where}: array '{name}' of shape {shape_text(array.shape)}"
    if fitting:
        ways = " or ".join(reading.words for reading in fitting)
        step = "store it as the model takes it and remove" if layout else "state which in a data description, with"
        raise DataError(f"{stored} fits {spec} in more than one way ({ways}); {step} the key 'layout'")
    step = "correct the key 'layout'" if layout else "give data of the model's shape"
    raise DataError(f"{stored} does not fit {spec}, in no layout that is known; {step}")


def _readings(sample: tuple[int, ...], layout: str | None) -> list[Reading]:
    if layout is not None and layout != "HW":
        return _image_readings(sample, layout)
    readings = [Reading("as stored", sample)] if layout else []
    readings += [Reading("with one channel first", (1, *sample), channel_axis=1)]
    readings += [Reading("with one channel last", (*sample, 1), channel_axis=len(sample) + 1)]
    if len(sample) == 2:
        readings.append(Reading("with rows strung together", (sample[0] * sample[1],)))
    if layout is None and sample[:1] == (1,):
        readings.append(Reading("without its first axis", sample[1:]))
    if layout is None and sample[-1:] == (1,):
        readings.append(Reading("without its last axis", sample[:-1]))
    if layout is None and len(sample) == 3:
        readings += [_image_readings(sample, "NHWC")[1], _image_readings(sample, "NCHW")[1]]
    return readings


def _image_readings(sample: tuple[int, ...], layout: str) -> list[Reading]:
    """Gives the image as stored, with its channels moved, and without them when there is only one."""
    first, second, third = sample
    if layout == "NHWC":
        height, width, channels = first, second, third
        moved = Reading("as NHWC moved to NCHW", (channels, height, width), TO_NCHW, 1)
        kept = Reading("as NHWC", sample, channel_axis=3)
    else:
        channels, height, width = first, second, third
        moved = Reading("as NCHW moved to NHWC", (height, width, channels), TO_NHWC, 3)
        kept = Reading("as NCHW", sample, channel_axis=1)
    return [kept, moved] + ([Reading("without its one channel", (height, width))] if channels == 1 else [])


def _matches(shape: tuple[int, ...], wanted: Shape) -> bool:
    return len(shape) == len(wanted) and all(w is None or s == w for s, w in zip(shape, wanted, strict=True))


def _channel_axis(reading: Reading, transform: Transform, name: str, where: str) -> int | None:
    if transform.channels == 1:
        return None
    last = len(reading.shape)
    axes = sorted({1, last}) if reading.channel_axis is None else [reading.channel_axis]
    found = [axis for axis in axes if 1 <= axis <= last and reading.shape[axis - 1] == transform.channels]
    if len(found) == 1:
        return found[0]
    problem = "more than one axis could be the channels" if found else "no axis of channels has that length"
    raise DataError(
        f"{where}: 'mean' and 'std' have {transform.channels} entries, but samples of '{name}' reach the model as "
        f"{shape_text(reading.shape)}, where {problem}; give one number, or one per channel and the key 'layout'"
    )
