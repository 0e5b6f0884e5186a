"""How a chip runs what is not a layer: it streams tensors through a memory."""

from __future__ import annotations

from dataclasses import dataclass

from haqc.errors import TargetError


@dataclass(frozen=True, slots=True)
class Streaming:
    """The memory that element-wise operators and pooling read from and write to.

    Attributes:
        bits_per_s: bits per second, reading and writing together.
        energy_j_per_bit: energy of one bit read or written, in joules.
        fused: ONNX operators that run while the layer before them writes its result, where that is all that reads it.
    """

    bits_per_s: float
    energy_j_per_bit: float
    fused: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not self.bits_per_s > 0 or not self.energy_j_per_bit >= 0:
            raise TargetError(
                f"a memory of {self.bits_per_s} bits per second and {self.energy_j_per_bit} joules per bit streams "
                "nothing; the first must be above zero and the second not below"
            )
