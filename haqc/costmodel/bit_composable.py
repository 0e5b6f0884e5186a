"""Prices of a bit-composable systolic array (BitFusion), by exhaustive search of its tilings and loop orders.

The machine and its published simulator are Sharma et al., "Bit Fusion: Bit-Level Dynamically Composable Architecture
for Accelerating Deep Neural Networks", ISCA 2018 (repository hsharma35/bitfusion at 04ec1c8). Mode ``reference``
reproduces that simulator to the cycle. Mode ``corrected`` mends what is known to be wrong with it, which
:class:`haqc.costmodel.bit_composable_traffic.Corrections` lists.

The simulator has no depthwise convolutions. Both modes run them with one channel a column and its window on the rows,
bound by the slower of the array and the way to DRAM.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from haqc.costmodel.bit_composable_depthwise import map_depthwise
from haqc.costmodel.bit_composable_mapping import Cell, Mapping, map_nest
from haqc.costmodel.bit_composable_tiling import Nest
from haqc.costmodel.bit_composable_traffic import CORRECTED, REFERENCE, Corrections
from haqc.costmodel.prices import Axes, Context, Energy, Prices, Traffic
from haqc.errors import TargetError
from haqc.graph import Layer
from haqc.hardware.bit_composable import BitComposable
from haqc.precision import Precision


def price_bit_composable(
    layers: Sequence[Layer], hardware: BitComposable, axes: Axes, batch: int, mode: str, context: Context
) -> Prices:
    """Prices layers at every combination of widths; see :mod:`haqc.costmodel.prices`.

    Args:
        layers: layers of the network, at least one.
        hardware: the array.
        axes: the widths.
        batch: inferences of one batch.
        mode: ``reference``, the published simulator, or ``corrected``.
        context: what else is known of the layers; here, which read an input of the network, and which products a
            batch cannot share.

    Raises:
        TargetError: the array lacks a width, or a buffer does not hold the smallest tile of a layer.
    """
    corrections = REFERENCE if mode == "reference" else CORRECTED
    return price_with(layers, hardware, axes, batch, corrections, context)


def price_with(
    layers: Sequence[Layer],
    hardware: BitComposable,
    axes: Axes,
    batch: int,
    corrections: Corrections,
    context: Context,
) -> Prices:
    """Prices layers with some of the simulator's defects mended; equal layers are searched once."""
    outputs = axes.output_bits if corrections.results else (context.precision.accumulator_bits,)
    cells = [_cell(widths, context.precision) for widths in product(axes.weight_bits, axes.activation_bits, outputs)]
    known: dict[tuple[Nest, int], Mapping] = {}
    found = []
    for layer in layers:
        is_shared = layer.name not in context.unshared
        nest = Nest.of(layer, batch, is_first=layer.name in context.first, is_shared=is_shared)
        channels = layer.groups if layer.is_depthwise and not layer.is_dense else 0
        if (nest, channels) not in known:
            known[nest, channels] = _map(layer, nest, channels, hardware, cells, corrections)
        repeats = 1 if channels else layer.groups * (1 if is_shared else batch)
        found.append(known[nest, channels].repeated(repeats))
    shape = (len(layers), len(axes.weight_bits), len(axes.activation_bits), len(outputs))
    return _prices(Mapping.stack(found).reshaped(shape), axes, hardware, corrections)


def _cell(widths: tuple[int, int, int], precision: Precision) -> Cell:
    weight, activation, output = widths
    return Cell(
        weights=weight,
        inputs=activation,
        stored_weights=precision.weight_container_bits(weight),
        stored_inputs=precision.activation_container_bits(activation),
        sums=precision.accumulator_bits,
        outputs=precision.activation_container_bits(output),
    )


def _map(
    layer: Layer,
    nest: Nest,
    channels: int,
    hardware: BitComposable,
    cells: Sequence[Cell],
    corrections: Corrections,
) -> Mapping:
    """Maps a layer; ``channels`` are those of a depthwise one, else 0."""
    try:
        if channels:
            return map_depthwise(nest, channels, hardware, cells, corrections)
        if not corrections.choice:
            return map_nest(nest, hardware, cells, corrections)
        distinct = {replace(cell, outputs=cell.sums): None for cell in cells}
        simulated = map_nest(nest, hardware, list(distinct), REFERENCE)
        limit = dict(zip(distinct, simulated.accesses.dram_bits.tolist(), strict=True))
        return map_nest(nest, hardware, cells, corrections, [limit[replace(cell, outputs=cell.sums)] for cell in cells])
    except TargetError as error:
        raise TargetError(f"layer '{layer.name}': {error}") from error


def _prices(mapping: Mapping, axes: Axes, hardware: BitComposable, corrections: Corrections) -> Prices:
    """Puts mappings, [layer, weight, activation, output], into prices."""
    accesses, cycles = mapping.accesses, mapping.cycles
    leakage_w = hardware.leakage_w if corrections.leakage else 0.0
    return Prices(
        cycles=np.broadcast_to(cycles.astype(np.int64), (len(cycles), *axes.lengths)).copy(),
        energy=Energy(
            compute=mapping.core_j,
            on_chip=accesses.on_chip_j(hardware),
            off_chip=accesses.off_chip_j(hardware),
            leakage=cycles * (leakage_w / hardware.clock_hz),
        ),
        moved_bits=Traffic(
            activations=accesses.moved_inputs,
            weights=accesses.moved_weights,
            outputs=accesses.loaded_results + accesses.stored_results,
        ),
        compute_cycles=mapping.compute_cycles,
        memory_cycles=np.ceil(accesses.dram_bits / hardware.interface_bits_per_cycle),
    )
