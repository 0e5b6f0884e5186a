"""Prices a graph on a target: one module per kind of hardware, one table for all of them.

``README.md`` beside this file says how to add a kind.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

from haqc.costmodel.bit_composable import price_bit_composable
from haqc.costmodel.bit_serial import price_bit_serial
from haqc.costmodel.cache import cached_prices
from haqc.costmodel.lookup import price_lookup
from haqc.costmodel.npu import price_npu
from haqc.costmodel.prices import Axes, Context, Pricer, Prices, require_countable
from haqc.costmodel.row_reads import with_row_reads
from haqc.costmodel.table import CostTable, LayerCost
from haqc.costmodel.tensor_core import price_tensor_core
from haqc.costmodel.vector import price_vector
from haqc.errors import ModelError, TargetError, nearest
from haqc.graph import FULL_BITS, Graph, Layer
from haqc.hardware.bit_composable import BitComposable
from haqc.hardware.bit_serial import BitSerial
from haqc.hardware.lookup import Lookup
from haqc.hardware.npu import Npu
from haqc.hardware.tensor_core import TensorCore
from haqc.hardware.vector import Vector
from haqc.target import Target

__all__ = ["MAX_BATCH", "MAX_LAYERS", "MAX_PRICES", "MAX_VALUES", "CostTable", "LayerCost", "build_table"]

MAX_BATCH = 65_536
"""Largest batch that is priced; beyond it the counts of a large layer would not fit 64 bits."""

MAX_VALUES = 2**48
"""Values of all activation tensors of a batch: their bits then still count exactly."""

MAX_PRICES = 5_120_000
"""Most prices of one table, layers times combinations of widths: about a gigabyte."""

MAX_LAYERS = 100_000
"""Most layers that are priced; far beyond any network."""

PRICERS: Mapping[type, Pricer] = MappingProxyType(
    {
        BitComposable: price_bit_composable,
        BitSerial: price_bit_serial,
        Lookup: price_lookup,
        Npu: price_npu,
        TensorCore: price_tensor_core,
        Vector: price_vector,
    }
)
"""The formulas of each kind of hardware: one line a kind."""


def build_table(graph: Graph, target: Target, *, batch: int | None = None, mode: str | None = None) -> CostTable:
    """Prices every layer of a graph at every combination of widths that the target offers.

    Args:
        graph: the model.
        target: the chip.
        batch: inferences of one batch; the target's own when ``None``.
        mode: mode of the cost model; the target's first when ``None``.

    Raises:
        TargetError: the target has no such mode, the batch is out of range, or the target lacks 8-bit widths.
        ModelError: the model has too many layers, or a layer or tensor that is too large.
    """
    batch = target.batch if batch is None else batch
    mode = target.modes[0] if mode is None else mode
    if mode not in target.modes:
        offered = ", ".join(target.modes)
        raise TargetError(f"target '{target.name}' has no mode '{mode}'{nearest(mode, target.modes)}; it has {offered}")
    if not 1 <= batch <= MAX_BATCH:
        raise TargetError(f"a batch of {batch} cannot be priced; give one from 1 to {MAX_BATCH:,}")
    if not target.precision.allows(FULL_BITS, FULL_BITS):
        raise TargetError(f"target '{target.name}' lacks 8-bit weights or activations, which budgets refer to; add 8")
    largest = max(graph.tensor_values, key=lambda tensor: graph.tensor_values[tensor], default="")
    if sum(graph.tensor_values.values()) * batch > MAX_VALUES:
        raise ModelError(
            f"tensor '{largest}' has {graph.tensor_values[largest]:,} values, and all tensors of a batch may have "
            f"{MAX_VALUES:,} together; check the model's shapes or take a smaller --batch"
        )
    axes, context = Axes.of(target.precision), Context.of(graph, target.precision)
    most = min(MAX_LAYERS, MAX_PRICES // math.prod(axes.lengths))
    if len(graph.layers) > most:
        raise ModelError(
            f"model '{graph.name}' has {len(graph.layers):,} layers, and at most {most:,} can be priced at all widths "
            f"of target '{target.name}'; price its parts one by one, or take a target with fewer widths"
        )
    require_countable(graph.layers, batch)
    pricer, hardware = PRICERS[type(target.hardware)], target.hardware

    def price(layers: tuple[Layer, ...]) -> Prices:
        question = (layers, hardware, target.text, axes, batch, mode, context)
        shape = (len(layers), *axes.lengths)
        return cached_prices(target.kind, question, shape, lambda: pricer(layers, hardware, axes, batch, mode, context))

    streaming = hardware.streaming(mode)
    prices = with_row_reads(graph.layers, price, streaming, hardware.clock_hz, axes, batch, context)
    return CostTable(graph, target, batch, mode, axes, prices)
