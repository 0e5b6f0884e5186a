"""What an evaluation says of a policy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Score:
    """A network's quality on the search split, and what it is ranked by.

    Whether an answer is right says little of how far from wrong it is. So where right answers are counted, policies are
    ranked by the mean probability of what would be right, on the same samples: ``docs/search.md`` has how much more it
    tells. Where a metric is no count, both are the same.

    Attributes:
        accuracy: the percentage, or points (see :mod:`haqc.metrics.quality`) of a metric that is none.
        merit: what is ranked: larger is better, in percent or in the same points.
    """

    accuracy: float
    merit: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.accuracy) and math.isfinite(self.merit)):
            raise ValueError(f"a score of {self.accuracy} and {self.merit}")

    @classmethod
    def of_json(cls, entry: Mapping[str, Any]) -> Score:
        """Reads a score out of a line of a log.

        Raises:
            KeyError, TypeError, ValueError, OverflowError: the line is damaged.
        """
        return cls(float(entry["accuracy"]), float(entry["merit"]))

    def to_json(self) -> dict[str, float]:
        """Gives what stands in a log."""
        return asdict(self)
