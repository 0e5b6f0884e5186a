"""How long a compile trains, calibrates and scores: what was asked for, else what the model's size allows."""

from __future__ import annotations

from dataclasses import dataclass

from haqc.data.split import Dataset
from haqc.effort import Effort
from haqc.reconstruct import Fitting
from haqc.request import Request
from haqc.score import Scoring
from haqc.train import Recipe

FINALISTS = 6
"""Trials that are scored again after a longer fine-tune before one of them is emitted."""

FINALIST_FACTOR = 8
"""Length of that fine-tune, in short ones."""


@dataclass(frozen=True)
class Plan:
    """The counts and recipes of one compile.

    Attributes:
        effort: what the model's size allows.
        short, middle, long: recipes for the search, for its finalists, and for the winner.
        final_samples: training samples of the winner's fine-tune; with 0 it gets the short one.
        fitting: of the winner's reconstruction where it is not fine-tuned; of no samples where it is.
    """

    effort: Effort
    short: Recipe
    middle: Recipe
    long: Recipe
    final_samples: int
    fitting: Fitting

    @classmethod
    def of(cls, request: Request, effort: Effort, dataset: Dataset, scoring: Scoring) -> Plan:
        """Settles what the request leaves open: without labels, nothing is trained."""
        first, last = request.finetune, request.final_finetune
        if first is None:
            first = effort.short if scoring.is_accuracy else 0
        if last is None:
            is_wanted = scoring.is_accuracy if request.finetune is None else request.finetune > 0
            last = effort.long if is_wanted else 0

        def batch(size: int) -> int:
            """Gives a training batch: as asked, but so that an epoch has a few and memory holds it."""
            return min(size, effort.step, max(4, len(dataset.train) // 8))

        short = Recipe(first, batch=batch(16), relative_rate=0.002, step_rate=0.003)
        long = Recipe(last, batch=batch(64)) if last else short
        wanted = effort.reconstruct if request.reconstruct is None else request.reconstruct
        middle = min(FINALIST_FACTOR * short.samples, long.samples)
        return cls(
            effort=effort,
            short=short,
            middle=Recipe(middle if middle > short.samples else 0, batch=min(32, long.batch), relative_rate=0.005),
            long=long,
            final_samples=last,
            fitting=Fitting(0 if long.samples else wanted, batch=batch(32)),
        )
