"""What a kind of hardware is asked, and what it answers: prices of layers at every combination of widths.

Every array is indexed [layer, weight width, activation width, output width], or broadcasts to that: an axis along
which nothing changes may have length 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from haqc.errors import ModelError
from haqc.graph import Graph, Layer
from haqc.precision import Precision

Integers = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]

Bound = Literal["compute", "activations", "weights"]
BOUNDS: tuple[Bound, ...] = get_args(Bound)

MAX_MACS = 2**48
"""Multiply-accumulates of one layer and batch above which 64-bit cycle counts could overflow."""


@dataclass(frozen=True)
class Axes:
    """The widths at which layers are priced, each axis ascending.

    Attributes:
        weight_bits, activation_bits: widths of the operands.
        output_bits: widths at which the result is written; a single one where the hardware has only that.
    """

    weight_bits: tuple[int, ...]
    activation_bits: tuple[int, ...]
    output_bits: tuple[int, ...]

    @classmethod
    def of(cls, precision: Precision) -> Axes:
        """Gives the axes of everything that a chip offers."""
        return cls(precision.weight_widths, precision.activation_widths, precision.written_widths)

    @property
    def lengths(self) -> tuple[int, int, int]:
        """How many widths each axis has."""
        return len(self.weight_bits), len(self.activation_bits), len(self.output_bits)

    @cached_property
    def weights(self) -> Integers:
        """Weight widths, shaped to broadcast: [1, weight, 1, 1]."""
        return np.array(self.weight_bits, np.int64).reshape(1, -1, 1, 1)

    @cached_property
    def activations(self) -> Integers:
        """Activation widths, shaped to broadcast: [1, 1, activation, 1]."""
        return np.array(self.activation_bits, np.int64).reshape(1, 1, -1, 1)

    @cached_property
    def outputs(self) -> Integers:
        """Output widths, shaped to broadcast: [1, 1, 1, output]."""
        return np.array(self.output_bits, np.int64).reshape(1, 1, 1, -1)


@dataclass(frozen=True)
class Context:
    """What a kind of hardware may need to know of layers beyond their shapes.

    Attributes:
        precision: widths, containers, width of partial sums.
        unshared: names of products whose right operand differs for every inference of a batch (two activations), so
            that a batch cannot share one pass over it.
        first: names of layers that read an input of the network.
        floating: names of layers that stay in float. On hardware with float, a kind gives these one price in all
            cells; elsewhere the table takes that of 8/8, whatever the kind gives.
    """

    precision: Precision
    unshared: frozenset[str] = frozenset()
    first: frozenset[str] = frozenset()
    floating: frozenset[str] = frozenset()

    @classmethod
    def of(cls, graph: Graph, precision: Precision) -> Context:
        """Reads it off a graph."""
        operand = graph.operand
        return cls(
            precision,
            frozenset(y.name for y in graph.layers if y.weight in operand and operand[y.weight].kind != "weight"),
            frozenset(y.name for y in graph.layers if y.activation in graph.inputs),
            frozenset(y.name for y in graph.layers if y.float_reason),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Energy:
    """Joules of one batch by where they go: arithmetic, memories on the chip, DRAM, and leakage while it runs."""

    compute: Reals
    on_chip: Reals
    off_chip: Reals
    leakage: Reals

    @property
    def parts(self) -> dict[str, Reals]:
        """The parts by name."""
        return {"compute": self.compute, "on_chip": self.on_chip, "off_chip": self.off_chip, "leakage": self.leakage}


@dataclass(frozen=True, slots=True, eq=False)
class Traffic:
    """Bits of one batch that are read from or written to DRAM, by what they belong to."""

    activations: Reals
    weights: Reals
    outputs: Reals

    @property
    def parts(self) -> dict[str, Reals]:
        """The parts by name."""
        return {"activations": self.activations, "weights": self.weights, "outputs": self.outputs}


@dataclass(frozen=True, slots=True, eq=False)
class Prices:
    """What layers cost for one batch; arrays broadcast to [layer, weight, activation, output].

    Attributes:
        cycles: clock cycles, int64 or float64, of the full shape.
        energy: joules by part.
        moved_bits: off-chip traffic by operand.
        compute_cycles: the least cycles that the arithmetic alone takes.
        memory_cycles: the least cycles that off-chip traffic alone takes.
        results_are_free: whether written results take no time, so that they do not count for what binds a layer.
    """

    cycles: Integers | Reals
    energy: Energy
    moved_bits: Traffic
    compute_cycles: Integers | Reals
    memory_cycles: Integers | Reals
    results_are_free: bool = False

    def bounds(self) -> npt.NDArray[np.int8]:
        """Gives what binds each cell, as places in :data:`BOUNDS`; broadcasts like the rest.

        A cell is bound by compute when its arithmetic takes at least as long as its traffic; else by the heavier of
        weights and activations, where results count as activations.
        """
        moved = self.moved_bits
        streamed = moved.activations + (0.0 if self.results_are_free else moved.outputs)
        traffic = np.where(moved.weights > streamed, 2, 1)
        bounds: npt.NDArray[np.int8] = np.where(self.compute_cycles >= self.memory_cycles, 0, traffic).astype(np.int8)
        return bounds


Pricer = Callable[[Sequence[Layer], Any, Axes, int, str, Context], Prices]
"""Prices layers on one kind of hardware: layers, hardware, axes, batch, mode, context."""

NOTHING: Reals = np.zeros((1, 1, 1, 1))
"""The part of the energy, or the traffic, that a kind of hardware does not have."""

NOTHING.flags.writeable = False


def require_countable(layers: Sequence[Layer], batch: int) -> None:
    """Checks that every layer's cycles fit 64 bits.

    Raises:
        ModelError: a layer is too large.
    """
    for layer in layers:
        if layer.macs * batch > MAX_MACS:
            raise ModelError(
                f"layer '{layer.name}' has {layer.macs:,} multiply-accumulates, and a batch is {batch}; "
                f"at most {MAX_MACS:,} per batch can be priced, so check the model's shapes or take a smaller --batch"
            )
