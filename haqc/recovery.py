"""What a reconstruction did, stretch by stretch and to the score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """What a reconstruction did.

    Attributes:
        stretches: the tensors at which stretches end, in order; those that reach infinity are left out.
        before, after: squared error of each, relative to its variance, before and after the fit.
        kept: distinct samples that were read.
    """

    stretches: tuple[str, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]
    kept: int


@dataclass(frozen=True, slots=True)
class Recovery:
    """A reconstruction, judged.

    Attributes:
        done: what was done.
        before, after: quality on the search split before and after it.
    """

    done: Reconstruction
    before: float
    after: float

    @property
    def is_kept(self) -> bool:
        """Whether the network is the reconstructed one: it scores no worse than it did."""
        return self.after >= self.before

    def to_json(self) -> dict[str, Any]:
        """Gives the recovery for the report and for resuming."""
        return {
            "samples": self.done.kept,
            "stretches": [
                {"end": end, "before": before, "after": after}
                for end, before, after in zip(self.done.stretches, self.done.before, self.done.after, strict=True)
            ],
            "search": {"before": self.before, "after": self.after},
            "is_kept": self.is_kept,
        }

    @classmethod
    def of_json(cls, content: Mapping[str, Any]) -> Recovery:
        """Gives back what :meth:`to_json` gave; raises any error of Python's own for other content."""
        ends = tuple(str(entry["end"]) for entry in content["stretches"])
        before, after = (tuple(float(entry[name]) for entry in content["stretches"]) for name in ("before", "after"))
        search = content["search"]
        return cls(
            Reconstruction(ends, before, after, int(content["samples"])),
            float(search["before"]),
            float(search["after"]),
        )
