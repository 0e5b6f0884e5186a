"""Prices a graph on a target: one module per kind of hardware, one table for all of them."""

from __future__ import annotations

import numpy as np

from haqc.costmodel.bit_serial import bit_serial_prices
from haqc.costmodel.table import CostTable, LayerCost
from haqc.errors import ModelError, TargetError, nearest
from haqc.graph import FULL_BITS, Graph
from haqc.target import Target

__all__ = ["MAX_BATCH", "CostTable", "LayerCost", "build_table"]

MAX_BATCH = 65_536
"""Largest batch that is priced; beyond it the counts of a large layer would not fit 64 bits."""


def build_table(graph: Graph, target: Target, *, batch: int | None = None, mode: str | None = None) -> CostTable:
    """Prices every layer of a graph at every pair of widths that the target offers.

    Args:
        graph: the model.
        target: the chip.
        batch: inferences of one batch; the target's own when ``None``.
        mode: mode of the cost model; the target's first when ``None``.

    Raises:
        TargetError: the target has no such mode, the batch is out of range, or the target lacks 8-bit widths.
        ModelError: the model has no layer to price, or one that is too large.
    """
    batch = target.batch if batch is None else batch
    mode = target.modes[0] if mode is None else mode
    if mode not in target.modes:
        offered = ", ".join(target.modes)
        raise TargetError(f"target '{target.name}' has no mode '{mode}'{nearest(mode, target.modes)}; it has {offered}")
    if not 1 <= batch <= MAX_BATCH:
        raise TargetError(f"a batch of {batch} cannot be priced; give one from 1 to {MAX_BATCH:,}")
    if FULL_BITS not in target.weight_widths or FULL_BITS not in target.activation_widths:
        raise TargetError(f"target '{target.name}' lacks 8-bit weights or activations, which budgets refer to; add 8")
    if not graph.layers:
        raise ModelError(f"model '{graph.name}' has no Conv, ConvTranspose, Gemm or MatMul, so nothing can be priced")

    widths = target.weight_widths, target.activation_widths
    unshared = {y.name for y in graph.layers if y.weight in graph.operand and graph.operand[y.weight].kind != "weight"}
    prices = bit_serial_prices(graph.layers, target.hardware, batch, *widths, unshared=unshared)
    values = np.array([layer.weight_values for layer in graph.layers], np.int64)
    weight_bytes = -(-values[:, None] * np.array(widths[0], np.int64) // 8)

    full = (widths[0].index(FULL_BITS), widths[1].index(FULL_BITS))
    floating = [place for place, layer in enumerate(graph.layers) if layer.float_reason]
    for array in (prices.cycles, *prices.energy_parts_j.values()):
        array[floating] = array[floating][:, full[0], full[1], None, None]
    weight_bytes[floating] = weight_bytes[floating][:, full[0], None]
    return CostTable(
        graph=graph,
        batch=batch,
        mode=mode,
        weight_bits=widths[0],
        activation_bits=widths[1],
        output_bits=(target.hardware.output_bits,),
        cycles=prices.cycles,
        latency_s=prices.cycles / target.hardware.clock_hz,
        energy_parts_j=prices.energy_parts_j,
        weight_bytes=weight_bytes,
    )
