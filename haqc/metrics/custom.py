"""A metric of the user's own: a function that the command line names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from haqc.errors import DataError
from haqc.metrics.metric import Batch, Rows
from haqc.userfunction import find_function


@dataclass(frozen=True, slots=True)
class Custom:
    """A function that is given a batch's outputs and its labels, and gives one number per sample, larger being better.

    It is called as ``function(outputs, labels)``: ``outputs`` is an array, or a tuple of arrays where the network has
    several outputs; ``labels`` is an array or ``None``. Both have the samples first.

    Attributes:
        name: ``package.module:function``; it is looked up where it is called, so that it reaches worker processes.
    """

    name: str
    unit: str = ""
    higher_is_better: bool = True
    needs_labels: bool = False
    group: int = 1
    is_mean: bool = True

    def rows(self, batch: Batch) -> Rows:
        """Calls the function.

        Raises:
            DataError: it cannot be found, raises, or gives anything but one finite number per sample.
        """
        function: Callable[..., object] = find_function(self.name)
        count = len(batch.outputs[0])
        try:
            given = function(batch.outputs if len(batch.outputs) > 1 else batch.outputs[0], batch.labels)
        except Exception as error:
            raise DataError(
                f"metric '{self.name}' raised {type(error).__name__}: {error}; mend the function"
            ) from error
        try:
            numbers = np.asarray(given, np.float64)
        except (TypeError, ValueError):
            numbers = np.empty(0)
        if numbers.shape != (count,) or not np.isfinite(numbers).all():
            raise DataError(
                f"metric '{self.name}' gave {type(given).__name__} of shape {list(np.shape(numbers))} for {count} "
                "samples; return one finite number per sample, larger being better"
            )
        return numbers[:, None]

    def value(self, rows: Rows) -> float:
        """Gives the mean."""
        return float(rows[:, 0].mean())
