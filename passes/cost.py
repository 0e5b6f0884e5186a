"""Prices a policy on a target, layer by layer."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Any

from haqc import policy as policies
from haqc.budget import Cost
from haqc.costmodel import CostTable, LayerCost, build_table
from haqc.graph import Graph
from haqc.policy import Policy
from haqc.target import Target

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True, slots=True)
class CostReport:
    """What a policy costs on a target. Times and energies are for one batch, multiply-accumulates for one inference.

    Attributes:
        model: name of the model.
        target: the chip.
        batch: inferences of one batch.
        mode: mode of the cost model.
        layers: one entry per layer, in graph order.
        total: cost of the policy.
        baseline: cost of the same model, target and batch at 8/8 everywhere.
    """

    model: str
    target: Target
    batch: int
    mode: str
    layers: tuple[LayerCost, ...]
    total: Cost
    baseline: Cost

    def to_json(self) -> dict[str, Any]:
        """Gives the report as ``haqc cost --format json`` prints it."""
        return {
            "model": self.model,
            "target": self.target.name,
            "batch": self.batch,
            "mode": self.mode,
            "units": {"macs": "per inference", "cycles, latency_s, energy_j": "per batch", "weight_bytes": "packed"},
            "grades": dict(zip(("latency", "energy"), self.target.grades(self.mode), strict=True)),
            "layers": [self._layer_json(row) for row in self.layers],
            "total": self.total.to_json(),
            "baseline": self.baseline.to_json(),
            "per_inference": {
                "energy_j": self.total.energy_j / self.batch,
                "latency_s": self.total.latency_s / self.batch,
            },
        }

    def to_rows(self) -> list[list[str | int | float]]:
        """Gives a heading and one row per layer, as plain figures in SI units."""
        entries = [self._layer_json(row) for row in self.layers]
        heading: list[str | int | float] = ["name", "op", "kind", "weight_bits", "activation_bits", "macs", "cycles"]
        heading += ["latency_s", "latency_share", "energy_j", "energy_share", "weight_bytes"]
        parts = list(self.layers[0].energy_parts_j) if self.layers else []
        rows = [heading + [f"energy_{part}_j" for part in parts] + ["float_reason"]]
        for entry in entries:
            figures = [entry[str(key)] for key in heading]
            rows.append([*figures, *(entry["energy_parts_j"][part] for part in parts), entry.get("float", "")])
        return rows

    def to_csv(self) -> str:
        """Gives :meth:`to_rows` as CSV text; no text in it can be taken for a formula by a spreadsheet."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([_harmless(cell) for cell in row] for row in self.to_rows())
        return text.getvalue()

    def _layer_json(self, row: LayerCost) -> dict[str, Any]:
        layer = row.layer
        return {
            "name": layer.name,
            "op": layer.op,
            "kind": layer.kind,
            "weight_bits": row.bits.weight,
            "activation_bits": row.bits.activation,
            "macs": layer.macs,
            "cycles": row.cycles,
            "latency_s": row.latency_s,
            "latency_share": _share(row.latency_s, self.total.latency_s),
            "energy_j": row.energy_j,
            "energy_share": _share(row.energy_j, self.total.energy_j),
            "energy_parts_j": dict(row.energy_parts_j),
            "weight_bytes": row.weight_bytes,
        } | ({"float": layer.float_reason} if layer.float_reason else {})


def cost(
    graph: Graph, target: Target, policy: Policy, *, batch: int | None = None, mode: str | None = None
) -> CostReport:
    """Prices a policy on a target, layer by layer, and the 8/8 baseline beside it.

    Args:
        graph: the model.
        target: the chip.
        policy: widths of the model's operands.
        batch: inferences of one batch; the target's own when ``None``.
        mode: mode of the cost model; the target's first when ``None``.

    Raises:
        TargetError: no such mode, or a batch out of range.
        ModelError: the model has nothing to price, or a layer that is too large.
        PolicyError: the policy is of another model, or has a width that the target lacks.
    """
    table: CostTable = build_table(graph, target, batch=batch, mode=mode)
    return CostReport(
        model=graph.name,
        target=target,
        batch=table.batch,
        mode=table.mode,
        layers=table.layer_costs(policy),
        total=table.price(policy),
        baseline=table.price(policies.baseline(graph)),
    )


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _harmless(cell: str | int | float) -> str | int | float:
    """Puts an apostrophe before text that a spreadsheet would evaluate."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS) else cell
