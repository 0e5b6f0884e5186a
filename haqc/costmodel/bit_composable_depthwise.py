"""Depthwise convolutions on a bit-composable array: one channel a column, its window on the rows.

BitFusion's published simulator has none; as groups of one channel each they would use one column and one row of the
array. This mapping fits the BitFusion latencies published with HAQ (Wang et al., CVPR 2019). Nothing is cut into
tiles: every operand passes once, and the slower of the array and the way to DRAM counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from haqc.costmodel.bit_composable_energy import Accesses
from haqc.costmodel.bit_composable_mapping import Cell, Mapping
from haqc.costmodel.bit_composable_tiling import Nest
from haqc.costmodel.bit_composable_traffic import Corrections
from haqc.hardware.bit_composable import BitComposable


def map_depthwise(
    nest: Nest, groups: int, hardware: BitComposable, cells: Sequence[Cell], corrections: Corrections
) -> Mapping:
    """Gives what a depthwise convolution takes.

    Args:
        nest: one of its groups.
        groups: how many there are.
        hardware: the array.
        cells: the widths.
        corrections: which defects of the simulator are mended, as far as they apply.
    """
    columns = hardware.columns
    channels = groups * nest.outputs
    depth = nest.taps * nest.inputs
    pixels = nest.images * math.prod(nest.pixels)
    size = min(nest.feature_size, nest.padded_size) if corrections.extents else nest.padded_size
    lanes = np.array([cell.lanes(hardware) for cell in cells])
    weight_bits = np.array([cell.stored_weights for cell in cells], np.float64)
    input_bits = np.array([cell.stored_inputs for cell in cells], np.float64)
    sum_bits = np.array([cell.sums for cell in cells], np.float64)
    output_bits = np.array([cell.outputs for cell in cells], np.float64)

    compute_cycles = pixels * -(-channels // columns) * -(-depth // lanes).astype(np.float64)
    results = float(pixels * channels)
    macs = results * depth
    accesses = Accesses(
        input_reads=macs * input_bits,
        weight_reads=macs * weight_bits,
        result_accesses=2 * results * sum_bits,
        moved_inputs=nest.images * size * nest.inputs * groups * input_bits,
        moved_weights=depth * channels * weight_bits,
        loaded_results=np.zeros(len(cells)) if corrections.results else results * sum_bits,
        stored_results=results * (output_bits if corrections.results else sum_bits),
    )
    cycles = np.maximum(compute_cycles, np.ceil(accesses.dram_bits / hardware.interface_bits_per_cycle))
    busy = macs / (lanes * columns) if corrections.activity else compute_cycles
    return Mapping(cycles, compute_cycles, busy * (hardware.units * hardware.unit_energy_j), accesses)
