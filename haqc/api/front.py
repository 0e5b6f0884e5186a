"""What :func:`haqc.sweep` gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from haqc.api.result import Result
from haqc.api.table import html_table, text_table
from haqc.passes.report.wording import difference, figure, share


@dataclass(frozen=True)
class Front:
    """The outcome of a sweep. A notebook shows it as a table of points.

    Attributes:
        folder: the output folder.
        front: the content of ``front.json`` (``docs/sweep.md``).
    """

    folder: Path
    front: Mapping[str, Any] = field(repr=False)

    @property
    def results(self) -> dict[str, Result]:
        """The outcome at each point that could be met, by its budget."""
        from haqc.check import read_report  # noqa: PLC0415 (which loads heavy libraries)

        folders = {row["budget"]: self.folder / row["folder"] for row in self.front["points"] if row["feasible"]}
        return {budget: Result(folder, read_report(folder)) for budget, folder in folders.items()}

    def points(self) -> list[dict[str, Any]]:
        """Gives every point, the cheapest first: rows for a data frame."""
        return [dict(row) for row in self.front["points"]]

    def __str__(self) -> str:
        return "\n".join([*self._facts(), "", text_table(self._rows())])

    def _repr_html_(self) -> str:
        return html_table(self._rows(), self._facts())

    def _facts(self) -> list[str]:
        accuracy = self.front["accuracy"]
        reference = figure(accuracy["reference"], accuracy["unit"])
        first = f"{self.front['model']['file']} on {self.front['target']['name']}: {self.folder}"
        return [first, f"{accuracy['metric']} on {accuracy['count']} samples, float {reference}"]

    def _rows(self) -> list[list[str]]:
        unit = self.front["accuracy"]["unit"]
        return [["budget", "of 8/8", "emitted", "to float"]] + [
            [
                row["budget"],
                share(row["cost_share"]),
                figure((row["accuracy"] or {}).get("emitted"), unit),
                difference((row["accuracy"] or {}).get("difference"), unit),
            ]
            for row in self.front["points"]
        ]
