"""What the tiles of a nest move to and from DRAM on a bit-composable array (BitFusion, ISCA 2018).

Each operand has an on-chip buffer, and a tile may fill half of it. Going through the loops from the innermost out, an
operand stays on chip as long as all that the loops so far touch of it fits; a loop that does not touch it is then free.
From the first loop on which it does not fit, every further loop moves it again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from haqc.costmodel.bit_composable_tiling import Nest, Orders, Tilings
from haqc.costmodel.prices import Reals


@dataclass(frozen=True, slots=True, eq=False)
class Corrections:
    """Which defects of the published simulator are mended.

    Attributes:
        results: the first partial sum of an output is not loaded, and the last one is written at the width of what
            reads it; the simulator loads and stores every output at the width of partial sums.
        inputs: an input read from its buffer serves all columns of the array, instead of one.
        extents: padding pixels are not moved, and tiles at the rim move what lies within the layer.
        choice: what would move more than the simulator does is not chosen; the simulator takes whatever saves a cycle.
        activity: units use energy when they do useful products; the simulator charges all of them every cycle.
        leakage: the array and the buffers leak.
    """

    results: bool = False
    inputs: bool = False
    extents: bool = False
    choice: bool = False
    activity: bool = False
    leakage: bool = False


REFERENCE = Corrections()
CORRECTED = Corrections(results=True, inputs=True, extents=True, choice=True, activity=True, leakage=True)


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """The traffic of one operand by candidate, in values or bits, [candidate].

    Attributes:
        moved: all of it; infinite where one tile does not fit.
        resident: the most that is on chip at once.
    """

    moved: Reals
    resident: Reals

    def scaled(self, bits: int) -> Stream:
        """Gives the same in bits."""
        return Stream(self.moved * bits, self.resident * bits)


def operand_stream(first: Reals, orders: Orders, touches: npt.NDArray[np.bool_], room: float, share: Reals) -> Stream:
    """Gives the traffic of one operand.

    Args:
        first: size of one tile, [tiling].
        orders: the orders of the loops.
        touches: whether each loop touches the operand, [loop].
        room: the size that stays on chip, in the unit of ``first``.
        share: how much of what the tiles cover is really moved, [tiling].
    """
    resident = first[orders.tiling]
    moved = np.where(resident <= room, resident, np.inf)
    stays = np.ones(resident.shape, np.bool_)
    for count, loop in zip(orders.counts, orders.loops, strict=True):
        touched = touches[loop]
        moved = np.where(touched | ~stays, moved * count, moved)
        stays &= ~touched | (moved <= room)
        resident = np.where(touched & stays, moved, resident)
    moved = np.rint(moved * share[orders.tiling])
    return Stream(moved, np.minimum(resident, moved))


def input_stream(tilings: Tilings, orders: Orders, room: float, corrections: Corrections) -> Stream:
    """Gives the traffic of the input, in values."""
    nest, share = tilings.nest, _whole(tilings)
    if corrections.extents:
        share = _rim(tilings, 0, nest.images, tilings.images) * _rim(tilings, -2, nest.inputs, tilings.inputs)
        axes = enumerate(zip(nest.pixels, tilings.pixels, nest.kernel, nest.stride, strict=True), 1)
        for loop, (pixels, tile, kernel, stride) in axes:
            if nest.is_unrolled:
                share = share * _rim(tilings, loop, pixels, tile)
            else:
                tiles = tilings.counts[loop]
                share = share * (tiles * (kernel - stride) + stride * pixels)
                share = share / (tiles * ((tile - 1) * stride + kernel))
        if not nest.is_unrolled:
            share = share * min(1.0, nest.feature_size / nest.padded_size)
    return operand_stream(tilings.window, orders, _touches(nest, inputs=True, outputs=False), room, share)


def weight_stream(tilings: Tilings, orders: Orders, room: float, lanes: int, corrections: Corrections) -> Stream:
    """Gives the traffic of the weights, in values; ``lanes`` products share one padded pass."""
    nest, first, share = tilings.nest, tilings.weights(lanes), _whole(tilings)
    if corrections.extents:
        tiles, tile = tilings.counts[-2], nest.taps * tilings.inputs
        last = nest.taps * nest.inputs - (tiles - 1) * tile
        share = _rim(tilings, -1, nest.outputs, tilings.outputs)
        share = share * ((tiles - 1) * -(-tile // lanes) + -(-last // lanes)) / (tiles * -(-tile // lanes))
    touches = _touches(nest, inputs=True, outputs=True)
    touches[: 1 + len(nest.pixels)] = False
    return operand_stream(first, orders, touches, room, share)


def result_stream(tilings: Tilings, orders: Orders, room: float, columns: int, corrections: Corrections) -> Stream:
    """Gives the traffic of the results, in values: each is loaded, and stored, that often."""
    nest, first, share = tilings.nest, tilings.results(columns), _whole(tilings)
    if corrections.extents:
        covered = first * tilings.tiles / tilings.counts[-2]
        share = np.minimum(results_of(nest, columns) / covered, 1.0)
    return operand_stream(first, orders, _touches(nest, inputs=False, outputs=True), room, share)


def results_of(nest: Nest, columns: int) -> int:
    """Gives the results of a nest, its output channels padded to whole passes of the array."""
    return nest.images * math.prod(nest.pixels) * -(-nest.outputs // columns) * columns


def _touches(nest: Nest, *, inputs: bool, outputs: bool) -> npt.NDArray[np.bool_]:
    """Says which loops touch an operand that images and pixels touch."""
    return np.array([True] * (1 + len(nest.pixels)) + [inputs, outputs])


def _whole(tilings: Tilings) -> Reals:
    return np.ones(tilings.images.size)


def _rim(tilings: Tilings, loop: int, extent: int, tile: npt.NDArray[np.int64]) -> Reals:
    """Gives how much of what the tiles cover along one loop lies within the layer."""
    within: Reals = extent / (tilings.counts[loop] * tile)
    return within
