"""Bit-serial matrix engines (BISMO)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from haqc.hardware import Streaming, require_positive

DepthwiseMode = Literal["block-diagonal", "per-channel"]


@dataclass(frozen=True, slots=True)
class BitSerialPort:
    """What the published model leaves out: one port for all, and the step that makes bit planes of activations.

    Attributes:
        bits_per_cycle: bits that the port moves per cycle, for both operand streams and the results together.
        element_bits: width at which activations lie in DRAM before they are cut into bit planes.
        plane_align_bits: a bit plane is written in whole multiples of this.
    """

    bits_per_cycle: int
    element_bits: int
    plane_align_bits: int

    def __post_init__(self) -> None:
        require_positive(self)


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
        port: what mode ``physical`` adds; without it there is no such mode.
    """

    kind: ClassVar[str] = "bit-serial"

    clock_hz: float
    rows: int
    dot_bits: int
    fetch_bits_per_cycle: int
    buffer_words: int
    depthwise: DepthwiseMode
    binary_mac_energy_j: float
    dram_energy_j_per_bit: float
    port: BitSerialPort | None = None

    def __post_init__(self) -> None:
        require_positive(self)

    @property
    def modes(self) -> tuple[str, ...]:
        """``reference`` reproduces the published figures; ``physical`` adds what they leave out."""
        return ("reference",) if self.port is None else ("reference", "physical")

    def streaming(self, mode: str) -> Streaming | None:
        """Gives the port in mode ``physical``; the published model prices layers only."""
        if mode != "physical" or self.port is None:
            return None
        return Streaming(self.port.bits_per_cycle * self.clock_hz, self.dram_energy_j_per_bit)
