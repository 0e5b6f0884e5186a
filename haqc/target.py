"""A target: what an accelerator can do and what it costs, in SI units, frozen, checked when made.

Target files (``targets/*.toml``) are read by :mod:`haqc.targets`, which converts to SI once; nothing behind this type
converts again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from haqc.errors import TargetError

Grade = Literal["exact", "published", "calibrated", "datasheet", "estimate"]
GRADES: tuple[Grade, ...] = get_args(Grade)

DepthwiseMode = Literal["block-diagonal", "per-channel"]


@dataclass(frozen=True, slots=True)
class BitSerial:
    """A bit-serial matrix engine (BISMO): a square array of dot-product units over bit planes.

    Attributes:
        clock_hz: cycles per second.
        rows: rows, and equally columns, of the array (D).
        dot_bits: bits of one dot product (Dk).
        fetch_bits_per_cycle: bits delivered per cycle to each of the two operand streams.
        buffer_words: dot-product words that one operand's memory holds over all rows.
        depthwise: how depthwise convolutions map: several channels packed block-diagonally, or one at a time.
        binary_mac_energy_j: energy of one 1x1-bit multiply-accumulate, everything on the board included.
        dram_energy_j_per_bit: energy of one bit read from or written to DRAM.
        output_bits: width at which results are written to DRAM, whatever reads them.
    """

    clock_hz: float
    rows: int
    dot_bits: int
    fetch_bits_per_cycle: int
    buffer_words: int
    depthwise: DepthwiseMode
    binary_mac_energy_j: float
    dram_energy_j_per_bit: float
    output_bits: int

    def __post_init__(self) -> None:
        for field in self.__dataclass_fields__:
            value = getattr(self, field)
            if not isinstance(value, str) and not value > 0:
                raise TargetError(f"{field} must be above zero, not {value}")


@dataclass(frozen=True, slots=True)
class Target:
    """One chip as the compiler sees it.

    Attributes:
        name: short name, as given on the command line.
        title: one line for people.
        batch: inferences that one latency and one energy figure stand for.
        weight_widths, activation_widths: widths the chip can compute with, ascending.
        hardware: the parameters of its kind of hardware.
        latency_grade, energy_grade: how far the figures may be trusted.
        sources: where the numbers come from, by table of the file.
        modes: modes of the cost model that ``--mode`` may pick; the first is the default.
        text: the file's own text, for the fingerprint of a run.
    """

    name: str
    title: str
    batch: int
    weight_widths: tuple[int, ...]
    activation_widths: tuple[int, ...]
    hardware: BitSerial
    latency_grade: Grade
    energy_grade: Grade
    sources: tuple[tuple[str, str], ...]
    modes: tuple[str, ...] = ("reference",)
    text: str = ""

    @property
    def kind(self) -> str:
        """The kind of hardware, as written in target files."""
        return {BitSerial: "bit-serial"}[type(self.hardware)]
