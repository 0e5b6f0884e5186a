"""The widths that a chip computes with, and the containers it stores them in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product
from typing import Literal

from haqc.errors import TargetError
from haqc.graph import FULL_BITS

Container = Literal["exact", "next-power-of-two"] | tuple[int, ...]
"""How a width is stored: packed, rounded up to a power of two, or in the narrowest listed width that holds it."""

FLOAT_BITS = 32
"""Width of a tensor without a quantiser on hardware that has floats."""


@dataclass(frozen=True)
class Precision:
    """What a chip can compute with and how it stores it.

    Attributes:
        weight_widths, activation_widths: widths of operands, ascending.
        pairs: the (weight, activation) widths that may meet in a layer; all of them when ``None``.
        weight_container, activation_container: how operands are stored.
        has_float: whether layers and tensors without a quantiser stay in float; else they count as 8 bits wide.
        accumulator_bits: width of partial sums.
        output_bits: width at which results are written: that of what reads them, or a fixed one.
    """

    weight_widths: tuple[int, ...]
    activation_widths: tuple[int, ...]
    pairs: frozenset[tuple[int, int]] | None = None
    weight_container: Container = "exact"
    activation_container: Container = "exact"
    has_float: bool = False
    accumulator_bits: int = 32
    output_bits: Literal["consumers"] | int = "consumers"

    def __post_init__(self) -> None:
        for name, widths in (("weight", self.weight_widths), ("activation", self.activation_widths)):
            if not widths or widths[0] < 1 or any(left >= right for left, right in pairwise(widths)):
                raise TargetError(f"{name} widths must be above zero and ascend, not {widths}; correct the target")
        unknown = sorted((self.pairs or frozenset()) - set(product(self.weight_widths, self.activation_widths)))
        if unknown:
            raise TargetError(
                f"pair {unknown[0][0]}/{unknown[0][1]} (weights/activations) is outside the widths; weights have "
                f"{self.weight_widths} and activations {self.activation_widths}, so add the width or drop the pair"
            )
        if self.pairs is not None and not self.pairs:
            raise TargetError("no pair of widths is allowed; list at least 8/8, which budgets refer to")
        for container, widths in (
            (self.weight_container, self.weight_widths),
            (self.activation_container, self.activation_widths),
        ):
            if isinstance(container, tuple) and max(container, default=0) < widths[-1]:
                raise TargetError(f"containers {container} hold no {widths[-1]} bits; list one that does")

    def allows(self, weight: int, activation: int) -> bool:
        """Whether a layer may have these widths."""
        return (weight, activation) in self.allowed_pairs

    @cached_property
    def allowed_pairs(self) -> frozenset[tuple[int, int]]:
        """Every pair of (weight, activation) widths that a layer may have."""
        if self.pairs is not None:
            return self.pairs
        return frozenset(product(self.weight_widths, self.activation_widths))

    @property
    def unquantised_bits(self) -> int:
        """Width of a tensor without a quantiser: 32 bits where there is float, else 8."""
        return FLOAT_BITS if self.has_float else FULL_BITS

    @cached_property
    def written_widths(self) -> tuple[int, ...]:
        """Widths that a layer's result may be written at, ascending; a single one where it is fixed."""
        if self.output_bits != "consumers":
            return (self.output_bits,)
        return tuple(sorted({*self.activation_widths, FULL_BITS, self.unquantised_bits}))

    def weight_container_bits(self, bits: int) -> int:
        """Gives the bits that one weight of a width takes where it is stored."""
        return _contained(bits, self.weight_container)

    def activation_container_bits(self, bits: int) -> int:
        """Gives the bits that one activation of a width takes where it is stored."""
        return _contained(bits, self.activation_container)

    def describe(self) -> str:
        """Says in a few words which widths there are, for messages."""
        if self.pairs is None:
            return f"weights of {_listed(self.weight_widths)} and activations of {_listed(self.activation_widths)}"
        return f"weights/activations of {', '.join(f'{w}/{a}' for w, a in sorted(self.pairs))}"


def _contained(bits: int, container: Container) -> int:
    """Gives the width of the container of ``bits``; what no listed container holds is stored as it is.

    >>> [_contained(bits, "next-power-of-two") for bits in (1, 3, 4, 5, 32)]
    [1, 4, 4, 8, 32]
    >>> [_contained(bits, (4, 8)) for bits in (2, 4, 5, 32)]
    [4, 4, 8, 32]
    """
    if isinstance(container, tuple):
        return min((width for width in container if width >= bits), default=bits)
    return bits if container == "exact" else 1 << (bits - 1).bit_length()


def _listed(widths: tuple[int, ...]) -> str:
    return ", ".join(map(str, widths))
