"""Prices a policy on a target, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from haqc import collector
from haqc import policy as policies
from haqc.budget import Cost
from haqc.costmodel import CostTable, LayerCost, build_table
from haqc.costmodel.network import OperationCost, Unmodelled
from haqc.graph import Graph, Layer
from haqc.plaintext import csv_text
from haqc.policy import Policy
from haqc.target import Target

Row = list[str | int | float]

_COLUMNS = (
    *("name", "op", "kind", "weight_bits", "activation_bits", "output_bits", "macs", "cycles", "bound"),
    *("latency_s", "latency_share", "energy_j", "energy_share", "weight_bytes", "container_bytes", "metadata_bytes"),
)
_PARTS = ("compute", "on_chip", "off_chip", "leakage")


@dataclass(frozen=True)
class CostReport:
    """What a policy costs on a target. Times and energies are for one batch, multiply-accumulates for one inference.

    Attributes:
        model: name of the model.
        target: the chip.
        batch: inferences of one batch.
        mode: mode of the cost model.
        layers: one entry per layer, in graph order.
        operations: one entry per operator that is no layer, in the order of the schedule.
        total: cost of the policy, operators that are no layers included as far as they are priced.
        joint_metadata_bytes: scales and zero points of tensors that no layer reads.
        baseline: cost of the same model, target and batch at 8/8 everywhere.
    """

    model: str
    target: Target
    batch: int
    mode: str
    layers: tuple[LayerCost, ...]
    operations: tuple[OperationCost, ...]
    total: Cost
    joint_metadata_bytes: int
    baseline: Cost

    @cached_property
    def unmodelled(self) -> Unmodelled:
        """What the total leaves out, with its share of the bytes."""
        unpriced = [row for row in self.layers if row.layer.is_table and not row.latency_s]
        tables = [
            OperationCost(row.layer.name, row.layer.op, sum(row.moved_bytes.values()), 0.0, 0.0, is_modelled=False)
            for row in unpriced
        ]
        others = (row for row in self.layers if not row.layer.is_table or row.latency_s)
        return Unmodelled.of([*self.operations, *tables], sum(sum(row.moved_bytes.values()) for row in others))

    def to_json(self) -> dict[str, Any]:
        """Gives the report as ``haqc cost --format json`` prints it."""
        latency_grade, energy_grade = self.target.grades(self.mode)
        return {
            "model": self.model,
            "target": self.target.name,
            "batch": self.batch,
            "mode": self.mode,
            "units": {"macs": "per inference", "cycles, latency_s, energy_j": "per batch", "weight_bytes": "packed"},
            "grades": {"latency": latency_grade, "energy": energy_grade},
            "layers": [self._layer_json(row) for row in self.layers],
            "operations": [self._operation_json(row) for row in self.operations],
            "not_modelled": self.unmodelled.to_json(),
            "total": self.total.to_json(),
            "storage": {
                "weight_bytes": self.total.weight_bytes,
                "container_bytes": sum(row.container_bytes for row in self.layers),
                "metadata_bytes": sum(row.metadata_bytes for row in self.layers) + self.joint_metadata_bytes,
            },
            "baseline": self.baseline.to_json(),
            "per_inference": {
                "energy_j": self.total.energy_j / self.batch,
                "latency_s": self.total.latency_s / self.batch,
            },
        }

    def to_rows(self) -> list[Row]:
        """Gives a heading, a row per layer, and a row per other operator that is priced, as figures in SI units."""
        rows: list[Row] = [[*_COLUMNS, *(f"energy_{part}_j" for part in _PARTS), "float_reason"]]
        for entry in map(self._layer_json, self.layers):
            parts = (entry["energy_parts_j"][part] for part in _PARTS)
            rows.append([*(entry[column] for column in _COLUMNS), *parts, entry.get("float", "")])
        for row in self.operations:
            if row.latency_s or row.energy_j:
                entry = self._operation_json(row) | {"kind": "operation"}
                rows.append([*(entry.get(column, "") for column in _COLUMNS), *([""] * len(_PARTS)), ""])
        return rows

    def to_csv(self) -> str:
        """Gives :meth:`to_rows` as CSV text; no text in it can be taken for a formula by a spreadsheet."""
        return csv_text(self.to_rows())

    def _layer_json(self, row: LayerCost) -> dict[str, Any]:
        layer = row.layer
        return {
            "name": layer.name,
            "op": layer.op,
            "kind": layer.kind,
            "weight_bits": row.bits.weight,
            "activation_bits": row.bits.activation,
            "output_bits": row.output_bits,
            "macs": layer.macs,
            "cycles": row.cycles,
            "bound": row.bound,
            "latency_s": row.latency_s,
            "latency_share": _share(row.latency_s, self.total.latency_s),
            "energy_j": row.energy_j,
            "energy_share": _share(row.energy_j, self.total.energy_j),
            "energy_parts_j": dict(row.energy_parts_j),
            "moved_bytes": dict(row.moved_bytes),
            "weight_bytes": row.weight_bytes,
            "container_bytes": row.container_bytes,
            "metadata_bytes": row.metadata_bytes,
        } | _float_reasons(layer)

    def _operation_json(self, row: OperationCost) -> dict[str, Any]:
        return {
            "name": row.name,
            "op": row.op,
            "moved_bytes": row.moved_bytes,
            "latency_s": row.latency_s,
            "latency_share": _share(row.latency_s, self.total.latency_s),
            "energy_j": row.energy_j,
            "energy_share": _share(row.energy_j, self.total.energy_j),
            "modelled": row.is_modelled,
        }


@collector.paused()
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
        operations=table.operation_costs(policy),
        total=table.price(policy),
        joint_metadata_bytes=table.storage.joint_metadata_bytes,
        baseline=table.price(policies.baseline(graph)),
    )


def comparison_csv(reports: Sequence[CostReport]) -> str:
    """Gives the rows of several reports as one CSV text, each row beginning with its target."""
    rows: list[Row] = []
    for report in reports:
        heading, *figures = report.to_rows()
        rows += [["target", *heading]] if not rows else []
        rows += [[report.target.name, *row] for row in figures]
    return csv_text(rows)


def _float_reasons(layer: Layer) -> dict[str, str]:
    """Gives why a layer, or the data it reads, stays in float, as far as it does."""
    reasons = {"float": layer.float_reason, "float_data": layer.data_reason}
    return {key: reason for key, reason in reasons.items() if reason}


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
