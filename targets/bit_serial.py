"""What a target file of kind ``bit-serial`` may say."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from haqc.hardware.bit_serial import BitSerial, BitSerialPort, DepthwiseMode
from haqc.targets.description import Count, Description, Quantity, Table

_MEGA, _PICO = 1e6, 1e-12


class ArrayTable(Table):
    """The array of dot-product units."""

    clock_mhz: Quantity
    rows: Annotated[int, Field(gt=0, le=4096)]
    dot_bits: Count
    depthwise: DepthwiseMode


class MemoryTable(Table):
    """On-chip buffers and the way to DRAM."""

    fetch_bits_per_cycle: Count
    buffer_words: Count


class PhysicalTable(Table):
    """What mode ``physical`` adds: one port for all traffic, and the making of bit planes."""

    port_bits_per_cycle: Count
    element_bits: Annotated[int, Field(gt=0, le=64)]
    plane_align_bits: Annotated[int, Field(gt=0, le=2**16)]


class EnergyTable(Table):
    """Energy per action."""

    binary_mac_energy_pj: Quantity
    dram_energy_pj_per_bit: Quantity


class BitSerialDescription(Description):
    """A whole target file of kind ``bit-serial``."""

    kind: Literal["bit-serial"]
    array: ArrayTable
    memory: MemoryTable
    physical: PhysicalTable | None = None
    energy: EnergyTable

    def hardware(self) -> BitSerial:
        """Converts to SI."""
        port = None
        if self.physical is not None:
            port = BitSerialPort(
                self.physical.port_bits_per_cycle, self.physical.element_bits, self.physical.plane_align_bits
            )
        return BitSerial(
            clock_hz=self.array.clock_mhz * _MEGA,
            rows=self.array.rows,
            dot_bits=self.array.dot_bits,
            fetch_bits_per_cycle=self.memory.fetch_bits_per_cycle,
            buffer_words=self.memory.buffer_words,
            depthwise=self.array.depthwise,
            binary_mac_energy_j=self.energy.binary_mac_energy_pj * _PICO,
            dram_energy_j_per_bit=self.energy.dram_energy_pj_per_bit * _PICO,
            port=port,
        )
