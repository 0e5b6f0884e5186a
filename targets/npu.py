"""What a target file of kind ``npu`` may say."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from haqc.graph import FULL_BITS
from haqc.hardware.npu import Npu
from haqc.targets.description import Count, Description, Quantity, Table

_MEGA, _GIGA, _PICO = 1e6, 1e9, 1e-12
_BITS_PER_BYTE = 8

Side = Annotated[int, Field(gt=0, le=1024)]
StoredBits = Annotated[float, Field(gt=0, le=64)]


class ArrayTable(Table):
    """The multipliers: a micro-block of outputs per core, and the steps that operands come in."""

    clock_mhz: Quantity
    cores: Annotated[int, Field(gt=0, le=64)]
    block_height: Side
    block_width: Side
    block_depth: Side
    dot_length: Side
    depth_step: Side
    tap_step: Side
    weights_per_cycle: Count
    channels_per_pass: Count


class OutputTable(Table):
    """The output stage."""

    cycles_per_value: Quantity
    values_per_block: Count


class MemoryTable(Table):
    """The two ports, and the SRAM where activations that do not fit it go off the chip."""

    sram_gigabytes_per_s: Quantity
    off_chip_gigabytes_per_s: Quantity
    cache_bytes: Count | None = None


class CompressionTable(Table):
    """What one weight takes once it is compressed, for widths 1, 2 and so on to 8 bits."""

    stored_bits: Annotated[tuple[StoredBits, ...], Field(strict=False, min_length=FULL_BITS, max_length=FULL_BITS)]
    channel_bits: Annotated[int, Field(ge=0, le=1024)]

    @field_validator("stored_bits")
    @classmethod
    def _ascends(cls, stored: tuple[float, ...]) -> tuple[float, ...]:
        if list(stored) != sorted(stored):
            raise ValueError("must not fall from one width to the next")
        return stored


class EnergyTable(Table):
    """Energy per action."""

    mac_energy_pj: Quantity
    sram_energy_pj_per_bit: Quantity
    off_chip_energy_pj_per_bit: Quantity


class NpuDescription(Description):
    """A whole target file of kind ``npu``."""

    kind: Literal["npu"]
    array: ArrayTable
    output: OutputTable
    memory: MemoryTable
    compression: CompressionTable
    energy: EnergyTable

    def hardware(self) -> Npu:
        """Converts to SI."""
        return Npu(
            clock_hz=self.array.clock_mhz * _MEGA,
            cores=self.array.cores,
            block_height=self.array.block_height,
            block_width=self.array.block_width,
            block_depth=self.array.block_depth,
            dot_length=self.array.dot_length,
            depth_step=self.array.depth_step,
            tap_step=self.array.tap_step,
            weights_per_cycle=self.array.weights_per_cycle,
            channels_per_pass=self.array.channels_per_pass,
            output_cycles_per_value=self.output.cycles_per_value,
            values_per_block=self.output.values_per_block,
            sram_bits_per_s=self.memory.sram_gigabytes_per_s * _GIGA * _BITS_PER_BYTE,
            off_chip_bits_per_s=self.memory.off_chip_gigabytes_per_s * _GIGA * _BITS_PER_BYTE,
            cache_bytes=self.memory.cache_bytes,
            stored_bits=tuple(enumerate(self.compression.stored_bits, start=1)),
            channel_bits=self.compression.channel_bits,
            mac_energy_j=self.energy.mac_energy_pj * _PICO,
            sram_energy_j_per_bit=self.energy.sram_energy_pj_per_bit * _PICO,
            off_chip_energy_j_per_bit=self.energy.off_chip_energy_pj_per_bit * _PICO,
        )
