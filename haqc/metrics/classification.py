"""Metrics of networks that pick one of several classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from haqc.errors import DataError
from haqc.metrics.metric import Batch, Rows


@dataclass(frozen=True, slots=True)
class TopK:
    """The share of samples whose label is among the ``k`` largest outputs. Labels ``[N]``, outputs ``[N, classes]``."""

    k: int = 1
    unit: str = "%"
    higher_is_better: bool = True
    needs_labels: bool = True
    group: int = 1
    is_mean: bool = True

    @property
    def name(self) -> str:
        """``top-1`` or ``top-5``."""
        return f"top-{self.k}"

    def rows(self, batch: Batch) -> Rows:
        """Gives 1 where the label is among the largest; of equal outputs the first counts as larger."""
        output, labels = batch.outputs[0], batch.labels
        if output.ndim != 2 or output.shape[1] <= self.k:
            raise DataError(
                f"metric '{self.name}' needs an output [samples, classes] of more than {self.k} classes, not "
                f"{list(output.shape)}; choose another --metric, or leave the labels out"
            )
        if labels is None or labels.shape != (len(output),):
            raise DataError(f"metric '{self.name}' needs one class per sample as label; give 'y' of shape [samples]")
        largest = np.argsort(-output, axis=1, kind="stable")[:, : self.k]
        return np.asarray((largest == labels[:, None]).any(axis=1, keepdims=True), np.float64)

    def value(self, rows: Rows) -> float:
        """Gives the share in percent."""
        return float(rows[:, 0].mean() * 100)


@dataclass(frozen=True, slots=True)
class Agreement:
    """The share of samples whose largest output is that of the float network; no accuracy."""

    name: str = "agreement"
    unit: str = "%"
    higher_is_better: bool = True
    needs_labels: bool = False
    group: int = 1
    is_mean: bool = True

    def rows(self, batch: Batch) -> Rows:
        """Gives the share of a sample's positions that agree."""
        assert batch.reference is not None
        agrees = batch.outputs[0].argmax(axis=-1) == batch.reference.argmax(axis=-1)
        return np.asarray(agrees.reshape(len(agrees), -1).mean(axis=1, keepdims=True), np.float64)

    def value(self, rows: Rows) -> float:
        """Gives the share in percent."""
        return float(rows[:, 0].mean() * 100)
