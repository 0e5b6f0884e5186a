"""What a target can do, in the figures that a data sheet gives, read off the cost model itself.

Large layers of four shapes are priced at every pair of widths. Whatever the kind of hardware, multiply-accumulates by
the time of the arithmetic alone are the peak rate, and bytes by the time of the traffic alone the bandwidth, so these
figures cannot differ from what a network is priced with.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from haqc.costmodel import build_table
from haqc.costmodel.table import CostTable, LayerCost
from haqc.errors import HaqcError
from haqc.graph import FULL_BITS, Graph, Layer, Operand, Operation
from haqc.policy import Bits
from haqc.target import Target

_PIXELS, _CHANNELS, _FEATURES = 64, 512, 4096
_MOST_PAIRS = 16

Cell = tuple[slice, int, int, int]
"""All layers at one pair of widths."""


@dataclass(frozen=True, slots=True)
class Peak:
    """What a chip does at one pair of widths.

    Attributes:
        bits: the widths.
        macs_per_s: the fastest of a 3x3 convolution, a 1x1 convolution and a matrix product.
        depthwise_macs_per_s: a 3x3 depthwise convolution.
        ridge_macs_per_byte: multiply-accumulates per byte moved, above which arithmetic binds and below which memory.
        mac_energy_j: energy of one multiply-accumulate of the fastest, memories on the chip and leakage included.
    """

    bits: Bits
    macs_per_s: float
    depthwise_macs_per_s: float
    ridge_macs_per_byte: float
    mac_energy_j: float


@dataclass(frozen=True)
class DataSheet:
    """The figures of a target in one mode.

    Attributes:
        target: the chip.
        peaks: by pair of widths: all that it allows, or equal widths and 8-bit activations where that is over 16.
        bandwidth_bytes_per_s: off-chip bytes per second, at 8/8.
        off_chip_energy_j_per_byte: energy of one such byte, at 8/8; 0 where the kind has it in its arithmetic.
        results_are_free: whether written results take no time, so that the bandwidth is that of reading alone.
        refusal: why there are no such figures, if there are none.
    """

    target: Target
    peaks: tuple[Peak, ...] = ()
    bandwidth_bytes_per_s: float = 0.0
    off_chip_energy_j_per_byte: float = 0.0
    results_are_free: bool = False
    refusal: str = ""


def data_sheet(target: Target, mode: str | None = None) -> DataSheet:
    """Reads the figures of a target off its cost model; a table of measurements has none.

    Args:
        target: the chip.
        mode: mode of the cost model; the target's first when ``None``.
    """
    try:
        table = build_table(_large_layers(), target, mode=mode)
    except HaqcError as error:
        return DataSheet(target, refusal=str(error))
    full = _cell(table, Bits(FULL_BITS, FULL_BITS))
    every_byte = np.sum(list(table.moved_bits.values()), axis=0)[full] / 8
    return DataSheet(
        target,
        tuple(_peak(table, bits) for bits in _pairs(target)),
        _bandwidth_bytes_per_s(table, full),
        float(np.max(table.energy_parts_j["off_chip"][full] / every_byte)),
        table.prices.results_are_free,
    )


def roofline(target: Target, mode: str, layers: Iterable[LayerCost]) -> dict[str, Any] | None:
    """Gives the roofs of a report: off-chip bytes per second, and multiply-accumulates per second by widths.

    The roofline is that of Williams, Waterman and Patterson, CACM 52(4), 2009. Where a chip reads weights and data side
    by side, a layer that needs as much of both moves more bytes than a large layer does; so the bandwidth is the
    highest of the data sheet and of the network's own layers.

    Args:
        target: the chip.
        mode: mode of the cost model.
        layers: layers of the network, at any widths.

    Returns:
        ``bandwidth_bytes_per_s``, ``results_are_free`` and ``peaks``, or ``None`` for a table of measurements.
    """
    sheet = data_sheet(target, mode)
    if sheet.refusal:
        return None
    peaks = [
        {"weight_bits": peak.bits.weight, "activation_bits": peak.bits.activation, "macs_per_s": peak.macs_per_s}
        for peak in sheet.peaks
    ]
    reached = [
        (sum(row.moved_bytes.values()) - sheet.results_are_free * row.moved_bytes["outputs"]) / row.latency_s
        for row in layers
        if row.latency_s
    ]
    return {
        "bandwidth_bytes_per_s": max([sheet.bandwidth_bytes_per_s, *reached]),
        "results_are_free": sheet.results_are_free,
        "peaks": peaks,
    }


def _cell(table: CostTable, bits: Bits) -> Cell:
    return slice(None), table.axes.weight_bits.index(bits.weight), table.axes.activation_bits.index(bits.activation), 0


def _peak(table: CostTable, bits: Bits) -> Peak:
    cell = _cell(table, bits)
    macs = np.array([layer.macs * table.batch for layer in table.graph.layers], np.float64)
    rates = macs * table.target.hardware.clock_hz / np.broadcast_to(table.prices.compute_cycles, table.shape)[cell]
    *dense, depthwise = rates.tolist()
    fastest = int(np.argmax(dense))
    energy_j = sum(float(table.energy_parts_j[part][cell][fastest]) for part in ("compute", "on_chip", "leakage"))
    ridge = dense[fastest] / _bandwidth_bytes_per_s(table, cell)
    return Peak(bits, dense[fastest], depthwise, ridge, energy_j / float(macs[fastest]))


def _bandwidth_bytes_per_s(table: CostTable, cell: Cell) -> float:
    """Gives the bytes per second of the layer that comes closest to what the memory does."""
    moved = table.moved_bits
    results = 0.0 if table.prices.results_are_free else moved["outputs"]
    bytes_ = (moved["activations"] + moved["weights"] + results)[cell] / 8
    cycles = np.broadcast_to(table.prices.memory_cycles, table.shape)[cell]
    return float(np.max(bytes_ * table.target.hardware.clock_hz / cycles))


def _pairs(target: Target) -> list[Bits]:
    allowed = sorted(target.precision.allowed_pairs, reverse=True)
    if len(allowed) > _MOST_PAIRS:
        allowed = [(w, a) for w, a in allowed if a in (w, FULL_BITS)]
    return [Bits(w, a) for w, a in allowed]


def _large_layers() -> Graph:
    """Makes the layers: large enough that no edge of an array or a tile counts."""
    layers = (
        _layer("conv", (3, 3), 1),
        _layer("pointwise", (1, 1), 1),
        Layer(
            name="dense", op="MatMul", nodes=("dense",), activation="x", weight="dense.w", output="dense.out",
            in_channels=_FEATURES, out_channels=_FEATURES, kernel=(), stride=(), groups=1, rows=_FEATURES,
            reduction=_FEATURES, columns=_FEATURES, weight_values=_FEATURES**2, bias_values=0, feature_size=_FEATURES,
        ),
        _layer("depthwise", (3, 3), _CHANNELS),
    )  # fmt: skip
    values = _CHANNELS * _PIXELS**2
    operands = [Operand(layer.weight, "weight", (layer.name,), layer.weight_values) for layer in layers]
    reads = tuple(layer.name for layer in layers)
    steps = (Operation(y.name, y.op, (y.activation,), (y.output,), y.name) for y in layers)
    return Graph(
        name="large layers",
        layers=layers,
        operands=(*operands, Operand("x", "activation", reads, values)),
        operations=(Operation("relu", "Relu", ("image",), ("x",)), *steps),
        tensor_values={"image": values, "x": values, **dict.fromkeys((y.output for y in layers), values)},
        inputs=("image",),
        outputs=tuple(layer.output for layer in layers),
    )


def _layer(name: str, kernel: tuple[int, int], groups: int) -> Layer:
    reduction = _CHANNELS // groups * kernel[0] * kernel[1]
    return Layer(
        name=name, op="Conv", nodes=(name,), activation="x", weight=f"{name}.w", output=f"{name}.out",
        in_channels=_CHANNELS, out_channels=_CHANNELS, kernel=kernel, stride=(1, 1), groups=groups, rows=_PIXELS**2,
        reduction=reduction, columns=_CHANNELS // groups, weight_values=_CHANNELS * reduction, bias_values=0,
        feature_size=_PIXELS**2,
    )  # fmt: skip
