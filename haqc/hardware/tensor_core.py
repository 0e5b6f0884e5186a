"""Graphics processors with tensor cores: a roofline of matrix tiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from haqc.errors import TargetError
from haqc.graph import FULL_BITS
from haqc.hardware import Streaming, require_positive


@dataclass(frozen=True, slots=True)
class TensorRate:
    """The rate of the matrix units at one pair of widths.

    Attributes:
        weight_bits, activation_bits: the widest operands that run at it.
        macs_per_s: multiply-accumulates per second of the whole chip, dense, at its peak.
    """

    weight_bits: int
    activation_bits: int
    macs_per_s: float

    def __post_init__(self) -> None:
        require_positive(self)

    def covers(self, weight_bits: int, activation_bits: int) -> bool:
        """Whether operands of these widths fit it."""
        return self.weight_bits >= weight_bits and self.activation_bits >= activation_bits


@dataclass(frozen=True, slots=True)
class TensorCore:
    """A processor of matrix tiles (NVIDIA's tensor cores) beside vector units, behind one memory.

    Attributes:
        clock_hz: cycles per second, for prices in cycles.
        multiprocessors: tiles that run at a time.
        rates: what the matrix units do at each pair of widths that they have.
        tiles: [rows, columns] of the output that a kernel may give one multiprocessor; the fastest is taken.
        tile_depth_bits: a tile's reduction runs in steps of this many bits of one operand.
        efficiency: share of the matrix units' peak that kernels reach on whole tiles, at most 1.
        vector_macs_per_s: multiply-accumulates per second of the vector units in 32-bit float.
        dram_bits_per_s: bits per second to and from memory together.
        launch_s: seconds between two kernels.
        board_power_w: power at the peak rate.
        static_power_w: power of a chip that is ready and does nothing.
        dram_energy_j_per_bit: energy of one bit read from or written to memory.
        fused: ONNX operators that run in the kernel before them.
    """

    kind: ClassVar[str] = "tensor-core"

    clock_hz: float
    multiprocessors: int
    rates: tuple[TensorRate, ...]
    tiles: tuple[tuple[int, int], ...]
    tile_depth_bits: int
    efficiency: float
    vector_macs_per_s: float
    dram_bits_per_s: float
    launch_s: float
    board_power_w: float
    static_power_w: float
    dram_energy_j_per_bit: float
    fused: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        require_positive(self, or_zero=("launch_s", "static_power_w"))
        if self.efficiency > 1:
            raise TargetError(f"efficiency must be at most 1, not {self.efficiency}; correct it in the target file")
        if self.static_power_w >= self.board_power_w:
            raise TargetError(
                f"a board of {self.board_power_w} W cannot idle at {self.static_power_w} W; correct one of them"
            )
        if not any(rate.covers(FULL_BITS, FULL_BITS) for rate in self.rates):
            raise TargetError("no rate of the matrix units covers 8/8 bits, which budgets refer to; add that rate")
        if not self.tiles or any(side < 1 for tile in self.tiles for side in tile):
            raise TargetError(f"tiles must be pairs of rows and columns above zero, not {self.tiles}; list one")

    @property
    def modes(self) -> tuple[str, ...]:
        """The one mode, ``roofline``."""
        return ("roofline",)

    @property
    def busy_power_w(self) -> float:
        """What arithmetic at the peak rate adds to the static power."""
        return self.board_power_w - self.static_power_w

    def covering(self, weight_bits: int, activation_bits: int) -> TensorRate:
        """Gives the rate of the smallest pair of widths that holds both operands.

        Raises:
            TargetError: there is none.
        """
        fitting = [rate for rate in self.rates if rate.covers(weight_bits, activation_bits)]
        if not fitting:
            raise TargetError(
                f"the matrix units have no rate for {weight_bits}/{activation_bits} bits (weights/activations); "
                "give one that covers them, or drop the pair from the widths"
            )
        return min(fitting, key=lambda rate: (rate.weight_bits * rate.activation_bits, -rate.macs_per_s))

    def streaming(self, mode: str) -> Streaming | None:
        """Gives the memory, which every kernel that is no matrix product streams through."""
        return Streaming(self.dram_bits_per_s, self.dram_energy_j_per_bit, self.fused)
