"""What a campaign left in its folder, as figures."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.allocators.cells import Cell
from benchmarks.allocators.effort import trained_on


@dataclass(frozen=True)
class Found:
    """What one allocator found in one cell with one seed.

    Attributes:
        score: merit of its best policy in the search, in percent.
        share: cost of that policy, as a share of 8/8.
        evaluations: policies it had scored.
        seconds: of the processor, with its scores as if nobody had known them.
        own_seconds: of these, its own.
        right: what the policy gets right of the reported images after the fine-tune, in percent, shape ``[N]``;
            ``None`` where that was not measured.
        widths: the policy.
    """

    score: float
    share: float
    evaluations: int
    seconds: float
    own_seconds: float
    right: np.ndarray | None
    widths: dict[str, int]

    @property
    def accuracy(self) -> float:
        """In percent of the reported images."""
        return float("nan") if self.right is None else float(self.right.mean())

    def ahead_of(self, other: Found) -> tuple[float, float]:
        """Gives by how many points it is ahead of another, and the paired standard error of that."""
        return paired(self.right, other.right)


@dataclass(frozen=True)
class Results:
    """A folder of results."""

    out: Path

    def cell(self, cell: Cell, seed: int) -> dict[str, Found] | str | None:
        """Gives what each allocator found, why the budget cannot be met, or ``None`` where nothing was measured."""
        content = self._read(f"{cell.name}-{seed}")
        if content is None:
            return None
        if "infeasible" in content:
            return str(content["infeasible"])
        contents = (content, self._read(f"{cell.name}-{seed}-blind") or {"allocators": {}})
        return {
            name: self._found(cell, row, each["score_s"])
            for each in contents
            for name, row in each["allocators"].items()
        }

    def budget(self, cell: Cell) -> str:
        """Gives the budget of a cell in words."""
        contents = (self._read(f"{cell.name}-{seed}") for seed in range(100))
        return next((str(content["budget"]) for content in contents if content is not None), "")

    def stated(self, cell: Cell) -> np.ndarray | None:
        """Gives what the uniform policy gets right whose cost is the budget of a cell."""
        named = self._read(f"{cell.name}-stated")
        tuned = None if named is None else self._read(f"tuned-{cell.network}-{trained_on(cell)}-{named['key']}")
        return None if tuned is None else _right(tuned)

    def long(self, cell: Cell) -> Found | None:
        """Gives what the paper's agent found with ten times the evaluations."""
        content = self._read(f"{cell.name}-haq")
        return None if content is None else self._found(cell, content["allocators"]["haq"], content["score_s"])

    def floats(self, cell: Cell) -> tuple[np.ndarray, np.ndarray] | None:
        """Gives what the original float network gets right, and what it does after the fine-tune of the cell."""
        content = self._read(f"float-{cell.network}-{trained_on(cell)}")
        return None if content is None else (_right({**content, "wrong": content["original"]}), _right(content))

    def prices(self) -> dict[str, dict[str, float]]:
        """Gives the cost of policies on every target, as shares of 8/8, by key and ``target-metric``."""
        return self._read("prices") or {}

    def _found(self, cell: Cell, row: dict[str, Any], score_s: float) -> Found:
        tuned = self._read(f"tuned-{cell.network}-{trained_on(cell)}-{row['key']}")
        own_s, right = row["own_s"], None if tuned is None else _right(tuned)
        seconds = own_s + row["evaluations"] * score_s
        return Found(row["score"], row["share"], row["evaluations"], seconds, own_s, right, row["widths"])

    def _read(self, name: str) -> dict[str, Any] | None:
        file = self.out / f"{name}.json"
        return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else None


def paired(one: np.ndarray | None, other: np.ndarray | None) -> tuple[float, float]:
    """Gives the mean of a difference over the same images and its standard error; nothing where one is missing."""
    if one is None or other is None:
        return float("nan"), float("nan")
    difference = one - other
    return float(difference.mean()), float(difference.std(ddof=1) / np.sqrt(len(difference)))


def _right(content: dict[str, Any]) -> np.ndarray:
    right = np.full(content["count"], 100.0)
    right[content["wrong"]] = 0.0
    return right
