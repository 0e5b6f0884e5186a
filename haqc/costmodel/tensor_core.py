"""Prices of a graphics processor with tensor cores: a roofline with tile and wave quantisation.

The roofline is Williams, Waterman and Patterson, "Roofline: an insightful visual performance model", CACM 52(4), 2009:
a layer takes the longer of its arithmetic and its traffic, and here one kernel launch more. A matrix product is cut
into tiles of the output, each padded to its full size, and multiprocessors take tiles in waves, the last of which may
be ragged; the reduction is padded to the depth of a tile. Convolutions run as implicit matrix products whose rows are
the output pixels of the whole batch, so a batch shares one pass over the weights.

Products run on the smallest pair of widths that holds both operands. Depthwise layers and layers in float run on the
vector units, every other layer on whichever units are faster: products of few rows, and groups of few channels, leave
tiles too empty. Every tensor passes the memory once; caches, and traffic of tiles that miss them, are not modelled.

Energy is static power for as long as the layer takes, one operation's share of the power at the peak rate for each
operation, and the energy of what passes the memory. A product that grows may move from the vector units to the matrix
units, and cost less energy than a smaller one; time never falls.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from haqc.costmodel.prices import NOTHING, Axes, Context, Energy, Prices, Reals, Traffic
from haqc.costmodel.tensors import TensorSizes
from haqc.graph import Layer
from haqc.hardware.tensor_core import TensorCore
from haqc.precision import FLOAT_BITS

Flags = npt.NDArray[np.bool_]


def price_tensor_core(
    layers: Sequence[Layer], hardware: TensorCore, axes: Axes, batch: int, mode: str, context: Context
) -> Prices:
    """Prices layers at every combination of widths; see :mod:`haqc.costmodel.prices`.

    Args:
        layers: layers of the network, at least one.
        hardware: the processor.
        axes: the widths.
        batch: inferences of one batch.
        mode: ``roofline``.
        context: which products a batch cannot share, and which layers stay in float.
    """
    floating = _flags(layer.name in context.floating for layer in layers)
    unshared = _flags(layer.name in context.unshared for layer in layers)
    on_vectors = floating | _flags(layer.is_depthwise and not layer.is_dense for layer in layers)
    macs = np.array([layer.macs * batch for layer in layers], np.float64).reshape(-1, 1, 1, 1)
    matrix_s, matrix_macs_per_s = _matrix_seconds(layers, hardware, axes, batch, unshared)
    vector_s = macs / hardware.vector_macs_per_s
    on_vectors = on_vectors | (vector_s < matrix_s)
    compute_s = np.where(on_vectors, vector_s, matrix_s)
    macs_per_s = np.where(on_vectors, hardware.vector_macs_per_s, matrix_macs_per_s)

    traffic = _traffic(layers, axes, batch, context, floating, unshared)
    moved_bits = traffic.activations + traffic.weights + traffic.outputs
    memory_s = moved_bits / hardware.dram_bits_per_s
    seconds = np.maximum(compute_s, memory_s) + hardware.launch_s
    return Prices(
        cycles=np.broadcast_to(seconds * hardware.clock_hz, (len(layers), *axes.lengths)).copy(),
        energy=Energy(
            compute=macs / macs_per_s * hardware.busy_power_w,
            on_chip=NOTHING,
            off_chip=moved_bits * hardware.dram_energy_j_per_bit,
            leakage=seconds * hardware.static_power_w,
        ),
        moved_bits=traffic,
        compute_cycles=compute_s * hardware.clock_hz,
        memory_cycles=memory_s * hardware.clock_hz,
    )


def _matrix_seconds(
    layers: Sequence[Layer], hardware: TensorCore, axes: Axes, batch: int, unshared: Flags
) -> tuple[Reals, Reals]:
    """Gives the seconds of products on the matrix units, [layer, w, a, 1], and the peak rates, [1, w, a, 1]."""
    rates = [[hardware.covering(w, a) for a in axes.activation_bits] for w in axes.weight_bits]
    macs_per_s = np.array([[rate.macs_per_s for rate in row] for row in rates]).reshape(1, *axes.lengths[:2], 1)
    step = np.array(
        [[max(1, hardware.tile_depth_bits // max(r.weight_bits, r.activation_bits)) for r in row] for row in rates],
        np.float64,
    ).reshape(1, *axes.lengths[:2], 1)
    figures = np.array([(y.groups, y.rows, y.columns, y.reduction) for y in layers], np.float64)
    products, rows, columns, reduction = figures.T.reshape(4, -1, 1, 1, 1)
    products, rows = np.where(unshared, products * batch, products), np.where(unshared, rows, rows * batch)
    tile_sizes = np.array(hardware.tiles, np.float64).T.reshape(2, 1, 1, 1, -1)
    tiles = products * np.ceil(rows / tile_sizes[0]) * np.ceil(columns / tile_sizes[1])
    waves = np.ceil(tiles / hardware.multiprocessors)
    # The last axis, that of outputs, holds the tiles until the fastest is taken: depth and rate are alike for all.
    padded = (waves * hardware.multiprocessors * tile_sizes[0] * tile_sizes[1]).min(axis=-1, keepdims=True)
    return padded * np.ceil(reduction / step) * step / (macs_per_s * hardware.efficiency), macs_per_s


def _traffic(
    layers: Sequence[Layer], axes: Axes, batch: int, context: Context, floating: Flags, unshared: Flags
) -> Traffic:
    """Counts every tensor of a batch once, in its container; weights once a batch unless they are activations."""
    precision, sizes = context.precision, TensorSizes.of(layers)
    stored = _bits(map(precision.weight_container_bits, axes.weight_bits)).reshape(1, -1, 1, 1)
    operands = _bits(map(precision.activation_container_bits, axes.weight_bits)).reshape(1, -1, 1, 1)
    data = _bits(map(precision.activation_container_bits, axes.activation_bits)).reshape(1, 1, -1, 1)
    results = _bits(map(precision.activation_container_bits, axes.output_bits)).reshape(1, 1, 1, -1)
    weights = np.where(floating, FLOAT_BITS, np.where(unshared, operands, stored))
    return Traffic(
        activations=sizes.inputs * batch * np.where(floating, FLOAT_BITS, data),
        weights=sizes.weights * np.where(unshared, batch, 1) * weights,
        outputs=sizes.outputs * batch * results,
    )


def _bits(widths: Iterable[int]) -> Reals:
    return np.array(list(widths), np.float64)


def _flags(values: Iterable[bool]) -> Flags:
    """Gives one truth a layer, [layer, 1, 1, 1]."""
    return np.array(list(values), np.bool_).reshape(-1, 1, 1, 1)
