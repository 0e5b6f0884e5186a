"""What :func:`haqc.cost` gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from haqc.api.table import html_table, text_table
from haqc.passes.report.wording import quantity

if TYPE_CHECKING:
    from haqc.budget import Cost
    from haqc.costmodel import LayerCost
    from haqc.passes.cost import CostReport


@dataclass(frozen=True)
class Priced:
    """What a policy costs on a target, layer by layer. A notebook shows it as a table.

    Attributes:
        report: all figures; times and energies are for one batch.
    """

    report: CostReport

    @property
    def layers(self) -> tuple[LayerCost, ...]:
        """One entry per layer, in graph order."""
        return self.report.layers

    @property
    def total(self) -> Cost:
        """The cost of the policy for one batch."""
        return self.report.total

    @property
    def baseline(self) -> Cost:
        """The cost of the same model, target and batch at 8/8 everywhere."""
        return self.report.baseline

    def to_json(self) -> dict[str, Any]:
        """Gives what ``haqc cost --format json`` prints."""
        return self.report.to_json()

    def to_csv(self) -> str:
        """Gives what ``haqc cost --format csv`` prints."""
        return self.report.to_csv()

    def __str__(self) -> str:
        return text_table(self._rows())

    def _repr_html_(self) -> str:
        report, total = self.report, self.report.total
        facts = [
            f"{report.model} on {report.target.name}, batch {report.batch}",
            f"latency {quantity(total.latency_s, 's')}, energy {quantity(total.energy_j, 'J')}, "
            f"weights {quantity(total.weight_bytes, 'B')}",
        ]
        return html_table(self._rows(), facts)

    def _rows(self) -> list[list[str]]:
        heading = ["layer", "operator", "bits", "latency", "energy", "weights"]
        return [heading] + [
            [
                row.layer.name,
                row.layer.op,
                str(row.bits),
                quantity(row.latency_s, "s"),
                quantity(row.energy_j, "J"),
                quantity(row.weight_bytes, "B"),
            ]
            for row in self.layers
        ]
