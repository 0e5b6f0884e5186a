"""Metrics of networks whose output is a quantity: regression, autoencoders, embeddings against the float network's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from haqc.errors import DataError
from haqc.metrics.metric import Batch, Rows


@dataclass(frozen=True, slots=True)
class MeanError:
    """The mean absolute (``mae``) or squared (``mse``) difference of output and label.

    Where the data have no labels and the output has the shape of the first input, as an autoencoder's, the input is
    what should come out.
    """

    power: int = 1
    unit: str = ""
    higher_is_better: bool = False
    needs_labels: bool = False
    group: int = 1
    is_mean: bool = True

    @property
    def name(self) -> str:
        """``mae`` or ``mse``."""
        return "mae" if self.power == 1 else "mse"

    def rows(self, batch: Batch) -> Rows:
        """Gives the mean over each sample's values."""
        output = batch.outputs[0].astype(np.float64)
        wanted = batch.inputs[0] if batch.labels is None else batch.labels
        if wanted.size != output.size:
            source = "the first input (there are no labels)" if batch.labels is None else "the labels"
            raise DataError(
                f"metric '{self.name}' compares the output of shape {list(output.shape)} with {source} of shape "
                f"{list(wanted.shape)}; give labels of the output's shape"
            )
        gap = np.abs(output - wanted.reshape(output.shape).astype(np.float64)) ** self.power
        return np.asarray(gap.reshape(len(gap), -1).mean(axis=1, keepdims=True), np.float64)

    def value(self, rows: Rows) -> float:
        """Gives the mean over all samples."""
        return float(rows[:, 0].mean())


@dataclass(frozen=True, slots=True)
class Cosine:
    """The cosine of a sample's whole output to the float network's; opposite directions count as 0."""

    name: str = "cosine"
    unit: str = "%"
    higher_is_better: bool = True
    needs_labels: bool = False
    group: int = 1
    is_mean: bool = True

    def rows(self, batch: Batch) -> Rows:
        """Gives the cosine of each sample."""
        assert batch.reference is not None
        a, b = (v.reshape(len(v), -1).astype(np.float64) for v in (batch.outputs[0], batch.reference))
        lengths = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
        norms = lengths[0] * lengths[1]
        cosines = np.clip((a * b).sum(axis=1) / np.where(norms > 0, norms, 1), 0, 1)
        # An output of nothing but zeros has no direction: it is right only where the reference is zero as well.
        return np.asarray(np.where(norms > 0, cosines, lengths[0] == lengths[1])[:, None], np.float64)

    def value(self, rows: Rows) -> float:
        """Gives the mean in percent."""
        return float(rows[:, 0].mean() * 100)
