"""Prices of a bit-serial matrix engine (BISMO), in closed form.

The machine is Umuroglu et al., "BISMO: A Scalable Bit-Serial Matrix Multiplication Overlay for Reconfigurable
Computing", FPL 2018: ``D x D`` dot-product units take ``dot_bits`` bits of one bit plane per cycle, fed by two
independent fetch streams. The closed form reproduces every entry of the latency table published with HAQ (Wang et
al., CVPR 2019) and the BISMO latencies of its Table 3. Result writes take no time in it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from haqc.errors import ModelError
from haqc.graph import Layer
from haqc.target import BitSerial

Integers = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]

MAX_MACS = 2**48
"""Multiply-accumulates of one layer and batch above which 64-bit cycle counts could overflow."""


@dataclass(frozen=True, slots=True)
class BitSerialPrices:
    """What every layer costs at every pair of widths; arrays are [layer, weight, activation, 1].

    Attributes:
        cycles: clock cycles of one batch.
        energy_parts_j: energy of one batch in joules, by part: ``compute`` and ``off-chip``.
    """

    cycles: Integers
    energy_parts_j: dict[str, Reals]


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


def bit_serial_prices(
    layers: Sequence[Layer],
    hardware: BitSerial,
    batch: int,
    weight_bits: Sequence[int],
    activation_bits: Sequence[int],
    *,
    unshared: Collection[str] = (),
) -> BitSerialPrices:
    """Prices layers at every pair of widths.

    Args:
        layers: layers of the network, at least one.
        hardware: the engine.
        batch: inferences of one batch.
        weight_bits, activation_bits: the axes of the result, ascending.
        unshared: names of dense layers whose right operand differs for every inference of a batch (products of two
            activations), so that the batch cannot share one pass over it.

    Raises:
        ModelError: a layer is too large to be counted in 64 bits.
    """
    gemms = [list(_gemms(layer, hardware, batch, layer.name in unshared)) for layer in layers]
    repeats, rows, columns, depth = np.array([gemm for part in gemms for gemm in part], np.int64).T
    first = np.cumsum([0] + [len(part) for part in gemms[:-1]])
    w = np.array(weight_bits, np.int64).reshape(1, 1, 1, -1, 1)
    a = np.array(activation_bits, np.int64).reshape(1, 1, 1, 1, -1)
    rows, columns, depth, repeats = (v.reshape(1, 1, -1, 1, 1) for v in (rows, columns, depth, repeats))

    words = -(-depth // hardware.dot_bits)
    plane = -(-depth // hardware.fetch_bits_per_cycle)
    data = _Side.cut(rows, a, words, plane, hardware)
    filters = _Side.cut(columns, w, words, plane, hardware)
    tile = w * a * words
    cycles = np.minimum(
        _product_cycles(filters, data.transposed, tile, hardware.rows),
        _product_cycles(data, filters.transposed, tile, hardware.rows),
    )
    fetched = (plane * hardware.fetch_bits_per_cycle).astype(np.float64)
    dram_bits = (
        rows * fetched * a * filters.count.sum(0)
        + columns * fetched * w * data.count.sum(0)
        + rows * columns * float(hardware.output_bits)
    )
    macs = np.array([layer.macs * batch for layer in layers], np.float64).reshape(-1, 1, 1)
    return BitSerialPrices(
        _never_above_wider(np.add.reduceat(cycles * repeats[0, 0], first, axis=0))[..., None],
        {
            "compute": (macs * (w * a)[0, 0] * hardware.binary_mac_energy_j)[..., None],
            "off-chip": (
                np.add.reduceat((dram_bits * repeats)[0, 0], first, axis=0) * hardware.dram_energy_j_per_bit
            )[..., None],
        },
    )


def _gemms(layer: Layer, hardware: BitSerial, batch: int, is_unshared: bool) -> Iterator[tuple[int, int, int, int]]:
    """Yields the matrix products that a layer runs as: (repeats, rows, columns, reduction)."""
    if layer.macs * batch > MAX_MACS:
        raise ModelError(
            f"layer '{layer.name}' has {layer.macs:,} multiply-accumulates, and a batch is {batch}; "
            f"at most {MAX_MACS:,} per batch can be priced, so check the model's shapes or take a smaller --batch"
        )
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
