"""The spans that are tried where nothing states one, and those that people use."""

from __future__ import annotations

import numpy as np

from haqc.data.span import Span

RAW = 255.0
"""Largest value of a pixel of 8 bits."""

UNIT = Span(-2.0, 2.0)
"""What is assumed where nothing is known: inputs that were normalised to a deviation of (about) 1."""

CONVENTIONS = (Span(0, 1), Span(0, RAW), Span(-1, 1), UNIT, Span(-128, 128))
"""How people scale inputs."""

_SNAP = 2.1


def candidates() -> tuple[Span, ...]:
    """Gives the spans that are tried: powers of two in length, from zero and about zero."""
    lengths = [2.0**exponent for exponent in range(-4, 13)]
    return tuple(span for length in lengths for span in (Span(0, length), Span(-length / 2, length / 2)))


def conventional(span: Span) -> Span:
    """Gives the widest convention of the same kind within a factor of about two, or the span itself.

    Values that were never seen are cut off in the compiled network, which costs far more than a grid that is too wide.

    >>> str(conventional(Span(0, 512))), str(conventional(Span(-1, 1))), str(conventional(Span(0, 16)))
    ('0 to 255', '-2 to 2', '0 to 16')
    """
    near = [
        known
        for known in CONVENTIONS
        if known.is_centred == span.is_centred and max(known.width / span.width, span.width / known.width) <= _SNAP
    ]
    return max(near, key=lambda known: known.width, default=span)


def place(values: np.ndarray, spans: tuple[Span, ...], dtype: np.dtype) -> np.ndarray:
    """Gives values about the unit interval at their places about the spans, which take turns."""
    placed = np.empty(values.shape, dtype)
    for turn, span in enumerate(spans):
        placed[turn :: len(spans)] = span.place(values[turn :: len(spans)], dtype)
    return placed
