"""Prices of layers that were measured: a table is read, and nothing between its cells is guessed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from haqc.costmodel.prices import NOTHING, Axes, Context, Energy, Prices, Traffic
from haqc.costmodel.tensors import TensorSizes
from haqc.errors import TargetError
from haqc.graph import FULL_BITS, Layer
from haqc.hardware.lookup import Lookup, Signature
from haqc.precision import FLOAT_BITS


def price_lookup(
    layers: Sequence[Layer], hardware: Lookup, axes: Axes, batch: int, mode: str, context: Context
) -> Prices:
    """Prices layers at every combination of widths; see :mod:`haqc.costmodel.prices`.

    The measured energy stands whole under ``compute``. A table does not say what it moved, so traffic is the least
    there can be, each operand and result once, and takes no part in the time.

    Args:
        layers: layers of the network, at least one.
        hardware: the table.
        axes: the widths.
        batch: inferences of one batch; the table must hold that batch.
        mode: there is only one.
        context: what else is known of the layers.

    Raises:
        TargetError: a cell is missing, or two layers that differ have one signature; the message names it.
    """
    del mode
    _require_distinct(layers, hardware, batch)
    shape = (len(layers), *axes.lengths[:2], 1)
    latency_s, energy_j = np.zeros(shape), np.zeros(shape)
    precision = context.precision
    pairs = list(product(enumerate(axes.weight_bits), enumerate(axes.activation_bits)))
    for place, layer in enumerate(layers):
        is_float = layer.name in context.floating
        float_bits = FLOAT_BITS if precision.has_float else FULL_BITS
        for (w, weight), (a, activation) in pairs:
            if not is_float and not precision.allows(weight, activation):
                continue
            bits = (float_bits, float_bits) if is_float else (weight, activation)
            signature = Signature.of(layer, batch)
            cell = hardware.cells.get((signature, *bits))
            if cell is None:
                raise TargetError(
                    f"table '{hardware.file}' has no cell for layer '{layer.name}' ({signature}) at "
                    f"{bits[0]}/{bits[1]} bits (weights/activations), and nothing is interpolated; measure it and add "
                    "the row, take another --batch, or take the width out of [widths]"
                )
            latency_s[place, w, a, 0], energy_j[place, w, a, 0] = cell.latency_s, cell.energy_j
    cycles = np.broadcast_to(latency_s * hardware.clock_hz, (len(layers), *axes.lengths)).copy()
    return Prices(
        cycles=cycles,
        energy=Energy(compute=energy_j, on_chip=NOTHING, off_chip=NOTHING, leakage=NOTHING),
        moved_bits=_least_traffic(layers, axes, batch, context),
        compute_cycles=NOTHING,
        memory_cycles=NOTHING,
    )


def _least_traffic(layers: Sequence[Layer], axes: Axes, batch: int, context: Context) -> Traffic:
    """Counts each operand and each result once, in containers."""
    tensors = TensorSizes.of(layers)
    times = np.array([batch if layer.name in context.unshared else 1 for layer in layers]).reshape(-1, 1, 1, 1)
    precision = context.precision
    data_bits = np.array([precision.activation_container_bits(bits) for bits in axes.activation_bits])
    weight_bits = np.array([precision.weight_container_bits(bits) for bits in axes.weight_bits])
    output_bits = np.array([precision.activation_container_bits(bits) for bits in axes.output_bits])
    return Traffic(
        tensors.inputs * batch * data_bits[:, None],
        tensors.weights * times * weight_bits[:, None, None],
        tensors.outputs * batch * output_bits,
    )


def _require_distinct(layers: Sequence[Layer], hardware: Lookup, batch: int) -> None:
    """Checks that layers of one signature do the same work.

    Raises:
        TargetError: two have one signature and different results; padding and dilation are no part of it.
    """
    seen: dict[Signature, Layer] = {}
    for layer in layers:
        other = seen.setdefault(Signature.of(layer, batch), layer)
        if (other.rows, other.reduction, other.columns) != (layer.rows, layer.reduction, layer.columns):
            raise TargetError(
                f"layers '{other.name}' and '{layer.name}' differ only in padding or dilation, which table "
                f"'{hardware.file}' cannot tell apart; give one of them another stride or size, or use a target with "
                "formulas"
            )
