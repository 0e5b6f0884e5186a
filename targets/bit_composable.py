"""What a target file of kind ``bit-composable`` may say."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from haqc.errors import TargetError
from haqc.hardware.bit_composable import Bank, BankedBuffer, BitComposable, bank_of
from haqc.targets.description import Count, Description, Quantity, Table

_MEGA, _MILLI, _PICO = 1e6, 1e-3, 1e-12

Side = Annotated[int, Field(gt=0, le=4096)]
Operand = Annotated[int, Field(gt=0, le=64)]
Column = Annotated[tuple[Quantity, ...], Field(strict=False, min_length=1)]


class ArrayTable(Table):
    """The array of units."""

    clock_mhz: Quantity
    rows: Side
    columns: Side
    narrowest_bits: Operand
    widest_bits: Operand


class MemoryTable(Table):
    """On-chip buffers and the way to DRAM.

    Each unit has a bank of the weight buffer, each row one of the input buffer, each column one of the result buffer.
    """

    interface_bits_per_cycle: Count
    weight_buffer_bytes: Count
    input_buffer_bytes: Count
    result_buffer_bytes: Count


class BanksTable(Table):
    """Energy and leakage of memory banks, one column a size; in between they are interpolated."""

    word_bits: Operand
    size_bytes: Column
    read_pj: Column
    write_pj: Column
    leakage_mw: Column

    @field_validator("size_bytes")
    @classmethod
    def _ascends(cls, sizes: tuple[float, ...]) -> tuple[float, ...]:
        if any(left >= right for left, right in pairwise(sizes)):
            raise ValueError("must ascend")
        return sizes

    @model_validator(mode="after")
    def _has_no_gap(self) -> BanksTable:
        for name in ("read_pj", "write_pj", "leakage_mw"):
            if len(getattr(self, name)) != len(self.size_bytes):
                raise ValueError(f"must have as many entries of {name} as of size_bytes")
        return self

    @property
    def banks(self) -> tuple[Bank, ...]:
        """The banks in SI units, ascending."""
        rows = zip(self.size_bytes, self.read_pj, self.write_pj, self.leakage_mw, strict=True)
        per_bit = _PICO / self.word_bits
        return tuple(Bank(size, read * per_bit, write * per_bit, leak * _MILLI) for size, read, write, leak in rows)


class EnergyTable(Table):
    """Energy per action."""

    unit_energy_pj: Quantity
    unit_leakage_mw: Quantity
    dram_energy_pj_per_bit: Quantity


class BitComposableDescription(Description):
    """A whole target file of kind ``bit-composable``."""

    kind: Literal["bit-composable"]
    array: ArrayTable
    memory: MemoryTable
    energy: EnergyTable
    operand_banks: BanksTable
    result_banks: BanksTable

    def hardware(self) -> BitComposable:
        """Converts to SI.

        Raises:
            TargetError: the widths are wider than the units, or a figure is better graded than its rows allow.
        """
        array, memory = self.array, self.memory
        for key, widths in (("weight", self.widths.weight), ("activation", self.widths.activation)):
            if widths[-1] > array.widest_bits:
                raise TargetError(
                    f"key '{key}' in [widths] has {widths[-1]} bits, and the units multiply at most "
                    f"{array.widest_bits}; drop the wider widths, or raise widest_bits in [array]"
                )
        operand, result = self.operand_banks.banks, self.result_banks.banks
        return BitComposable(
            clock_hz=array.clock_mhz * _MEGA,
            rows=array.rows,
            columns=array.columns,
            narrowest_bits=array.narrowest_bits,
            widest_bits=array.widest_bits,
            interface_bits_per_cycle=memory.interface_bits_per_cycle,
            weight_buffer=self._buffer(memory.weight_buffer_bytes, array.rows * array.columns, operand),
            input_buffer=self._buffer(memory.input_buffer_bytes, array.rows, operand),
            result_buffer=self._buffer(memory.result_buffer_bytes, array.columns, result),
            unit_energy_j=self.energy.unit_energy_pj * _PICO,
            unit_leakage_w=self.energy.unit_leakage_mw * _MILLI,
            dram_energy_j_per_bit=self.energy.dram_energy_pj_per_bit * _PICO,
        )

    def _buffer(self, size_bytes: int, banks: int, known: tuple[Bank, ...]) -> BankedBuffer:
        """Makes a buffer; what had to be interpolated may be graded ``estimate`` only."""
        bank = bank_of(size_bytes / banks, known)
        if bank not in known and self.grades.energy != "estimate":
            raise TargetError(
                f"a bank of {bank.size_bytes:g} bytes has no row of its own and is interpolated; write "
                'energy = "estimate" in [grades], or add the row'
            )
        return BankedBuffer(banks, bank)
