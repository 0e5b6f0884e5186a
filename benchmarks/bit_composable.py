"""Times the search of tilings on ``bitfusion-e``: ResNet-18 at all 64 pairs of 1 to 8 bits, batch 16.

Run from the root of the repository, on one core::

    OMP_NUM_THREADS=1 python -m benchmarks.bit_composable

Times are processor time. The plain loop runs through the same tilings and loop orders one at a time, as the published
simulator does, for one pair of one layer; it also checks the search.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import permutations, product

from haqc import targets
from haqc.costmodel.bit_composable import price_with
from haqc.costmodel.bit_composable_traffic import CORRECTED, REFERENCE
from haqc.costmodel.prices import Axes, Context
from haqc.graph import Layer
from haqc.hardware.bit_composable import BitComposable
from haqc.precision import Precision
from tests.costmodel.resnet18_layers import resnet18_layers

BITS = tuple(range(1, 9))
BATCH, SUM_BITS, REPEATS = 16, 32, 3
PLAIN_LAYER, PLAIN_BITS = 6, 4
LIMIT_S = 3.0

Tile = tuple[int, int, int, int]
"""Images, pixels along either axis, inputs and outputs of a tile."""


def seconds_of(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Gives the least processor time that ``work`` takes."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def tiles(layer: Layer, hardware: BitComposable) -> Iterator[Tile]:
    """Yields the tiles of a square convolution: powers of two, capped at the extent."""
    extents = (BATCH, math.isqrt(layer.rows), layer.in_channels, layer.out_channels)
    units = (1, 1, 1, hardware.columns)
    sides = [
        sorted({min(unit << power, extent) for power in range(extent.bit_length() + 1)})
        for unit, extent in zip(units, extents, strict=True)
    ]
    yield from product(*sides)


def moved_and_resident(first: int, loops: tuple[tuple[bool, int], ...], half: float) -> tuple[int, int]:
    """Walks through the loops from the innermost out; gives all that moves and the most that is on chip, in bits."""
    moved = resident = first
    stays = True
    for touches, count in loops:
        if not stays:
            moved *= count
        elif touches:
            moved *= count
            stays = moved <= half
            resident = moved if stays else resident
    return moved, resident


def least_cycles_plainly(layer: Layer, hardware: BitComposable, bits: int) -> int:
    """Gives the cycles of a square convolution at equal widths, one candidate at a time."""
    lanes = hardware.rows * hardware.products_per_unit(bits, bits)
    kernel, stride, size = layer.kernel[0], layer.stride[0], math.isqrt(layer.rows)
    buffers = (hardware.input_buffer, hardware.weight_buffer, hardware.result_buffer)
    width, best = hardware.interface_bits_per_cycle, math.inf
    for images, pixels, inputs, outputs in tiles(layer, hardware):
        columns = math.ceil(outputs / hardware.columns)
        firsts = (
            (kernel + (pixels - 1) * stride) ** 2 * inputs * images * bits,
            math.ceil(kernel**2 * inputs / lanes) * lanes * outputs * bits,
            pixels**2 * columns * hardware.columns * images * SUM_BITS,
        )
        if any(first > buffer.half_bits for first, buffer in zip(firsts, buffers, strict=True)):
            continue
        wide, rows = math.ceil(size / pixels), math.ceil(layer.in_channels / inputs)
        counts = (math.ceil(BATCH / images), wide, wide, rows, math.ceil(layer.out_channels / outputs))
        passes = images * pixels**2 * columns * kernel**2 * math.ceil(inputs / lanes) * math.prod(counts)
        touches = ((True, True, True, True, False), (False, False, False, True, True), (True, True, True, False, True))
        for order in permutations(range(5)):
            streams = [
                moved_and_resident(first, tuple((touched[loop], counts[loop]) for loop in order), buffer.half_bits)
                for first, touched, buffer in zip(firsts, touches, buffers, strict=True)
            ]
            before, after = sum(resident for _, resident in streams), streams[2][1]
            between = sum(moved for moved, _ in streams) + streams[2][0] - before - after
            cycles = max(passes, math.ceil(between / width)) + math.ceil(before / width) + math.ceil(after / width)
            best = min(best, cycles)
    return int(best)


def main() -> None:
    """Prints the figures, one a line."""
    hardware = targets.load("bitfusion-e").hardware
    if not isinstance(hardware, BitComposable):
        raise SystemExit("bitfusion-e is no longer bit-composable")
    layers = resnet18_layers()
    context = Context(Precision(BITS, BITS), first=frozenset({"conv0"}))
    pairs = len(layers) * len(BITS) ** 2
    tables_s = []
    for name, corrections, outputs in (
        ("reference", REFERENCE, (8,)),
        ("corrected, results of 8 bits", CORRECTED, (8,)),
        ("corrected, results of 1 to 8 bits", CORRECTED, BITS),
    ):
        axes = Axes(BITS, BITS, outputs)
        tables_s.append(seconds_of(partial(price_with, layers, hardware, axes, BATCH, corrections, context)))
        print(f"ResNet-18, {pairs:,} pairs, {name}: {tables_s[-1]:.2f} s, {1e3 * tables_s[-1] / pairs:.2f} ms a pair")

    layer, widths = layers[PLAIN_LAYER], Axes((PLAIN_BITS,), (PLAIN_BITS,), (8,))

    def searched() -> int:
        return int(price_with([layer], hardware, widths, BATCH, REFERENCE, context).cycles.item())

    start = time.process_time()
    plain = least_cycles_plainly(layer, hardware, PLAIN_BITS)
    loop_s = time.process_time() - start
    if searched() != plain:
        raise SystemExit(f"the plain loop gives {plain} cycles and the search {searched()}")
    alone, together = loop_s / seconds_of(searched), loop_s * pairs / tables_s[0]
    print(
        f"one pair of one layer, plain loop: {1e3 * loop_s:.0f} ms; the search is {alone:.0f} times as fast for that "
        f"pair, and {together:.0f} times in the table"
    )
    if max(tables_s) > LIMIT_S:
        raise SystemExit(f"the slowest table takes {max(tables_s):.2f} s, and may take {LIMIT_S} s")


if __name__ == "__main__":
    main()
