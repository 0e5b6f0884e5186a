"""What was measured on the reported split, and whether the emitted file scores what the mirror does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from haqc.data.split import Dataset
from haqc.metrics import Metric, Rows, paired_standard_error, quality, standard_error


@dataclass(frozen=True, slots=True)
class Measured:
    """What the metric's values on the reported split follow from, and its values on the search split.

    Attributes:
        metric: what was measured.
        original, mirror, emitted: rows of float model, quantised mirror, and emitted file in onnxruntime at its
            defaults, one for each sample.
        finetuned: the float network fine-tuned by the same recipe; ``None`` when nothing was fine-tuned.
        search: the values on the search split, by name (there the emitted file is not run).
        search_count: samples of the search split that were used.
    """

    metric: Metric
    original: Rows
    finetuned: Rows | None
    mirror: Rows
    emitted: Rows
    search: Mapping[str, float | None]
    search_count: int

    def value(self, rows: Rows) -> float:
        """Gives the metric's value."""
        return self.metric.value(rows)

    @property
    def reference(self) -> Rows:
        """The better float network: what a quantised one has to stand beside."""
        original = self.value(self.original)
        if self.finetuned is not None:
            finetuned = quality(self.metric, self.value(self.finetuned), original)
            if finetuned > quality(self.metric, original, original):
                return self.finetuned
        return self.original

    @property
    def tolerance(self) -> float:
        """The difference, in the metric's unit, that is allowed between the emitted file's value and the mirror's.

        It is a tenth of a point, or a thousandth of a value that is no percentage, or two paired standard errors.
        """
        least = 0.1 if self.metric.traits.unit == "%" else 0.001 * abs(self.value(self.mirror))
        return max(least, 2 * paired_standard_error(self.metric, self.emitted, self.mirror))

    @property
    def agrees(self) -> bool:
        """Whether the emitted file scores what the mirror scores."""
        emitted, mirror = self.value(self.emitted), self.value(self.mirror)
        if not math.isfinite(mirror):
            return emitted == mirror or (math.isnan(emitted) and math.isnan(mirror))
        return abs(emitted - mirror) <= self.tolerance

    def to_json(self, dataset: Dataset) -> dict[str, Any]:
        """Gives the report's block ``accuracy``; what is not finite stands as null."""
        metric, traits = self.metric, self.metric.traits
        original, mirror, emitted = (self.value(rows) for rows in (self.original, self.mirror, self.emitted))
        reference = self.reference
        figures = {
            "float": original,
            "float_finetuned": None if self.finetuned is None else self.value(self.finetuned),
            "reference": self.value(reference),
            "mirror": mirror,
            "emitted": emitted,
            "standard_error": standard_error(metric, self.emitted),
            "difference": emitted - self.value(reference),
            "paired_standard_error": paired_standard_error(metric, self.emitted, reference),
        }
        return {
            "metric": metric.name,
            "unit": traits.unit,
            "higher_is_better": traits.higher_is_better,
            "data": dataset.name,
            "split": "reported",
            "count": len(self.emitted),
            **{name: finite(value) for name, value in figures.items()},
            "labels": not traits.is_agreement,
            "data_free": dataset.synthetic,
            "made_up": dict(dataset.made_up),
            "trust": dataset.trust,
            "search": {"count": self.search_count, **{name: finite(value) for name, value in self.search.items()}},
        }


def finite(value: float | None) -> float | None:
    """Gives a figure as a report holds it: ``None`` for what is infinite or no number."""
    return None if value is None or not math.isfinite(value) else value
