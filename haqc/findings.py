"""Everything a compile found, and the report made of it."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from haqc import __version__
from haqc.alternatives import Alternatives
from haqc.annotations import ANNOTATIONS_SCHEMA
from haqc.budget import Budget
from haqc.costmodel.pricelist import PriceList
from haqc.data.split import Dataset
from haqc.datasheet import roofline
from haqc.effect import Effect
from haqc.graph import Graph
from haqc.judge import Judge
from haqc.layerblock import LayerBlock
from haqc.measured import Measured, finite
from haqc.policy import Policy, Space
from haqc.pricing import cost_json, target_json
from haqc.quantisation import Quantisation
from haqc.recovery import Recovery
from haqc.result import AllocatorResult, SearchResult
from haqc.target import Target

REPORT_SCHEMA = 1
_PACKAGES = ("torch", "onnx", "onnxruntime", "onnxscript", "onnx-ir", "numpy")


@dataclass(frozen=True)
class Findings:
    """The parts of a report; :meth:`to_json` puts them together."""

    graph: Graph
    model_file: str
    target: Target
    table: PriceList
    space: Space
    budget: Budget
    policy: Policy
    search: SearchResult
    measured: Measured
    judge: Judge
    dataset: Dataset
    verification: Mapping[str, Any]
    effects: Mapping[tuple[str, int], Effect]
    fingerprint: Mapping[str, Any]
    formats: Sequence[Mapping[str, Any]]
    initialiser_bytes: int
    kernels: Mapping[str, Mapping[str, Any]]
    seconds: Mapping[str, float]
    recovery: Recovery | None = None

    def to_json(self) -> dict[str, Any]:
        """Gives the report; all but ``seconds`` is the same for the same inputs."""
        return {
            "schema": REPORT_SCHEMA,
            "haqc": __version__,
            "model": {
                "name": self.graph.name,
                "file": self.model_file,
                "opset": self.graph.opset,
                "layers": len(self.graph.layers),
                "macs": self.graph.macs,
                "weights": self.graph.weight_values,
            },
            "target": target_json(self.target, self.table),
            "accuracy": self.measured.to_json(self.dataset),
            "cost": cost_json(self.table, self.budget, self.policy) | {"minimised": self._minimised()},
            "storage": {"initialiser_bytes": self.initialiser_bytes, "file_bytes": self.formats[0]["bytes"]},
            "stored": self._stored(),
            "formats": [dict(entry) for entry in self.formats],
            "roofline": self._roofline(),
            "allocators": [self._allocator(result) for result in self.search.allocators],
            "finalists": [
                {
                    "key": trial.policy.key,
                    "allocator": trial.allocator,
                    "accuracy": self._value(score.accuracy),
                    "merit": score.merit,
                }
                for trial, score in self.search.finalists
            ],
            "reconstruction": self._reconstruction(),
            "interrupted": self.search.interrupted,
            "verification": self._verification(),
            "layers": self._layers().to_json(),
            "left_out": [{"name": left.node, "op": left.op, "reason": left.reason} for left in self.graph.left_out],
            "trials": [trial.to_json() | {"accuracy": self._value(trial.accuracy)} for trial in self.search.trials],
            "provenance": {"haqc": __version__, **self.fingerprint},
            "seconds": dict(self.seconds),
        }

    def _stored(self) -> dict[str, Any]:
        """Gives the sizes of the weights and of their file, from the least to the most honest."""
        main = self.formats[0]
        return {
            "packed_bytes": self.table.price(self.policy).weight_bytes,
            "container_bytes": main["container_bytes"],
            "file_bytes": main["bytes"],
            "compressed_file_bytes": main["compressed_bytes"],
        }

    def _roofline(self) -> dict[str, Any] | None:
        """Gives what the chip can do at the widths it allows; nothing where latencies are not priced."""
        if math.isnan(self.table.baseline.latency_s):
            return None
        layers = (*self.table.baseline_layers, *self.table.layer_costs(self.policy))
        return roofline(self.target, self.table.mode, layers)

    def _value(self, points: float) -> float | None:
        """Gives the metric's value of a quality on the search split; ``None`` where that is not finite."""
        return finite(self.judge.value_at(points))

    def _minimised(self) -> dict[str, Any] | None:
        return None if self.search.minimised is None else self.search.minimised.to_json()

    def _reconstruction(self) -> dict[str, Any] | None:
        if self.recovery is None:
            return None
        search = {"before": self._value(self.recovery.before), "after": self._value(self.recovery.after)}
        tried = {name: self._value(points) for name, points in self.recovery.tried.items()}
        return self.recovery.to_json() | {"search": search, "tried": tried}

    def _allocator(self, result: AllocatorResult) -> dict[str, Any]:
        best = result.best
        return {
            "name": result.name,
            "cost": None if best is None else best.cost.to_json(),
            "accuracy": None if best is None else self._value(best.accuracy),
            "evaluations": result.evaluations,
            "seconds": result.seconds,
            "emitted": self.search.best.allocator == result.name,
        }

    def _verification(self) -> dict[str, Any]:
        accuracy = {
            "mirror": finite(self.measured.value(self.measured.mirror)),
            "emitted": finite(self.measured.value(self.measured.emitted)),
            "tolerance": finite(self.measured.tolerance),
            "ok": self.measured.agrees,
        }
        return {**self.verification, "accuracy": accuracy}

    def _layers(self) -> LayerBlock:
        beside = Alternatives(self.space, self.table, self.budget, self.effects, self.search, self.judge)
        return LayerBlock(self.graph, self.table, self.space, self.policy, self.effects, beside, self.kernels)


def notes(
    target: Target,
    table: PriceList,
    budget: Budget,
    policy: Policy,
    fingerprint: Mapping[str, Any],
    quantisation: Quantisation,
) -> dict[str, Any]:
    """Gives the JSON that the emitted file carries: policy, target, cost and provenance."""
    return {
        "schema": ANNOTATIONS_SCHEMA,
        "haqc": __version__,
        "policy": {**policy.to_json(), "quantisation": quantisation.to_json()},
        "target": {key: value for key, value in target_json(target, table).items() if key != "sources"},
        "cost": cost_json(table, budget, policy),
        "provenance": dict(fingerprint),
    }


def versions() -> dict[str, str]:
    """Gives the versions that a result depends on."""
    return {"python": platform.python_version(), **{package: metadata.version(package) for package in _PACKAGES}}
