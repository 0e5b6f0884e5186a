"""What :func:`haqc.compile` gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from haqc.api.table import html_table, text_table
from haqc.passes.report.wording import figure, quantity

_METRICS = (("latency_s", "s"), ("energy_j", "J"), ("weight_bytes", "B"), ("peak_activation_bytes", "B"))


@dataclass(frozen=True)
class Result:
    """The outcome of a compile. A notebook shows it as a table of layers.

    Attributes:
        folder: the output folder.
        report: the content of ``report.json`` (``docs/report-schema.md``).
    """

    folder: Path
    report: Mapping[str, Any] = field(repr=False)

    @property
    def model_path(self) -> Path:
        """The emitted ONNX file."""
        return self.folder / "model.onnx"

    @property
    def paths(self) -> dict[str, Path]:
        """Every file of the folder that is a result, by name."""
        return {path.name: path for path in sorted(self.folder.iterdir()) if path.is_file()}

    @property
    def policy(self) -> dict[str, tuple[int, int]]:
        """The widths of weights and activations by layer."""
        return {row["name"]: (row["weight_bits"], row["activation_bits"]) for row in self.report["layers"]}

    @property
    def accuracy(self) -> dict[str, Any]:
        """What the float network, the mirror and the emitted file reach on the reported split, and on how many."""
        return dict(self.report["accuracy"])

    @property
    def cost(self) -> dict[str, float | None]:
        """Latency, energy and bytes of the policy for one batch."""
        return dict(self.report["cost"]["policy"])

    @property
    def baseline(self) -> dict[str, float | None]:
        """The same of the model at 8/8 everywhere."""
        return dict(self.report["cost"]["baseline"])

    def layers(self) -> list[dict[str, Any]]:
        """Gives what the report says of each layer, in graph order: rows for a data frame."""
        return [dict(row) for row in self.report["layers"]]

    def __str__(self) -> str:
        return "\n".join([*self._facts(), "", text_table(self._rows())])

    def _repr_html_(self) -> str:
        return html_table(self._rows(), self._facts())

    def _facts(self) -> list[str]:
        accuracy, cost, baseline = self.accuracy, self.cost, self.baseline
        unit = accuracy.get("unit", "%")
        facts = [f"{self.report['model']['file']} on {self.report['target']['name']}: {self.model_path}"]
        scores = (f"{name} {figure(accuracy[name], unit)}" for name in ("float", "mirror", "emitted"))
        facts.append(f"{accuracy['metric']} on {accuracy['count']} samples: {', '.join(scores)}")
        for name, unit in _METRICS:
            value, before = cost.get(name), baseline.get(name)
            if value is not None and before:
                facts.append(f"{name}: {quantity(value, unit)}, {value / before:.3f} of 8/8")
        return facts

    def _rows(self) -> list[list[str]]:
        heading = ["layer", "operator", "weights", "data", "latency", "energy"]
        return [heading] + [
            [
                row["name"],
                row["op"],
                str(row["weight_bits"]),
                str(row["activation_bits"]),
                quantity(row.get("latency_s"), "s"),
                quantity(row.get("energy_j"), "J"),
            ]
            for row in self.report["layers"]
        ]
