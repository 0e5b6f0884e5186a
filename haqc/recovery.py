"""What was tried to recover a winner that is not fine-tuned, and what it did to the score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """What a reconstruction did; nothing, if nothing is said.

    Attributes:
        stretches: the tensors at which stretches end, in order; those that reach infinity are left out.
        before, after: squared error of each, relative to its variance, before and after the fit.
        kept: distinct samples that were read.
    """

    stretches: tuple[str, ...] = ()
    before: tuple[float, ...] = ()
    after: tuple[float, ...] = ()
    kept: int = 0


@dataclass(frozen=True, slots=True)
class Recovery:
    """What was tried, each from the calibrated network, and judged.

    Attributes:
        done: what the reconstruction did.
        before: quality on the search split of the calibrated network.
        tried: the same after each way to recover it, by name and in order.
    """

    done: Reconstruction
    before: float
    tried: Mapping[str, float]

    def beside(self, later: Recovery) -> Recovery:
        """Gives what both have tried, each from the same network; at most one of them reconstructed it."""
        return Recovery(later.done if later.done.kept else self.done, self.before, {**self.tried, **later.tried})

    @property
    def after(self) -> float:
        """The best quality of what was tried."""
        return max(self.tried.values())

    @property
    def is_kept(self) -> bool:
        """Whether the network is the best of what was tried: it scores no worse than it did."""
        return self.after >= self.before

    @property
    def best(self) -> str:
        """What scored best, the last of equals."""
        return max(reversed([*self.tried]), key=lambda name: self.tried[name])

    def to_json(self) -> dict[str, Any]:
        """Gives the recovery for the report and for resuming."""
        return {
            "samples": self.done.kept,
            "stretches": [
                {"end": end, "before": before, "after": after}
                for end, before, after in zip(self.done.stretches, self.done.before, self.done.after, strict=True)
            ],
            "search": {"before": self.before, "after": self.after},
            "tried": dict(self.tried),
            "best": self.best,
            "is_kept": self.is_kept,
        }

    @classmethod
    def of_json(cls, content: Mapping[str, Any]) -> Recovery:
        """Gives back what :meth:`to_json` gave; raises any error of Python's own for other content."""
        ends = tuple(str(entry["end"]) for entry in content["stretches"])
        before, after = (tuple(float(entry[name]) for entry in content["stretches"]) for name in ("before", "after"))
        return cls(
            Reconstruction(ends, before, after, int(content["samples"])),
            float(content["search"]["before"]),
            {str(name): float(score) for name, score in content["tried"].items()},
        )
