"""Hardware that is known by its measurements: a table of layers, and no formula."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from haqc.graph import Layer
from haqc.hardware import require_positive


@dataclass(frozen=True, slots=True)
class Signature:
    """What a measured layer is known by.

    The layer IR keeps the product of the input's extents, so that is what two signatures are compared by.

    Attributes:
        op: ONNX operator.
        kernel, stride: spatial extents, one per axis; empty for Gemm and MatMul.
        in_channels, out_channels: channels over all groups.
        groups: number of groups.
        positions: height times width of the input; rows of one inference for Gemm and MatMul.
        batch: inferences that were measured together.
    """

    op: str
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    in_channels: int
    out_channels: int
    groups: int
    positions: int
    batch: int

    @classmethod
    def of(cls, layer: Layer, batch: int) -> Signature:
        """Gives the signature of a layer."""
        positions = layer.rows if layer.is_dense else layer.feature_size
        channels = layer.in_channels, layer.out_channels
        return cls(layer.op, layer.kernel, layer.stride, *channels, layer.groups, positions, batch)

    def __str__(self) -> str:
        kernel, stride = ("x".join(map(str, extents)) for extents in (self.kernel, self.stride))
        shape = f" kernel {kernel} stride {stride}" if kernel else ""
        return (
            f"{self.op}{shape}, {self.in_channels} to {self.out_channels} channels in {self.groups} groups, "
            f"{self.positions} {'positions' if kernel else 'rows'}, batch {self.batch}"
        )


@dataclass(frozen=True, slots=True)
class Measured:
    """What one layer took at one pair of widths, for its batch.

    Attributes:
        latency_s: seconds.
        energy_j: joules.
    """

    latency_s: float
    energy_j: float

    def __post_init__(self) -> None:
        require_positive(self)


@dataclass(frozen=True, slots=True)
class Lookup:
    """A table of measured layers; what it does not hold has no price.

    Attributes:
        clock_hz: cycles per second, for reports that count in cycles.
        file: name of the table's file, for messages.
        cells: what was measured, by layer, weight width and activation width.
    """

    kind: ClassVar[str] = "lookup"

    clock_hz: float
    file: str
    cells: Mapping[tuple[Signature, int, int], Measured] = field(hash=False, repr=False)

    def __post_init__(self) -> None:
        require_positive(self)

    @property
    def modes(self) -> tuple[str, ...]:
        """There is one mode."""
        return ("measured",)

    def streaming(self, mode: str) -> None:
        """The table holds layers only; other operators are listed."""
        del mode
