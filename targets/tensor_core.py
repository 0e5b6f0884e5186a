"""What a target file of kind ``tensor-core`` may say."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from haqc.graph import FULL_BITS
from haqc.hardware.tensor_core import TensorCore, TensorRate
from haqc.targets.description import Count, Description, Quantity, Table

_MEGA, _GIGA, _TERA = 1e6, 1e9, 1e12
_MICRO, _PICO = 1e-6, 1e-12
_OPERATIONS_PER_MAC = 2
_BITS_PER_BYTE = 8
_PAIR = re.compile(r"([1-8])/([1-8])")

Tile = Annotated[tuple[Annotated[int, Field(gt=0, le=4096)], Annotated[int, Field(gt=0, le=4096)]], Field(strict=False)]
NotNegative = Annotated[float, Field(ge=0, le=1e9)]


class MatrixTable(Table):
    """The matrix units: peak rates by pair of widths ("weights/activations"), and the tiles of their kernels.

    A tera-operation counts a multiply-accumulate as two, as data sheets do.
    """

    clock_mhz: Quantity
    multiprocessors: Count
    peak_tera_ops_per_s: Annotated[dict[str, Quantity], Field(min_length=1)]
    tiles: Annotated[tuple[Tile, ...], Field(strict=False, min_length=1, max_length=16)]
    tile_depth_bits: Count
    efficiency: Annotated[float, Field(gt=0, le=1)]

    @field_validator("peak_tera_ops_per_s")
    @classmethod
    def _is_by_pair(cls, rates: dict[str, float]) -> dict[str, float]:
        wrong = [pair for pair in rates if not _PAIR.fullmatch(pair)]
        if wrong:
            raise ValueError(f'must be by pairs of widths like "8/8", which {wrong[0]!r} is not')
        if f"{FULL_BITS}/{FULL_BITS}" not in rates:
            raise ValueError(f'must have "{FULL_BITS}/{FULL_BITS}", which budgets refer to')
        return rates


class VectorTable(Table):
    """The units for what is no matrix product, in 32-bit float."""

    peak_tera_ops_per_s: Quantity


class DramTable(Table):
    """The memory of the board."""

    gigabytes_per_s: Quantity


class KernelTable(Table):
    """What starting a kernel takes, and which operators need none of their own."""

    launch_us: NotNegative
    fused: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=100)], ...], Field(strict=False)]


class PowerTable(Table):
    """Power of the board, at its peak and at rest, and energy of its memory."""

    board_power_w: Quantity
    static_power_w: NotNegative
    dram_energy_pj_per_bit: Quantity


class TensorCoreDescription(Description):
    """A whole target file of kind ``tensor-core``."""

    kind: Literal["tensor-core"]
    matrix: MatrixTable
    vector: VectorTable
    dram: DramTable
    kernel: KernelTable
    energy: PowerTable

    def hardware(self) -> TensorCore:
        """Converts to SI, and checks that every allowed pair has a rate."""
        rates = []
        for pair, tera_ops in self.matrix.peak_tera_ops_per_s.items():
            weight, activation = map(int, pair.split("/"))
            rates.append(TensorRate(weight, activation, tera_ops * _TERA / _OPERATIONS_PER_MAC))
        return TensorCore(
            clock_hz=self.matrix.clock_mhz * _MEGA,
            multiprocessors=self.matrix.multiprocessors,
            rates=tuple(rates),
            tiles=self.matrix.tiles,
            tile_depth_bits=self.matrix.tile_depth_bits,
            efficiency=self.matrix.efficiency,
            vector_macs_per_s=self.vector.peak_tera_ops_per_s * _TERA / _OPERATIONS_PER_MAC,
            dram_bits_per_s=self.dram.gigabytes_per_s * _GIGA * _BITS_PER_BYTE,
            launch_s=self.kernel.launch_us * _MICRO,
            board_power_w=self.energy.board_power_w,
            static_power_w=self.energy.static_power_w,
            dram_energy_j_per_bit=self.energy.dram_energy_pj_per_bit * _PICO,
            fused=frozenset(self.kernel.fused),
        )
