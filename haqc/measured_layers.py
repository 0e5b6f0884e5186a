"""The layers behind measurements, priced so that a fit can turn the free factors of a vector processor quickly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from haqc import policy as policies
from haqc.costmodel import CostTable, LayerCost, build_table
from haqc.costmodel.vector import operator_class
from haqc.errors import DataError, nearest
from haqc.frontend import pose
from haqc.graph import Graph
from haqc.hardware.vector import OPERATOR_CLASSES, Scales, Vector
from haqc.measurements import Measurement
from haqc.target import Target

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredLayers:
    """Measurements, and every layer that each of them ran. Make one through :meth:`of`.

    Attributes:
        clock_hz: cycles per second.
        power_w: power of the processor itself, at factors of 1.
        owner, place: the measurement of each layer, and its operator class.
        busy, memory, overhead: cycles of each layer at factors of 1.
        latency_s, energy_j: what was measured; NaN where energy was not.
        rest_s, rest_j: seconds of operators beside the layers, and joules that no factor changes, by measurement.
        network: number of the network, by measurement.
    """

    clock_hz: float
    power_w: float
    owner: Integers
    place: Integers
    busy: Reals
    memory: Reals
    overhead: Reals
    latency_s: Reals
    energy_j: Reals
    rest_s: Reals
    rest_j: Reals
    network: Integers

    @classmethod
    def of(cls, target: Target, hardware: Vector, measurements: Sequence[Measurement]) -> MeasuredLayers:
        """Prices what was measured.

        Raises:
            DataError: a measurement names a layer that its model lacks.
            ModelError: a model cannot be read.
            PolicyError: a measurement has widths that the target lacks.
        """
        models = sorted({case.model for case in measurements})
        graphs: dict[Path, Graph] = {model: pose(model)[1] for model in models}
        owners: list[int] = []
        layers: list[tuple[float, ...]] = []
        rests: list[tuple[float, float]] = []
        for number, case in enumerate(measurements):
            found, rest = _priced(target, hardware, graphs[case.model], case)
            owners += [number] * len(found)
            layers += found
            rests.append(rest)
        columns, rest_columns = np.array(layers, np.float64).T, np.array(rests, np.float64).T
        return cls(
            clock_hz=hardware.clock_hz,
            power_w=hardware.cycle_energy_j * hardware.clock_hz,
            owner=np.array(owners, np.int64),
            place=columns[0].astype(np.int64),
            busy=columns[1],
            memory=columns[2],
            overhead=columns[3],
            latency_s=np.array([case.latency_s for case in measurements]),
            energy_j=np.array([math.nan if case.energy_j is None else case.energy_j for case in measurements]),
            rest_s=rest_columns[0],
            rest_j=rest_columns[1],
            network=np.array([models.index(case.model) for case in measurements], np.int64),
        )

    def only(self, wanted: npt.NDArray[np.bool_]) -> MeasuredLayers:
        """Gives some of the measurements, chosen by a mask over them."""
        rows = wanted[self.owner]
        kept = {name: getattr(self, name)[rows] for name in ("place", "busy", "memory", "overhead")}
        rest = {name: getattr(self, name)[wanted] for name in ("latency_s", "energy_j", "rest_s", "rest_j", "network")}
        return replace(self, owner=(np.cumsum(wanted) - 1)[self.owner[rows]], **kept, **rest)

    def predict_s(self, scales: Scales) -> Reals:
        """Gives the seconds of each measurement: the formula of :mod:`haqc.costmodel.vector`, layer by layer."""
        speeds = np.array([scales.of(name) for name in OPERATOR_CLASSES])[self.place]
        cycles = self.overhead * scales.overhead + np.maximum(self.busy / speeds, self.memory)
        return np.bincount(self.owner, cycles, len(self.latency_s)) / self.clock_hz + self.rest_s

    def predict_j(self, scales: Scales) -> Reals:
        """Gives the joules of each measurement."""
        return self.power_w * scales.energy * self.predict_s(scales) + self.rest_j


def _priced(
    target: Target, hardware: Vector, graph: Graph, case: Measurement
) -> tuple[list[tuple[float, ...]], tuple[float, float]]:
    """Gives class, busy, memory and overhead cycles of each layer that was measured, and seconds and joules beside."""
    if case.layer and case.layer not in graph.layer:
        raise DataError(
            f"line {case.line} of the measurements names layer '{case.layer}', which '{case.model.name}' lacks"
            f"{nearest(case.layer, graph.layer)}; 'haqc cost' lists its layers"
        )
    table, without = (
        build_table(graph, replace(target, hardware=replace(hardware, work=work, scales=Scales())), batch=case.batch)
        for work in (hardware.work, replace(hardware.work, overhead_cycles=0.0))
    )
    policy = policies.plain(graph, case.weight_bits, case.activation_bits)
    costs = table.layer_costs(policy)
    found: list[tuple[float, ...]] = []
    joules = 0.0
    for place, cost in enumerate(costs):
        if case.layer in ("", cost.layer.name) and not cost.layer.is_table:
            cell = _cell(table, cost, place)
            busy, memory = _at(without.prices.compute_cycles, cell), _at(without.prices.memory_cycles, cell)
            overhead = _at(table.prices.compute_cycles, cell) - busy
            found.append((OPERATOR_CLASSES.index(operator_class(cost.layer)), busy, memory, overhead))
            joules += cost.energy_j - cost.energy_parts_j["compute"]
    if case.layer:
        return found, (0.0, joules)
    total = table.price(policy)
    rest_s = total.latency_s - sum(cost.latency_s for cost in costs if not cost.layer.is_table)
    core_j = hardware.cycle_energy_j * hardware.clock_hz * rest_s
    rest_j = total.energy_j - sum(cost.energy_j for cost in costs if not cost.layer.is_table) - core_j
    return found, (max(rest_s, 0.0), max(joules + rest_j, 0.0))


def _cell(table: CostTable, cost: LayerCost, place: int) -> tuple[int, int, int, int]:
    """Gives the place of a layer's price in the table's arrays."""
    if cost.layer.float_reason and table.target.precision.has_float:
        return place, 0, 0, 0
    axes = table.axes
    weight, activation = axes.weight_bits.index(cost.bits.weight), axes.activation_bits.index(cost.bits.activation)
    return place, weight, activation, axes.output_bits.index(cost.output_bits)


def _at(array: npt.NDArray[Any], cell: tuple[int, int, int, int]) -> float:
    """Gives one element of an array that broadcasts."""
    return float(array[tuple(min(index, length - 1) for index, length in zip(cell, array.shape, strict=True))])
