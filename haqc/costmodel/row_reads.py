"""Prices of tables whose rows are looked up: they multiply nothing, and cost what they move.

A row is read at the width of the table and written at that of the result, through the memory that the hardware declares
for operators beside the layers (:class:`haqc.hardware.Streaming`); indices are not counted. Where it declares none,
rows cost nothing, and the cost report lists them as not modelled.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from haqc.costmodel.prices import NOTHING, Axes, Context, Energy, Prices, Reals, Traffic
from haqc.graph import Layer
from haqc.hardware import Streaming
from haqc.precision import FLOAT_BITS


def with_row_reads(
    layers: Sequence[Layer],
    price: Callable[[tuple[Layer, ...]], Prices],
    streaming: Streaming | None,
    clock_hz: float,
    axes: Axes,
    batch: int,
    context: Context,
) -> Prices:
    """Prices layers of which some are tables; see :mod:`haqc.costmodel.prices`.

    Args:
        layers: all layers of the network.
        price: prices those that are no tables, at least one.
        streaming: the memory that rows pass.
        clock_hz: cycles per second.
        axes: the widths.
        batch: inferences of one batch.
        context: which layers stay in float.
    """
    computing = tuple(layer for layer in layers if not layer.is_table)
    if len(computing) == len(layers) and layers:
        return price(computing)
    tables = [layer for layer in layers if layer.is_table]
    rows = _row_reads(tables, streaming, clock_hz, axes, batch, context)
    if not computing:
        return rows
    places = np.array([layer.is_table for layer in layers])
    merged: Prices = _merge(price(computing), rows, places)
    return merged


def _row_reads(
    tables: Sequence[Layer], streaming: Streaming | None, clock_hz: float, axes: Axes, batch: int, context: Context
) -> Prices:
    precision = context.precision
    values = np.array([layer.rows * layer.columns * batch for layer in tables], np.float64).reshape(-1, 1, 1, 1)
    is_float = precision.has_float & np.array([layer.name in context.floating for layer in tables], np.bool_)
    stored = np.array([precision.weight_container_bits(bits) for bits in axes.weight_bits], np.float64)
    written = np.array([precision.activation_container_bits(bits) for bits in axes.output_bits], np.float64)
    traffic = Traffic(
        activations=np.zeros((len(tables), 1, 1, 1)),
        weights=values * np.where(is_float.reshape(-1, 1, 1, 1), FLOAT_BITS, stored.reshape(1, -1, 1, 1)),
        outputs=values * written,
    )
    bits = traffic.weights + traffic.outputs
    seconds = bits * (0.0 if streaming is None else 1 / streaming.bits_per_s)
    cycles = np.broadcast_to(seconds * clock_hz, (len(tables), *axes.lengths)).copy()
    off_chip = bits * (0.0 if streaming is None else streaming.energy_j_per_bit)
    return Prices(
        cycles=cycles,
        energy=Energy(compute=NOTHING, on_chip=NOTHING, off_chip=off_chip, leakage=NOTHING),
        moved_bits=traffic,
        compute_cycles=NOTHING,
        memory_cycles=cycles,
    )


def _merge(computing: Any, rows: Any, is_table: npt.NDArray[np.bool_]) -> Any:
    """Lays the rows of two prices, or of parts of them, into the order of the layers; what only one has is 0."""
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(computing):
        ours, theirs = getattr(computing, field.name), getattr(rows, field.name, NOTHING)
        if isinstance(ours, np.ndarray):
            changes[field.name] = _merged(ours, theirs, is_table)
        elif dataclasses.is_dataclass(ours):
            changes[field.name] = _merge(ours, theirs, is_table)
    return dataclasses.replace(computing, **changes)


def _merged(ours: npt.NDArray[Any], theirs: Reals, is_table: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    shape = np.broadcast_shapes(ours.shape[1:], theirs.shape[1:])
    merged = np.empty((len(is_table), *shape), ours.dtype)
    merged[~is_table] = ours
    merged[is_table] = np.ceil(theirs) if ours.dtype == np.int64 else theirs
    return merged
