"""A metric of the user's own: a function that the command line names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from haqc.errors import DataError
from haqc.metrics.metric import Batch, Rows, Shape, Traits
from haqc.userfunction import current_folder_importable, find_function


@dataclass(frozen=True, slots=True)
class Custom:
    """A function that is given all outputs and labels, and gives a number, or one per sample; larger is better.

    It is called as ``function(outputs, labels)``: ``outputs`` is an array, or a tuple of arrays where the network has
    several outputs; ``labels`` is an array or ``None``. Both have the samples first.

    Attributes:
        name: ``package.module:function``; it is looked up where it is called, so that it reaches worker processes.
    """

    name: str
    traits: ClassVar[Traits] = Traits(needs_all=True)

    def refusal(self, labels: np.ndarray | None, shape: Shape, *, judges: bool) -> str:
        """Refuses nothing: what fits is the function's to say."""
        return ""

    def rows(self, batch: Batch) -> Rows:
        """Calls the function, and gives its numbers, or its one number as the only row.

        Raises:
            DataError: it cannot be found, raises, or gives anything but finite numbers, one or as many as samples.
        """
        function: Callable[..., object] = find_function(self.name)
        count = len(batch.outputs[0])
        try:
            with current_folder_importable():
                given = function(batch.outputs if len(batch.outputs) > 1 else batch.outputs[0], batch.labels)
        except Exception as error:
            raise DataError(
                f"metric '{self.name}' raised {type(error).__name__}: {error}; mend the function"
            ) from error
        try:
            numbers = np.asarray(given, np.float64)
        except (TypeError, ValueError):
            numbers = np.empty((0, 0))
        if numbers.shape not in ((), (count,)) or not np.isfinite(numbers).all():
            found = "NaN or infinity" if numbers.shape in ((), (count,)) else f"shape {list(numbers.shape)}"
            raise DataError(
                f"metric '{self.name}' gave {type(given).__name__} ({found}) for {count} samples; return one finite "
                "number, or one per sample, larger being better"
            )
        return numbers.reshape(-1, 1)

    def value(self, rows: Rows) -> float:
        """Gives the mean."""
        return float(rows[:, 0].mean())

    def targets(self, inputs: tuple[np.ndarray, ...], labels: np.ndarray | None, shape: Shape) -> np.ndarray | None:
        """Gives nothing: only the function knows what the labels mean."""
        return None

    def class_axis(self, labels: np.ndarray | None, shape: Shape) -> int | None:
        """Gives nothing, for the same reason."""
        return None
