"""The values that an input takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


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
        """Whether it reaches below zero."""
        return self.low < 0

    def place(self, values: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Gives values about the unit interval at their places about the span, in a type; whole numbers are rounded.

        A span that begins at zero is a bound on both sides, as is one of whole numbers: noise does not leave it.
        """
        inside = values if self.is_centred and dtype.kind == "f" else np.clip(values, 0, 1)
        placed = np.float32(self.low) + inside * np.float32(self.width)
        return (placed if dtype.kind == "f" else np.rint(placed)).astype(dtype)

    def __str__(self) -> str:
        return f"{self.low:.4g} to {self.high:.4g}"
