"""The values that an input takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RAW = 255.0
"""Largest value of a pixel of 8 bits."""


@dataclass(frozen=True, slots=True)
class Span:
    """An interval that holds (nearly) all values of an input.

    Attributes:
        low, high: its ends.
    """

    low: float
    high: float

    @property
    def width(self) -> float:
        """Its length."""
        return self.high - self.low

    @property
    def is_centred(self) -> bool:
        """Whether zero is its middle."""
        return self.low < 0

    def place(self, values: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Gives values about the unit interval at their places about the span, in a type; whole numbers are rounded.

        A span that begins at zero is a bound on both sides: what has no negative values is no unbounded noise.
        """
        inside = values if self.is_centred else np.clip(values, 0, 1)
        placed = np.float32(self.low) + inside * np.float32(self.width)
        return (placed if dtype.kind == "f" else np.rint(placed)).astype(dtype)

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"


UNIT = Span(-2.0, 2.0)
"""What is assumed where nothing is known: inputs that were normalised to a deviation of (about) 1."""

CONVENTIONS = (Span(0, 1), Span(0, RAW), Span(-0.5, 0.5), Span(-1, 1), UNIT, Span(-128, 128))
"""How people scale inputs."""

_SNAP = 2.1


def candidates() -> tuple[Span, ...]:
    """Gives the spans that are tried: powers of two in length, from zero and about zero."""
    lengths = [2.0**exponent for exponent in range(-4, 13)]
    return tuple(span for length in lengths for span in (Span(0, length), Span(-length / 2, length / 2)))


def conventional(span: Span) -> Span:
    """Gives the convention of the same kind within a factor of about two, or the span itself.

    >>> str(conventional(Span(0, 512))), str(conventional(Span(0, 16)))
    ('0 to 255', '0 to 16')
    """
    ratios = {
        known: max(known.width / span.width, span.width / known.width)
        for known in CONVENTIONS
        if known.is_centred == span.is_centred
    }
    nearest = min(ratios, key=lambda known: ratios[known])
    return nearest if ratios[nearest] <= _SNAP else span
