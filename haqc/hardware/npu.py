"""Neural processing units of one fixed width of multiplication (Arm Ethos-U)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from haqc.errors import TargetError
from haqc.hardware import Streaming, require_positive

FUSED = frozenset({"Relu", "Clip"})
"""Activation functions that run in the output stage."""


@dataclass(frozen=True, slots=True)
class Npu:
    """A processor whose multipliers are 8 bits wide, with weights stored losslessly compressed (Arm Ethos-U).

    Attributes:
        clock_hz: cycles per second.
        cores: cores, which share the output channels of a layer.
        block_height, block_width, block_depth: outputs that a core computes at a time (its micro-block).
        dot_length: multiply-accumulates of each of these outputs per cycle.
        depth_step: input channels come in multiples of this, unless the taps of the kernel are gathered.
        tap_step: taps come in multiples of this when they are gathered.
        weights_per_cycle: weights that a core's decoder delivers.
        channels_per_pass: output channels of one pass over the input, which is read again for every further pass.
        output_cycles_per_value: cycles that the output stage takes for one value, over all cores.
        values_per_block: outputs that pass from the multipliers to the output stage at a time.
        sram_bits_per_s: bits per second of the port to the SRAM that holds activations.
        off_chip_bits_per_s: bits per second of the port to the memory that holds weights.
        cache_bytes: size of the SRAM where activations that do not fit go off the chip; ``None`` where all must fit.
        stored_bits: what a weight of each width takes, by width, after compression.
        channel_bits: bits of bias and scale that come with each output channel.
        mac_energy_j: energy of one multiply-accumulate.
        sram_energy_j_per_bit, off_chip_energy_j_per_bit: energy of one bit through each port.
    """

    kind: ClassVar[str] = "npu"

    clock_hz: float
    cores: int
    block_height: int
    block_width: int
    block_depth: int
    dot_length: int
    depth_step: int
    tap_step: int
    weights_per_cycle: int
    channels_per_pass: int
    output_cycles_per_value: float
    values_per_block: int
    sram_bits_per_s: float
    off_chip_bits_per_s: float
    cache_bytes: int | None
    stored_bits: tuple[tuple[int, float], ...]
    channel_bits: int
    mac_energy_j: float
    sram_energy_j_per_bit: float
    off_chip_energy_j_per_bit: float

    def __post_init__(self) -> None:
        require_positive(self, or_zero=("channel_bits",))
        if not all(bits > 0 for _, bits in self.stored_bits):
            raise TargetError(f"stored bits of weights must be above zero, not {self.stored_bits}; correct the target")
        if self.depth_step % self.dot_length:
            raise TargetError(
                f"channels in multiples of {self.depth_step} leave dot products of {self.dot_length} ragged; "
                "give a multiple of the dot product's length"
            )

    @property
    def modes(self) -> tuple[str, ...]:
        """The one mode, ``estimate``."""
        return ("estimate",)

    @property
    def macs_per_cycle(self) -> int:
        """Multiply-accumulates of all cores at their peak."""
        return self.cores * self.block_height * self.block_width * self.block_depth * self.dot_length

    def streaming(self, mode: str) -> Streaming | None:
        """Gives the SRAM, through which operators without weights read and write."""
        return Streaming(self.sram_bits_per_s, self.sram_energy_j_per_bit, FUSED)
