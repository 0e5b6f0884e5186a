"""Accesses to the on-chip buffers of a bit-composable array, and energies (BitFusion, ISCA 2018).

Within a tile the array keeps inputs, results or weights in place, whichever has the least traffic by a proxy that
counts padded extents; the accesses then follow from the extents without padding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from haqc.costmodel.bit_composable_tiling import Tilings
from haqc.costmodel.bit_composable_traffic import Corrections
from haqc.costmodel.prices import Reals
from haqc.hardware.bit_composable import BitComposable


class Accesses(NamedTuple):
    """Bits read from and written to each buffer and DRAM, by candidate or cell.

    Attributes:
        input_reads, weight_reads: reads of the buffers by the array.
        result_accesses: reads, and as many writes, of the result buffer, by the array and for DRAM; a first partial
            sum that is not loaded is written all the same, as a bias, and the last one is read before it is narrowed.
        moved_inputs, moved_weights: bits from DRAM, written to the buffers.
        loaded_results, stored_results: partial sums and results from and to DRAM.
    """

    input_reads: Reals
    weight_reads: Reals
    result_accesses: Reals
    moved_inputs: Reals
    moved_weights: Reals
    loaded_results: Reals
    stored_results: Reals

    @property
    def dram_bits(self) -> Reals:
        """Bits read from or written to DRAM."""
        return self.moved_inputs + self.moved_weights + self.loaded_results + self.stored_results

    def on_chip_j(self, hardware: BitComposable) -> Reals:
        """Gives the energy of the buffers."""
        weights, inputs = hardware.weight_buffer.bank, hardware.input_buffer.bank
        results = hardware.result_buffer.bank
        return (
            self.weight_reads * weights.read_energy_j_per_bit
            + self.moved_weights * weights.write_energy_j_per_bit
            + self.input_reads * inputs.read_energy_j_per_bit
            + self.moved_inputs * inputs.write_energy_j_per_bit
            + self.result_accesses * (results.read_energy_j_per_bit + results.write_energy_j_per_bit)
        )

    def off_chip_j(self, hardware: BitComposable) -> Reals:
        """Gives the energy of DRAM."""
        return self.dram_bits * hardware.dram_energy_j_per_bit


@dataclass(frozen=True, slots=True, eq=False)
class BufferReads:
    """Accesses of the array to its buffers at one pair of widths, [tiling]."""

    inputs: Reals
    weights: Reals
    results: Reals

    @classmethod
    def of(
        cls,
        tilings: Tilings,
        hardware: BitComposable,
        widths: tuple[int, int, int],
        lanes: int,
        corrections: Corrections,
    ) -> BufferReads:
        """Counts them.

        Args:
            tilings: the tilings.
            hardware: the array.
            widths: of weights and inputs as stored, and of partial sums, in bits.
            lanes: products that one column does in a cycle.
            corrections: which defects are mended.
        """
        weight_bits, input_bits, sum_bits = widths
        nest, tiles = tilings.nest, tilings.tiles
        positions, outputs = tilings.positions, tilings.outputs.astype(np.float64)
        depth = (nest.taps * tilings.inputs).astype(np.float64)
        columns = -(-outputs // hardware.columns) * hardware.columns
        unrolled, taps = (nest.taps, 1) if nest.is_unrolled else (1, nest.taps)
        rows = -(-unrolled * tilings.inputs // lanes) * lanes * float(taps)
        keep_inputs = rows * positions * (input_bits + columns * (weight_bits + sum_bits))
        keep_results = columns * positions * (sum_bits + rows * (input_bits + weight_bits))
        keep_weights = rows * columns * (weight_bits + positions * (input_bits + sum_bits))
        least = np.minimum(np.minimum(keep_inputs, keep_results), keep_weights)
        inputs_stay = keep_inputs == least
        results_stay = ~inputs_stay & (keep_results == least)
        weights_stay = ~inputs_stay & ~results_stay
        products = tiles * depth * positions * outputs
        shared = np.minimum(hardware.columns, outputs) if corrections.inputs else 1.0
        return cls(
            np.where(inputs_stay, tiles * depth * positions, products / shared) * input_bits,
            np.where(weights_stay, tiles * depth * outputs, products) * weight_bits,
            np.where(results_stay, tiles * positions * outputs, products) * sum_bits,
        )
