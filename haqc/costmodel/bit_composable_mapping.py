"""The fastest way to run a nest on a bit-composable array, at every combination of widths."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from haqc.costmodel.bit_composable_energy import Accesses, BufferReads
from haqc.costmodel.bit_composable_tiling import Nest, Orders, Tilings
from haqc.costmodel.bit_composable_traffic import (
    Corrections,
    Stream,
    input_stream,
    result_stream,
    results_of,
    weight_stream,
)
from haqc.costmodel.prices import Reals
from haqc.errors import TargetError
from haqc.hardware.bit_composable import BitComposable


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination of widths, in bits.

    Attributes:
        weights, inputs: widths that operands are computed with.
        stored_weights, stored_inputs: widths that they are stored with.
        sums: width of partial sums.
        outputs: width that results are stored with; the published simulator stores partial sums.
    """

    weights: int
    inputs: int
    stored_weights: int
    stored_inputs: int
    sums: int
    outputs: int

    def lanes(self, hardware: BitComposable) -> int:
        """Gives the products that one column of the array does in a cycle."""
        return hardware.rows * hardware.products_per_unit(self.weights, self.inputs)


class Mapping(NamedTuple):
    """The fastest way to run a nest, and the one of least energy among equally fast ones; arrays are [cell].

    Attributes:
        cycles: what it takes.
        compute_cycles: what the array alone takes.
        core_j: energy of the array.
        accesses: bits by memory.
    """

    cycles: Reals
    compute_cycles: Reals
    core_j: Reals
    accesses: Accesses

    @classmethod
    def stack(cls, cells: Sequence[Mapping]) -> Mapping:
        """Joins mappings along a new first axis."""
        accesses = Accesses(*map(np.array, zip(*(cell.accesses for cell in cells), strict=True)))
        cycles, compute_cycles, core_j, _ = zip(*cells, strict=True)
        return cls(np.array(cycles), np.array(compute_cycles), np.array(core_j), accesses)

    def repeated(self, times: int) -> Mapping:
        """Gives what running it several times takes."""
        accesses = Accesses(*(times * bits for bits in self.accesses))
        return Mapping(times * self.cycles, times * self.compute_cycles, times * self.core_j, accesses)

    def reshaped(self, shape: tuple[int, ...]) -> Mapping:
        """Gives the same with other axes."""
        accesses = Accesses(*(bits.reshape(shape) for bits in self.accesses))
        return Mapping(
            self.cycles.reshape(shape), self.compute_cycles.reshape(shape), self.core_j.reshape(shape), accesses
        )


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """The traffic of results, in bits by candidate.

    Attributes:
        sums: what passes the result buffer on the way, in either direction, at the width of partial sums.
        loaded, stored: partial sums and results from and to DRAM.
        initial, final: what must be there before the first tile computes, and what is left after the last one.
    """

    sums: Reals
    loaded: Reals
    stored: Reals
    initial: Reals
    final: Reals

    @classmethod
    def of(cls, sums: Stream, count: int, cell: Cell, corrections: Corrections) -> Results:
        """Counts them from the traffic of ``count`` results, in bits, that are loaded and stored equally often."""
        if not corrections.results:
            return cls(sums.moved, sums.moved, sums.moved, sums.resident, sums.resident)
        spilled = np.maximum(sums.moved - count * cell.sums, 0.0)
        final = sums.resident * (cell.outputs / cell.sums)
        return cls(sums.moved, spilled, spilled + count * cell.outputs, np.zeros(1), final)


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """All candidates at one combination of widths.

    Attributes:
        tilings, orders: the candidates.
        hardware: the array.
        corrections: which defects are mended.
        cell: the widths.
        inputs, weights, results: traffic in bits by candidate; infinite where a tile does not fit.
    """

    tilings: Tilings
    orders: Orders
    hardware: BitComposable
    corrections: Corrections
    cell: Cell
    inputs: Stream
    weights: Stream
    results: Results

    def fastest(self, limit_bits: float) -> Mapping:
        """Gives the best candidate among those that move no more than ``limit_bits``.

        Raises:
            TargetError: no tile fits.
        """
        lanes = self.cell.lanes(self.hardware)
        passes = self.tilings.passes(lanes, self.hardware.columns)
        moved = self.inputs.moved + self.weights.moved + (self.results.loaded + self.results.stored)
        cycles = self._cycles(moved, passes)
        if limit_bits < math.inf:
            cycles[moved > limit_bits] = np.inf
        if cycles.min(initial=np.inf) == np.inf:
            raise TargetError(
                f"half of a buffer does not hold the smallest tile at {self.cell.weights}/{self.cell.inputs} bits; "
                "make the buffers in [memory] of the target file larger"
            )
        candidates = np.flatnonzero(cycles == cycles.min())
        compute_cycles = passes[self.orders.tiling[candidates]]
        accesses = self._accesses(candidates)
        useful = self.tilings.nest.macs / (lanes * self.hardware.columns)
        busy = np.full_like(compute_cycles, useful) if self.corrections.activity else compute_cycles
        core_j = busy * (self.hardware.units * self.hardware.unit_energy_j)
        energy_j = core_j + accesses.on_chip_j(self.hardware) + accesses.off_chip_j(self.hardware)
        best = np.argmin(energy_j)
        chosen = Accesses(*(bits[best] for bits in accesses))
        return Mapping(cycles[candidates[best]], compute_cycles[best], core_j[best], chosen)

    def _cycles(self, moved: Reals, passes: Reals) -> Reals:
        """Gives the cycles of every candidate: tiles move while others compute, but for the first and the last."""
        width, results = self.hardware.interface_bits_per_cycle, self.results
        before = self.inputs.resident + self.weights.resident + results.initial
        between = np.ceil((moved - before - results.final) / width)
        cycles: Reals = np.maximum(between, passes[self.orders.tiling])
        cycles += np.ceil(before / width) + np.ceil(results.final / width)
        return cycles

    def _accesses(self, candidates: npt.NDArray[np.intp]) -> Accesses:
        tiling, used = np.unique(self.orders.tiling[candidates], return_inverse=True)
        cell = self.cell
        widths = (cell.stored_weights, cell.stored_inputs, cell.sums)
        reads = BufferReads.of(self.tilings[tiling], self.hardware, widths, cell.lanes(self.hardware), self.corrections)
        return Accesses(
            input_reads=reads.inputs[used],
            weight_reads=reads.weights[used],
            result_accesses=reads.results[used] + self.results.sums[candidates],
            moved_inputs=self.inputs.moved[candidates],
            moved_weights=self.weights.moved[candidates],
            loaded_results=self.results.loaded[candidates],
            stored_results=self.results.stored[candidates],
        )


def map_nest(
    nest: Nest,
    hardware: BitComposable,
    cells: Sequence[Cell],
    corrections: Corrections,
    limits_bits: Sequence[float] | None = None,
) -> Mapping:
    """Searches all tilings and loop orders of a nest, exhaustively.

    Args:
        nest: the nest.
        hardware: the array.
        cells: the combinations of widths.
        corrections: which defects of the simulator are mended.
        limits_bits: the most that may be moved to and from DRAM, by cell; no limit when ``None``.

    Raises:
        TargetError: half of a buffer does not hold the smallest tile.
    """
    tilings = _fitting(Tilings.of(nest, hardware), hardware, cells)
    orders = Orders.of(tilings)
    inputs = {
        bits: input_stream(tilings, orders, hardware.input_buffer.half_bits / bits, corrections).scaled(bits)
        for bits in {cell.stored_inputs for cell in cells}
    }
    weights = {
        (bits, lanes): weight_stream(
            tilings, orders, hardware.weight_buffer.half_bits / bits, lanes, corrections
        ).scaled(bits)
        for bits, lanes in {(cell.stored_weights, cell.lanes(hardware)) for cell in cells}
    }
    sums = {
        bits: result_stream(
            tilings, orders, hardware.result_buffer.half_bits / bits, hardware.columns, corrections
        ).scaled(bits)
        for bits in {cell.sums for cell in cells}
    }
    count = results_of(nest, hardware.columns)
    found = []
    for cell, limit in zip(cells, limits_bits or [math.inf] * len(cells), strict=True):
        results = Results.of(sums[cell.sums], count, cell, corrections)
        weight = weights[cell.stored_weights, cell.lanes(hardware)]
        search = Search(tilings, orders, hardware, corrections, cell, inputs[cell.stored_inputs], weight, results)
        found.append(search.fastest(limit))
    return Mapping.stack(found)


def _fitting(tilings: Tilings, hardware: BitComposable, cells: Sequence[Cell]) -> Tilings:
    """Picks the tilings that fit the buffers at one combination of widths or another."""
    lanes = {(cell.stored_weights, cell.lanes(hardware)) for cell in cells}
    weights = np.min([bits * tilings.weights(lane) for bits, lane in lanes], axis=0)
    inputs = tilings.window * min(cell.stored_inputs for cell in cells)
    results = tilings.results(hardware.columns) * min(cell.sums for cell in cells)
    return tilings[
        (weights <= hardware.weight_buffer.half_bits)
        & (inputs <= hardware.input_buffer.half_bits)
        & (results <= hardware.result_buffer.half_bits)
    ]
