"""Prices of a bit-serial matrix engine (BISMO), in closed form.

The machine is Umuroglu et al., "BISMO: A Scalable Bit-Serial Matrix Multiplication Overlay for Reconfigurable
Computing", FPL 2018: ``D x D`` dot-product units take ``dot_bits`` bits of one bit plane per cycle, fed by two
independent fetch streams. The closed form reproduces every entry of the latency table published with HAQ (Wang et
al., CVPR 2019) and the BISMO latencies of its Table 3. Result writes take no time in it.

Mode ``physical`` adds what that table leaves out and BISMO's published sources have: fetches and results share one
port, so a layer takes at least as long as all its bits take there; and before each layer a separate step reads its
activations element by element and writes them as bit planes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from haqc.costmodel.prices import NOTHING, Axes, Context, Energy, Integers, Prices, Traffic
from haqc.graph import Layer
from haqc.hardware.bit_serial import BitSerial, BitSerialPort


@dataclass(frozen=True, slots=True)
class _Side:
    """One operand of a product, cut into blocks that fit its memory; arrays broadcast to [x, y, gemm, w, a].

    A first axis of length 2 holds the full block and the partial last one.

    Attributes:
        bits: width.
        rows: rows (or filters) of a block.
        count: number of such blocks.
        plane_cycles: cycles that fetch one row of one bit plane.
    """

    bits: Integers
    rows: Integers
    count: Integers
    plane_cycles: Integers

    @classmethod
    def cut(cls, size: Integers, bits: Integers, dot_words: Integers, plane_cycles: Integers, hw: BitSerial) -> _Side:
        """Cuts ``size`` rows into blocks of whole tiles; a block holds at least one tile."""
        fitting = hw.buffer_words // (dot_words * bits)
        block = np.maximum(fitting - fitting % hw.rows, hw.rows)
        full, last = np.divmod(size, block)
        rows = np.concatenate((np.minimum(block, size), last))
        return cls(bits, rows, np.concatenate((full, (last > 0).astype(np.int64))), plane_cycles)

    @property
    def transposed(self) -> _Side:
        """The same blocks along the second axis, for the operand that streams."""
        return _Side(self.bits, self.rows.swapaxes(0, 1), self.count.swapaxes(0, 1), self.plane_cycles)


@dataclass(frozen=True, slots=True)
class _Products:
    """The matrix products that layers run as; arrays broadcast to [1, 1, product, weight, activation].

    Attributes:
        repeats: how often each runs for one batch.
        rows, columns, depth: ``rows x depth`` by ``depth x columns``.
        first: place of each layer's first product.
    """

    repeats: Integers
    rows: Integers
    columns: Integers
    depth: Integers
    first: Integers

    @classmethod
    def of(cls, layers: Sequence[Layer], hardware: BitSerial, batch: int, context: Context) -> _Products:
        """Lists the products of all layers."""
        parts = [list(_gemms(layer, hardware, batch, layer.name in context.unshared)) for layer in layers]
        figures = np.array([gemm for part in parts for gemm in part], np.int64).T.reshape(4, 1, 1, -1, 1, 1)
        repeats, rows, columns, depth = figures
        return cls(repeats, rows, columns, depth, np.cumsum([0] + [len(part) for part in parts[:-1]]))

    def by_layer(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Adds up the products of each layer: [1, 1, product, w, a] to [layer, w, a, 1]."""
        return np.add.reduceat((values * self.repeats)[0, 0], self.first, axis=0)[..., None]


def price_bit_serial(
    layers: Sequence[Layer], hardware: BitSerial, axes: Axes, batch: int, mode: str, context: Context
) -> Prices:
    """Prices layers at every combination of widths; see :mod:`haqc.costmodel.prices`.

    Args:
        layers: layers of the network, at least one.
        hardware: the engine.
        axes: the widths.
        batch: inferences of one batch.
        mode: ``reference``, as published, or ``physical``.
        context: what else is known of the layers; here, which products a batch cannot share.
    """
    gemms = _Products.of(layers, hardware, batch, context)
    w, a = axes.weights.reshape(1, 1, 1, -1, 1), axes.activations.reshape(1, 1, 1, 1, -1)
    words = -(-gemms.depth // hardware.dot_bits)
    plane = -(-gemms.depth // hardware.fetch_bits_per_cycle)
    data = _Side.cut(gemms.rows, a, words, plane, hardware)
    filters = _Side.cut(gemms.columns, w, words, plane, hardware)
    tile = w * a * words
    cycles = np.minimum(
        _product_cycles(filters, data.transposed, tile, hardware.rows),
        _product_cycles(data, filters.transposed, tile, hardware.rows),
    )
    # Cycles of the two fetch streams: every pair of blocks loads both.
    data_cycles = gemms.rows * plane * a * filters.count.sum(0)
    filter_cycles = gemms.columns * plane * w * data.count.sum(0)
    tiles = -(-gemms.rows // hardware.rows) * -(-gemms.columns // hardware.rows)
    macs = np.array([layer.macs * batch for layer in layers], np.float64).reshape(-1, 1, 1, 1)
    traffic = Traffic(
        gemms.by_layer(data_cycles).astype(np.float64) * hardware.fetch_bits_per_cycle,
        gemms.by_layer(filter_cycles).astype(np.float64) * hardware.fetch_bits_per_cycle,
        gemms.by_layer(gemms.rows * gemms.columns) * axes.outputs.astype(np.float64),
    )
    prices = Prices(
        cycles=_never_above_wider(gemms.by_layer(cycles)),
        energy=Energy(
            compute=macs * axes.weights * axes.activations * hardware.binary_mac_energy_j,
            on_chip=NOTHING,
            off_chip=_sum(traffic) * hardware.dram_energy_j_per_bit,
            leakage=NOTHING,
        ),
        moved_bits=traffic,
        compute_cycles=gemms.by_layer(tiles * tile),
        memory_cycles=gemms.by_layer(np.maximum(data_cycles, filter_cycles)),
        results_are_free=True,
    )
    if mode == "reference" or hardware.port is None:
        return prices
    return _through_one_port(prices, gemms, hardware, hardware.port, axes)


def _through_one_port(prices: Prices, gemms: _Products, hardware: BitSerial, port: BitSerialPort, axes: Axes) -> Prices:
    """Adds what the published model leaves out: the shared port, result writes, and the making of bit planes.

    The conversion reads every element of a product's data once and writes what the fetch stage then reads, rows of
    whole beats, each plane aligned. It is the least that any layout needs: BISMO's runtime pads further.
    """
    plane_bits = gemms.rows * -(-gemms.depth // hardware.fetch_bits_per_cycle) * hardware.fetch_bits_per_cycle
    plane_bits = -(-plane_bits // port.plane_align_bits) * port.plane_align_bits
    elements = gemms.by_layer(gemms.rows * gemms.depth) * port.element_bits
    converted = (elements + gemms.by_layer(plane_bits) * axes.activations).astype(np.float64)
    conversion_cycles = np.ceil(converted / port.bits_per_cycle).astype(np.int64)
    port_cycles = np.ceil(_sum(prices.moved_bits) / port.bits_per_cycle).astype(np.int64)
    moved = prices.moved_bits
    traffic = Traffic(moved.activations + converted, moved.weights, moved.outputs)
    energy = prices.energy
    return Prices(
        cycles=np.maximum(prices.cycles, port_cycles) + conversion_cycles,
        energy=Energy(energy.compute, energy.on_chip, _sum(traffic) * hardware.dram_energy_j_per_bit, energy.leakage),
        moved_bits=traffic,
        compute_cycles=prices.compute_cycles,
        memory_cycles=np.maximum(prices.memory_cycles, port_cycles) + conversion_cycles,
    )


def _sum(traffic: Traffic) -> npt.NDArray[np.float64]:
    return np.asarray(traffic.activations + traffic.weights + traffic.outputs, np.float64)


def _gemms(layer: Layer, hardware: BitSerial, batch: int, is_unshared: bool) -> Iterator[tuple[int, int, int, int]]:
    """Yields the matrix products that a layer runs as: (repeats, rows, columns, reduction)."""
    if layer.is_dense and not is_unshared:
        yield layer.groups, layer.rows * batch, layer.columns, layer.reduction
    elif layer.is_depthwise and not layer.is_dense and hardware.depthwise == "block-diagonal":
        full, last = divmod(layer.groups, hardware.rows)
        for repeats, channels in ((full, hardware.rows), (1, last)):
            if repeats and channels:
                yield repeats * batch, layer.rows, channels * layer.columns, channels * layer.reduction
    else:
        yield layer.groups * batch, layer.rows, layer.columns, layer.reduction


def _never_above_wider(cycles: Integers) -> Integers:
    """Lets narrow operands run as if they were wider where that is faster.

    The cut into blocks depends on the width, and a wider operand is now and then cut more evenly: in one cell of a
    thousand of random products, by up to a tenth, and in none of the published table. Padding with sign bits changes
    no result, and with it the narrowest widths are always the fastest, which the feasibility of a budget rests on.
    """
    backwards = cycles[:, ::-1, ::-1]
    monotone: Integers = np.minimum.accumulate(np.minimum.accumulate(backwards, axis=1), axis=2)[:, ::-1, ::-1]
    return np.ascontiguousarray(monotone)


def _product_cycles(outer: _Side, inner: _Side, tile: Integers, size: int) -> Integers:
    """Gives the cycles of each product, [gemm, w, a], when tiles of ``outer`` stay while those of ``inner`` stream by.

    Every pair of blocks runs by itself. It is bound either by streaming ``inner`` past the first outer tile, after
    which all of it is on chip, or by fetching the outer tiles one after the other.
    """
    outer_full, outer_rest = np.divmod(outer.rows, size)
    inner_full, inner_rest = np.divmod(inner.rows, size)
    has_rest = (outer_rest > 0).astype(np.int64)
    inner_tiles = inner_full + (inner_rest > 0)
    row_outer, row_inner = outer.bits * outer.plane_cycles, inner.bits * inner.plane_cycles
    sweep = inner_tiles * tile

    streaming = (
        inner_full * np.maximum(size * row_inner, tile)
        + np.maximum(inner_rest * row_inner, tile) * (inner_rest > 0)
        + (outer.bits - 1)
        + (outer_full + has_rest - 1) * sweep
    )
    fetching = (
        np.minimum(outer.rows, size) * row_outer
        + np.maximum(outer_full - 1, 0) * np.maximum(size * row_outer, sweep)
        + np.where(outer_full > 0, has_rest, 0) * np.maximum(outer_rest * row_outer, sweep)
        + (inner.bits - 1) * outer.bits
        + (inner_tiles - 1) * tile
    )
    cycles: Integers = (np.maximum(streaming, fetching) * (outer.count * inner.count)).sum(axis=(0, 1))
    return cycles
