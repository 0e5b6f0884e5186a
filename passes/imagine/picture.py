"""Draws what inputs may look like when nothing but their shape is known; all values lie about the unit interval.

Pictures are dead leaves: discs and rectangles that hide each other, with sizes distributed as the inverse cube, which
have the edges, the flat parts and the spectrum of natural images (Lee, Mumford and Huang, IJCV 2001), and from which
networks learn nearly as much (Baradad et al., NeurIPS 2021).
"""

from __future__ import annotations

import math

import numpy as np

from haqc.data import InputSpec

_SHAPES = 60
"""Shapes in a picture."""

_COLOUR = 0.25
"""How far the channels of a shape may differ; natural images are nearly grey."""

_COLOURS = 4
"""Channels up to this many are colours; more are measurements of their own."""

_SIDES = 32
"""The smallest shape is this part of the longer side, or a pixel."""

_DEVIATION = 0.25
"""Of noise, about a mean of a half, so that the unit interval holds two deviations each way."""


def draw(spec: InputSpec, count: int, generator: np.random.Generator) -> np.ndarray:
    """Gives samples for an input, float32 ``[count, ...]``.

    Inputs of four axes are pictures, series (``[N, C, T]`` with one or two channels) have the spectrum 1/f, and
    everything else is noise.
    """
    shape = _axes(spec)
    if len(shape) == 3:
        return _as_stored(_leaves(count, *_picture(spec), generator), spec)
    if len(shape) == 2 and shape[0] <= 2 < shape[1]:
        return _smooth(generator.standard_normal((count, *shape), np.float32), (2,))
    return _half(generator.standard_normal((count, *shape), np.float32))


def draw_smooth(spec: InputSpec, count: int, generator: np.random.Generator) -> np.ndarray:
    """Gives samples without edges: inputs of four axes have the spectrum of 1/f, everything else is as above."""
    if len(_axes(spec)) != 3:
        return draw(spec, count, generator)
    noise = generator.standard_normal((count, *_picture(spec)), np.float32)
    return _as_stored(_smooth(noise, (2, 3)), spec)


def structure(spec: InputSpec) -> str:
    """Says what is drawn for an input, in words."""
    shape = _axes(spec)
    if len(shape) == 3:
        return "pictures of shapes that hide each other"
    return "series whose spectrum is 1/f" if len(shape) == 2 and shape[0] <= 2 < shape[1] else "normal noise"


def _axes(spec: InputSpec) -> tuple[int, ...]:
    return tuple(axis for axis in spec.sample_shape if axis is not None)


def _picture(spec: InputSpec) -> tuple[int, int, int]:
    """Gives channels, height and width of an input of four axes."""
    first, second, third = _axes(spec)
    return (third, first, second) if spec.image_channel_axis == 3 else (first, second, third)


def _as_stored(pictures: np.ndarray, spec: InputSpec) -> np.ndarray:
    if spec.image_channel_axis != 3:
        return pictures
    return np.ascontiguousarray(pictures.transpose(0, 2, 3, 1))


def _leaves(count: int, channels: int, height: int, width: int, generator: np.random.Generator) -> np.ndarray:
    pictures = np.empty((count, channels, height, width), np.float32)
    least, most = max(1.0, max(height, width) / _SIDES), max(height, width) / 2
    far, near = 1 / max(most, least) ** 2, 1 / least**2
    for picture in pictures:
        radii = 1 / np.sqrt(far + generator.random(_SHAPES) * (near - far))
        rows, columns = generator.random(_SHAPES) * height, generator.random(_SHAPES) * width
        grey, tint = generator.random((_SHAPES + 1, 1)), generator.random((_SHAPES + 1, channels))
        colours = np.clip(grey + _COLOUR * (tint - 0.5), 0, 1) if channels <= _COLOURS else tint
        picture[...] = colours[-1][:, None, None]
        is_disc = generator.random(_SHAPES) < 0.5
        for row, column, radius, colour, disc in zip(rows, columns, radii, colours[:-1], is_disc, strict=True):
            _paint(picture, row, column, radius, colour, disc)
    return pictures


def _paint(picture: np.ndarray, row: float, column: float, radius: float, colour: np.ndarray, is_disc: bool) -> None:
    """Puts a disc, or a rectangle of that half height, over what is there."""
    half = radius if is_disc else 0.8 * radius
    top, left = max(0, math.ceil(row - radius)), max(0, math.ceil(column - half))
    part = picture[:, top : math.ceil(row + radius), left : math.ceil(column + half)]
    if not is_disc:
        part[...] = colour[:, None, None]
        return
    down = np.arange(top, top + part.shape[1])[:, None] - row
    across = np.arange(left, left + part.shape[2]) - column
    inside = down**2 + across**2 < radius**2
    part[:, inside] = colour[:, None]


def _smooth(noise: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Gives noise the spectrum 1/f along some axes, and each sample mean 0.5 and one deviation."""
    squared = np.zeros([noise.shape[axis] for axis in axes])
    for place, axis in enumerate(axes):
        shape = [-1 if other == place else 1 for other in range(len(axes))]
        squared = squared + np.fft.fftfreq(noise.shape[axis]).reshape(shape) ** 2
    amplitude = 1 / np.sqrt(squared + 1 / max(squared.shape) ** 2)
    samples = np.fft.ifftn(np.fft.fftn(noise, axes=axes) * amplitude, axes=axes).real
    inner = tuple(range(1, samples.ndim))
    samples -= samples.mean(inner, keepdims=True)
    samples /= samples.std(inner, keepdims=True) + 1e-12
    return _half(samples.astype(np.float32))


def _half(noise: np.ndarray) -> np.ndarray:
    return np.float32(0.5) + np.float32(_DEVIATION) * noise
