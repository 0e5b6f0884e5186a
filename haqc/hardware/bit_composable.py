"""Bit-composable systolic arrays (BitFusion)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from haqc.errors import TargetError
from haqc.hardware import Streaming, require_positive


@dataclass(frozen=True, slots=True)
class Bank:
    """One bank of on-chip memory.

    Attributes:
        size_bytes: what it holds.
        read_energy_j_per_bit, write_energy_j_per_bit: energy of one bit read from or written to it.
        leakage_w: what it leaks.
    """

    size_bytes: float
    read_energy_j_per_bit: float
    write_energy_j_per_bit: float
    leakage_w: float

    def __post_init__(self) -> None:
        require_positive(self)


@dataclass(frozen=True, slots=True)
class BankedBuffer:
    """One operand's on-chip memory: equal banks, half of each filled while the other half is read.

    Attributes:
        banks: how many banks.
        bank: one of them.
    """

    banks: int
    bank: Bank

    def __post_init__(self) -> None:
        require_positive(self)

    @property
    def half_bits(self) -> float:
        """Bits that one of the two halves holds."""
        return self.banks * self.bank.size_bytes * 8 / 2

    @property
    def leakage_w(self) -> float:
        """What all banks leak together."""
        return self.banks * self.bank.leakage_w


@dataclass(frozen=True, slots=True)
class BitComposable:
    """An array of units that each split into narrow multipliers or join them into one wide one (BitFusion).

    Attributes:
        clock_hz: cycles per second.
        rows: units along the reduction (N).
        columns: units along the output channels (M).
        narrowest_bits, widest_bits: a unit does one product of two operands of the widest width in a cycle, and
            ``(widest_bits // narrowest_bits) ** 2`` of the narrowest; narrower operands compute like these.
        interface_bits_per_cycle: bits that the way to DRAM moves per cycle.
        weight_buffer, input_buffer, result_buffer: on-chip memories (WBUF, IBUF, OBUF).
        unit_energy_j: energy of one unit in one cycle in which it works.
        unit_leakage_w: what one unit leaks.
        dram_energy_j_per_bit: energy of one bit read from or written to DRAM.
    """

    kind: ClassVar[str] = "bit-composable"

    clock_hz: float
    rows: int
    columns: int
    narrowest_bits: int
    widest_bits: int
    interface_bits_per_cycle: int
    weight_buffer: BankedBuffer
    input_buffer: BankedBuffer
    result_buffer: BankedBuffer
    unit_energy_j: float
    unit_leakage_w: float
    dram_energy_j_per_bit: float

    def __post_init__(self) -> None:
        require_positive(self)
        if self.narrowest_bits > self.widest_bits:
            raise TargetError(
                f"narrowest_bits is {self.narrowest_bits} and widest_bits {self.widest_bits}; the first must not be "
                "above the second"
            )

    @property
    def modes(self) -> tuple[str, ...]:
        """``reference`` is the published simulator; ``corrected`` mends its known defects."""
        return ("reference", "corrected")

    @property
    def units(self) -> int:
        """Units of the array."""
        return self.rows * self.columns

    @property
    def leakage_w(self) -> float:
        """What the array and the buffers leak together."""
        buffers = (self.weight_buffer, self.input_buffer, self.result_buffer)
        return self.units * self.unit_leakage_w + sum(buffer.leakage_w for buffer in buffers)

    def products_per_unit(self, weight_bits: int, activation_bits: int) -> int:
        """Gives how many products of these widths a unit does in a cycle.

        Raises:
            TargetError: an operand is wider than the widest.
        """
        if max(weight_bits, activation_bits) > self.widest_bits:
            raise TargetError(
                f"a unit multiplies operands of at most {self.widest_bits} bits, not {weight_bits}/{activation_bits} "
                "(weights/activations); drop the wider widths from [widths]"
            )
        return math.prod(self.widest_bits // max(bits, self.narrowest_bits) for bits in (weight_bits, activation_bits))

    def streaming(self, mode: str) -> Streaming | None:
        """Gives the way to DRAM in mode ``corrected``; the published simulator prices layers only."""
        if mode == "reference":
            return None
        return Streaming(self.interface_bits_per_cycle * self.clock_hz, self.dram_energy_j_per_bit)


def bank_of(size_bytes: float, known: Sequence[Bank]) -> Bank:
    """Gives the bank of a size, interpolated between its neighbours where it is not known itself.

    Energies and leakage are straight lines over the size, all of them as logarithms.

    Args:
        size_bytes: the size.
        known: banks of other sizes, ascending.

    Raises:
        TargetError: the size lies outside the known ones.

    >>> small, large = Bank(512, 1.0, 4.0, 1.0), Bank(2048, 4.0, 4.0, 9.0)
    >>> bank_of(1024, (small, large))
    Bank(size_bytes=1024, read_energy_j_per_bit=2.0, write_energy_j_per_bit=4.0, leakage_w=3.0)
    """
    for bank in known:
        if bank.size_bytes == size_bytes:
            return bank
    larger = next((place for place, bank in enumerate(known) if bank.size_bytes > size_bytes), 0)
    if larger == 0:
        sizes = ", ".join(f"{bank.size_bytes:g}" for bank in known)
        raise TargetError(
            f"a bank of {size_bytes:g} bytes lies outside the known sizes ({sizes}); add a row for it, or change the "
            "size of the buffer"
        )
    below, above = known[larger - 1], known[larger]
    share = math.log(size_bytes / below.size_bytes) / math.log(above.size_bytes / below.size_bytes)

    def between(low: float, high: float) -> float:
        return low * math.pow(high / low, share)

    return Bank(
        size_bytes,
        between(below.read_energy_j_per_bit, above.read_energy_j_per_bit),
        between(below.write_energy_j_per_bit, above.write_energy_j_per_bit),
        between(below.leakage_w, above.leakage_w),
    )
