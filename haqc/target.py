"""A target: what an accelerator can do and what it costs, in SI units, frozen, checked when made.

Target files (``targets/*.toml``) are read by :mod:`haqc.targets`, which converts to SI once; nothing behind this type
converts again. The parameters of each kind of hardware stand in :mod:`haqc.hardware`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from haqc.hardware import Hardware
from haqc.precision import Precision

__all__ = ["GRADES", "Grade", "Precision", "Target"]

Grade = Literal["exact", "published", "calibrated", "datasheet", "estimate"]
GRADES: tuple[Grade, ...] = get_args(Grade)


@dataclass(frozen=True, slots=True)
class Target:
    """One chip as the compiler sees it.

    Attributes:
        name: short name, as given on the command line.
        title: one line for people.
        batch: inferences that one latency and one energy figure stand for.
        precision: the widths that the chip computes with and stores.
        hardware: the parameters of its kind of hardware.
        latency_grade, energy_grade: how far the figures of the default mode may be trusted.
        sources: where the numbers come from, by table of the file.
        text: the file's own text, for the fingerprint of a run.
    """

    name: str
    title: str
    batch: int
    precision: Precision
    hardware: Hardware
    latency_grade: Grade
    energy_grade: Grade
    sources: tuple[tuple[str, str], ...]
    text: str = ""

    @property
    def kind(self) -> str:
        """The kind of hardware, as written in target files."""
        return self.hardware.kind

    @property
    def modes(self) -> tuple[str, ...]:
        """Modes of the cost model that ``--mode`` may pick; the first is the default."""
        return self.hardware.modes

    def grades(self, mode: str) -> tuple[Grade, Grade]:
        """Gives the grades of latency and energy in a mode; those of the file speak of the default mode only."""
        return (self.latency_grade, self.energy_grade) if mode == self.modes[0] else ("estimate", "estimate")
