"""How a layer can run on a bit-composable array: its loops, the tiles they are cut into, and the orders they nest in.

The search space is that of BitFusion's published simulator (Sharma et al., "Bit Fusion: Bit-Level Dynamically
Composable Architecture for Accelerating Deep Neural Networks", ISCA 2018): tiles are powers of two capped at the
extent, output channels come in multiples of the array's columns, kernels are never cut, and the loops over tiles nest
in any order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from itertools import pairwise, permutations

import numpy as np
import numpy.typing as npt

from haqc.costmodel.prices import Integers, Reals
from haqc.graph import Layer
from haqc.hardware.bit_composable import BitComposable


@dataclass(frozen=True, slots=True)
class Nest:
    """A layer, or one group of it, as loops over images, output pixels, input channels and output channels.

    Attributes:
        images: images, or rows of a matrix product, that share the weights.
        pixels: extents of the output, one a spatial axis; none for a matrix product.
        kernel, stride: like ``pixels``.
        inputs, outputs: channels.
        feature_size: product of the input's spatial extents, without padding.
        is_unrolled: whether the host lays out the windows of the input one after the other (im2col).
    """

    images: int
    pixels: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    inputs: int
    outputs: int
    feature_size: int
    is_unrolled: bool

    @classmethod
    def of(cls, layer: Layer, batch: int, *, is_first: bool, is_shared: bool) -> Nest:
        """Reads one group of a layer.

        A transposed convolution is the matrix product that it is before its overlapping results are added up. Layers
        know the product of their output's extents only, so an image is taken to be as square as that allows.

        Args:
            layer: the layer.
            batch: inferences of one batch.
            is_first: whether it reads an input of the network, whose windows the host then lays out.
            is_shared: whether all inferences of a batch have the same right operand.
        """
        if layer.is_dense or layer.op == "ConvTranspose":
            images = layer.rows * batch if is_shared else layer.rows
            return cls(images, (), (), (), layer.reduction, layer.columns, 1, False)
        return cls(
            images=batch,
            pixels=_squarest(layer.rows, len(layer.kernel)),
            kernel=layer.kernel,
            stride=layer.stride,
            inputs=layer.in_channels // layer.groups,
            outputs=layer.columns,
            feature_size=layer.feature_size,
            is_unrolled=is_first,
        )

    @property
    def taps(self) -> int:
        """Weights of one input and one output channel."""
        return math.prod(self.kernel)

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return self.images * math.prod(self.pixels) * self.taps * self.inputs * self.outputs

    @property
    def padded_size(self) -> int:
        """Input pixels that the windows cover, padding among them."""
        axes = zip(self.pixels, self.kernel, self.stride, strict=True)
        return math.prod((pixels - 1) * stride + kernel for pixels, kernel, stride in axes)


@dataclass(frozen=True, slots=True, eq=False)
class Tilings:
    """Ways to cut a nest; arrays are [tiling], and ``pixels`` is [axis, tiling].

    Attributes:
        nest: what is cut.
        images, pixels, inputs, outputs: extents of one tile.
        counts: tiles along each loop, [loop, tiling]: images, each axis of pixels, inputs, outputs.
    """

    nest: Nest
    images: Integers
    pixels: Integers
    inputs: Integers
    outputs: Integers
    counts: Integers

    @classmethod
    def of(cls, nest: Nest, hardware: BitComposable) -> Tilings:
        """Lists every tiling."""
        longest = max(nest.pixels, default=1)
        output_tile = 1 if nest.is_unrolled else hardware.columns
        grid = np.meshgrid(
            _powers(nest.images), _powers(longest), _powers(nest.inputs), _powers(nest.outputs, output_tile),
            indexing="ij",
        )  # fmt: skip
        images, side, inputs, outputs = (axis.ravel() for axis in grid)
        pixels = np.array([np.minimum(side, extent) for extent in nest.pixels], np.int64).reshape(-1, side.size)
        extents = (nest.images, *nest.pixels, nest.inputs, nest.outputs)
        counts = np.array([-(-n // x) for n, x in zip(extents, (images, *pixels, inputs, outputs), strict=True)])
        return cls(nest, images, pixels, inputs, outputs, counts)

    def __getitem__(self, chosen: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Tilings:
        """Picks some of the tilings."""
        return Tilings(
            self.nest, self.images[chosen], self.pixels[:, chosen], self.inputs[chosen], self.outputs[chosen],
            self.counts[:, chosen],
        )  # fmt: skip

    @property
    def tiles(self) -> Reals:
        """How many tiles there are."""
        tiles: Reals = self.counts.prod(axis=0, dtype=np.float64)
        return tiles

    @property
    def positions(self) -> Reals:
        """Outputs of one tile in one channel, over its images."""
        positions: Reals = (self.images * self.pixels.prod(axis=0)).astype(np.float64)
        return positions

    @property
    def window(self) -> Reals:
        """Input values of one tile: the pixels under its windows, or the windows themselves."""
        nest = self.nest
        if nest.is_unrolled:
            return self.positions * nest.taps * self.inputs
        values = self.images * self.inputs
        for pixels, kernel, stride in zip(self.pixels, nest.kernel, nest.stride, strict=True):
            values = values * ((pixels - 1) * stride + kernel)
        return values.astype(np.float64)

    def weights(self, lanes: int) -> Reals:
        """Weights of one tile, its reduction padded to whole passes of ``lanes`` products."""
        return (_padded(self.nest.taps * self.inputs, lanes) * self.outputs).astype(np.float64)

    def results(self, columns: int) -> Reals:
        """Results of one tile, its output channels padded to whole passes of the array."""
        return self.positions * _padded(self.outputs, columns)

    def passes(self, lanes: int, columns: int) -> Reals:
        """Cycles that all tiles take to compute, at ``lanes`` products a column and cycle."""
        nest = self.nest
        depth = -(-nest.taps * self.inputs // lanes) if nest.is_unrolled else nest.taps * -(-self.inputs // lanes)
        return self.tiles * self.positions * depth * -(-self.outputs // columns)


@dataclass(frozen=True, slots=True, eq=False)
class Orders:
    """Orders of the loops over tiles, innermost first; arrays are [step, candidate].

    Attributes:
        tiling: the tiling of each candidate, [candidate].
        loops: which loop each step is, as a place in :attr:`Tilings.counts`.
        counts: how many tiles it runs over.
    """

    tiling: npt.NDArray[np.intp]
    loops: npt.NDArray[np.intp]
    counts: Reals

    @classmethod
    def of(cls, tilings: Tilings) -> Orders:
        """Lists every order of every tiling once: loops over a single tile stand innermost, in their own order."""
        found, orders = [], _orders(len(tilings.nest.pixels))
        is_single = tilings.counts == 1
        for order in orders:
            keep = np.ones(tilings.images.size, np.bool_)
            for inner, outer in pairwise(order):
                keep &= ~is_single[outer] | (is_single[inner] & (inner < outer))
            found.append(np.flatnonzero(keep))
        tiling = np.concatenate(found)
        loops = np.repeat(np.array(orders, np.intp).T, [len(kept) for kept in found], axis=1)
        return cls(tiling, loops, tilings.counts[loops, tiling].astype(np.float64))


@cache
def _orders(axes: int) -> tuple[tuple[int, ...], ...]:
    """Gives the orders of the loops; those over pixels depend alike, so only one order of them is listed."""
    pixels = range(1, axes + 1)
    every = permutations(range(axes + 3))
    return tuple(order for order in every if all(order.index(p) < order.index(p + 1) for p in pixels[:-1]))


def _powers(extent: int, unit: int = 1) -> Integers:
    """Gives ``unit`` times the powers of two, capped at the extent, up to the first that reaches it.

    >>> _powers(10).tolist(), _powers(100, 32).tolist(), _powers(10, 32).tolist()
    ([1, 2, 4, 8, 10], [32, 64, 100], [10])
    """
    count = (-(-extent // unit) - 1).bit_length() + 1
    powers: Integers = np.minimum(unit << np.arange(count, dtype=np.int64), extent)
    return powers


def _padded(values: Integers, unit: int) -> Integers:
    padded: Integers = -(-values // unit) * unit
    return padded


def _squarest(size: int, axes: int) -> tuple[int, ...]:
    """Splits a size into one whole factor an axis, as equal as they can be, ascending.

    >>> _squarest(3136, 2), _squarest(125, 2), _squarest(16, 1), _squarest(27, 3)
    ((56, 56), (5, 25), (16,), (3, 3, 3))
    """
    if axes < 2:
        return (size,) * axes
    factor = next(part for part in range(round(size ** (1 / axes)), 0, -1) if size % part == 0)
    return (factor, *_squarest(size // factor, axes - 1))
