"""Vector processors: microcontrollers and CPU cores that run a layer as a loop of multiply-accumulates."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar, Literal, get_args

from haqc.errors import TargetError
from haqc.hardware import Streaming, require_positive

OperatorClass = Literal["conv", "pointwise", "depthwise", "dense"]
OPERATOR_CLASSES: tuple[OperatorClass, ...] = get_args(OperatorClass)


@dataclass(frozen=True, slots=True)
class Rates:
    """Multiply-accumulates per cycle, by operator class and by the width that the instructions take.

    An operation runs at the rate of the narrowest width that holds both operands; 32 stands for float.

    Attributes:
        bits: the widths, ascending; 8 is one of them.
        conv: convolutions of any kind that has no rate of its own, one rate per width.
        pointwise: convolutions of extent 1.
        depthwise: depthwise convolutions.
        dense: Gemm and MatMul.
    """

    bits: tuple[int, ...]
    conv: tuple[float, ...]
    pointwise: tuple[float, ...]
    depthwise: tuple[float, ...]
    dense: tuple[float, ...]

    def __post_init__(self) -> None:
        if 8 not in self.bits or any(left >= right for left, right in pairwise(self.bits)):
            raise TargetError(f"widths of rates must ascend and hold 8, not {list(self.bits)}; correct the target file")
        for name in OPERATOR_CLASSES:
            rates = self.of(name)
            if len(rates) != len(self.bits) or not all(rate > 0 for rate in rates):
                raise TargetError(
                    f"rates of {name} must be one above zero for each width of {list(self.bits)}, not {list(rates)}; "
                    "correct the target file"
                )

    def of(self, name: OperatorClass) -> tuple[float, ...]:
        """Gives the rates of an operator class, one per width."""
        return {"conv": self.conv, "pointwise": self.pointwise, "depthwise": self.depthwise, "dense": self.dense}[name]


@dataclass(frozen=True, slots=True)
class Unpacking:
    """What it takes to make the operands of an instruction out of narrower ones.

    Attributes:
        bits: stored widths.
        weight_cycles: cycles that unpack one weight of each width.
        activation_cycles: cycles that unpack one activation of each width.
        rows: output positions that share an unpacked weight; for the next ones it is unpacked again.
    """

    bits: tuple[int, ...] = ()
    weight_cycles: tuple[float, ...] = ()
    activation_cycles: tuple[float, ...] = ()
    rows: int = 1

    def __post_init__(self) -> None:
        for cycles in (self.weight_cycles, self.activation_cycles):
            if len(cycles) != len(self.bits) or not all(each >= 0 for each in cycles):
                raise TargetError(
                    f"cycles of unpacking must be one, zero or more, for each width of {list(self.bits)}, not "
                    f"{list(cycles)}; correct the target file"
                )
        require_positive(self)


@dataclass(frozen=True, slots=True)
class Work:
    """What a layer takes beside its multiply-accumulates, in cycles.

    Attributes:
        requantise_cycles: per output: bias, scale, rounding, clamping, storing.
        im2col_cycles: per byte that is gathered into the columns of a convolution larger than 1x1.
        elementwise_cycles: per byte that operators beside the layers read or write.
        overhead_cycles: per layer.
    """

    requantise_cycles: float
    im2col_cycles: float
    elementwise_cycles: float
    overhead_cycles: float

    def __post_init__(self) -> None:
        require_positive(self, or_zero=("requantise_cycles", "im2col_cycles", "overhead_cycles"))


@dataclass(frozen=True, slots=True)
class Scales:
    """Factors that a calibration found; all 1 without one.

    Attributes:
        conv, pointwise, depthwise, dense: how many times as fast as stated layers of the class run.
        overhead: how many times as long as stated the overhead of a layer takes.
        energy: how many times as much as stated a cycle takes.
    """

    conv: float = 1.0
    pointwise: float = 1.0
    depthwise: float = 1.0
    dense: float = 1.0
    overhead: float = 1.0
    energy: float = 1.0

    def __post_init__(self) -> None:
        require_positive(self)

    def of(self, name: OperatorClass) -> float:
        """Gives the factor of an operator class."""
        return {"conv": self.conv, "pointwise": self.pointwise, "depthwise": self.depthwise, "dense": self.dense}[name]


@dataclass(frozen=True, slots=True)
class Vector:
    """A processor that runs layers one after the other, its weights and its activations each in one memory.

    Attributes:
        clock_hz: cycles per second.
        rates: multiply-accumulates per cycle.
        unpacking: what narrower operands take beside.
        work: what else a layer takes.
        weights_bytes_per_s: bandwidth of the memory that weights are read from (flash, DRAM).
        activations_bytes_per_s: bandwidth of the memory that data and results lie in (SRAM, a cache).
        cycle_energy_j: energy of one cycle, busy or waiting.
        weights_energy_j_per_bit, activations_energy_j_per_bit: energy of one bit that these memories move; zero where
            the energy of a cycle includes it.
        scales: what a calibration found.
    """

    kind: ClassVar[str] = "vector"

    clock_hz: float
    rates: Rates
    unpacking: Unpacking
    work: Work
    weights_bytes_per_s: float
    activations_bytes_per_s: float
    cycle_energy_j: float
    weights_energy_j_per_bit: float = 0.0
    activations_energy_j_per_bit: float = 0.0
    scales: Scales = field(default_factory=Scales)

    def __post_init__(self) -> None:
        require_positive(self, or_zero=("weights_energy_j_per_bit", "activations_energy_j_per_bit"))

    @property
    def modes(self) -> tuple[str, ...]:
        """There is one mode."""
        return ("reference",)

    def streaming(self, mode: str) -> Streaming:
        """Gives the loop over bytes that operators beside the layers take, or the memory where that is slower."""
        del mode
        bits_per_s = 8 * min(self.clock_hz / self.work.elementwise_cycles, self.activations_bytes_per_s)
        busy_j = self.cycle_energy_j * self.scales.energy * self.clock_hz / bits_per_s
        return Streaming(bits_per_s, busy_j + self.activations_energy_j_per_bit)
