"""How long a compile trains, calibrates and scores: what was asked for, else what the model's size allows."""

from __future__ import annotations

from dataclasses import dataclass, replace

from haqc.data.split import Dataset
from haqc.effort import Effort
from haqc.errors import DataError
from haqc.reconstruct import Fitting
from haqc.request import Request
from haqc.train import Recipe

START_SAMPLES = 30_000
"""Training samples of the float network's fine-tune before everything else, at most: more do not make it better."""

FEWEST_LONG = 60_000
"""Training samples of the winner's fine-tune that any number of different ones may be repeated for."""

LONG_EPOCHS = 20
"""How often each training sample is seen beyond that."""

FINALISTS = 8
"""Trials that are scored again after a longer fine-tune before one of them is emitted: each allocator's best first."""

FINALIST_FACTOR = 8
"""Length of that fine-tune, in short ones."""

BRIEF = 8
"""How many times shorter the fit of a finalist is than that of the winner."""

BRIEF_KEPT = 512
"""Distinct samples that it reads, at most."""

CLOSING_FACTOR = 2
"""Samples on which a reconstructed network is distilled, for each on which its stretches are fitted."""

LABEL_SHARE = 0.8
"""Share of the labels' loss where nothing else is asked for."""

CHECKPOINTS = 4
"""How often a long fine-tune is scored on the search split, beside its start; the best of these networks counts."""


@dataclass(frozen=True)
class Plan:
    """The counts and recipes of one compile.

    Attributes:
        effort: what the model's size allows.
        start: recipe for the float network that everything else starts from and learns from; of 0 samples where there
            is nothing to learn but what the original network says.
        short, middle, long: recipes for the search, for its finalists, and for the winner.
        final_samples: training samples of the winner's fine-tune; with 0 it gets the short one. Of the distillation
            behind its reconstruction, where there is one instead.
        fitting, closing: of the winner's reconstruction where it is not fine-tuned, and of the distillation behind
            that; of no samples where it is.
        brief: of the finalists' reconstruction there.
    """

    effort: Effort
    start: Recipe
    short: Recipe
    middle: Recipe
    long: Recipe
    final_samples: int
    fitting: Fitting
    closing: Recipe
    brief: Fitting

    @classmethod
    def of(cls, request: Request, effort: Effort, dataset: Dataset, *, has_targets: bool) -> Plan:
        """Settles what the request leaves open: without labels, winners are reconstructed, on real data distilled.

        Args:
            request: what was asked for.
            effort: what the model's size allows.
            dataset: the data.
            has_targets: whether labels, or the inputs of an autoencoder, say what the outputs should be.

        Raises:
            DataError: the labels are to take part, and there are none to train on, or their share is none.
        """
        if request.label_share is not None and not 0 <= request.label_share <= 1:
            raise DataError(
                f"--label-share {request.label_share:g} is no share; give a number from 0, for distillation alone, "
                "to 1, for the labels alone"
            )
        if request.label_share and not has_targets:
            raise DataError(
                f"--label-share {request.label_share:g} needs labels that the metric can be trained on, and "
                f"'{dataset.name}' has none; give labels, or leave the option out to learn from the float network alone"
            )
        first, last = request.finetune, request.final_finetune
        if first is None:
            first = effort.short if has_targets else 0
        share = (LABEL_SHARE if request.label_share is None else request.label_share) if has_targets else 0.0
        usual = effort.reconstruct if request.quantiser == "lsq" else 0
        wanted = usual if request.reconstruct is None else request.reconstruct
        recovers = wanted > 0 and first == 0 and share == 0
        if last is None and recovers:
            last = CLOSING_FACTOR * wanted if request.finetune is None and not dataset.synthetic else 0
        elif last is None:
            is_wanted = has_targets if request.finetune is None else request.finetune > 0
            last = min(effort.long, max(FEWEST_LONG, LONG_EPOCHS * len(dataset.train))) if is_wanted else 0

        def batch(size: int) -> int:
            """Gives a training batch: as asked, but so that an epoch has a few and memory holds it."""
            return min(size, effort.step, max(4, len(dataset.train) // 8))

        any_length = Recipe(0, label_share=share)
        short = replace(any_length, samples=first, batch=batch(16), relative_rate=0.002, step_rate=0.003)
        start = replace(any_length, samples=last // 2, batch=batch(64), checkpoints=CHECKPOINTS)
        final = replace(start, samples=last, relative_rate=0.004)
        long = final if last and not recovers else short
        middle = min(FINALIST_FACTOR * short.samples, long.samples)
        middle = middle if middle > short.samples else 0
        fitting = Fitting(0 if long.samples else wanted, batch=batch(32))
        return cls(
            effort=effort,
            start=replace(start, samples=min(last // 2, START_SAMPLES) if share else 0),
            short=short,
            middle=replace(any_length, samples=middle, batch=min(32, long.batch), relative_rate=0.005),
            long=long,
            final_samples=last,
            fitting=fitting,
            closing=replace(final, batch=batch(32), step_rate=0.001, second_decay=0.999) if recovers else any_length,
            brief=replace(fitting, samples=fitting.samples // BRIEF, kept=min(fitting.kept, BRIEF_KEPT)),
        )
