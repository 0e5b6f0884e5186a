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
from haqc.budget import Budget, Cost, Limit
from haqc.costmodel.pricelist import PriceList
from haqc.costmodel.table import LayerCost
from haqc.data.split import Dataset
from haqc.datasheet import roofline
from haqc.effect import Effect
from haqc.graph import Graph, Layer
from haqc.judge import Judge
from haqc.metrics import Metric, Rows, paired_standard_error, quality, standard_error
from haqc.policy import Policy, Space
from haqc.quantisation import Quantisation
from haqc.recovery import Recovery
from haqc.result import AllocatorResult, SearchResult
from haqc.target import Target

REPORT_SCHEMA = 1
_UNITS = {"energy": "J", "latency": "s", "size": "B", "memory": "B"}
_PACKAGES = ("torch", "onnx", "onnxruntime", "onnxscript", "onnx-ir", "numpy")


@dataclass(frozen=True, slots=True)
class Measured:
    """What the metric's values on the reported split follow from, and its values on the search split.

    Attributes:
        metric: what was measured.
        original, mirror, emitted: rows of float model, quantised mirror, and emitted file in onnxruntime at its
            defaults, one for each sample.
        finetuned: the float network fine-tuned by the same recipe; ``None`` when nothing was fine-tuned.
        search: the values on the search split, by name (there the emitted file is not run).
        search_count: samples of the search split that were used.
    """

    metric: Metric
    original: Rows
    finetuned: Rows | None
    mirror: Rows
    emitted: Rows
    search: Mapping[str, float | None]
    search_count: int

    def value(self, rows: Rows) -> float:
        """Gives the metric's value."""
        return self.metric.value(rows)

    @property
    def reference(self) -> Rows:
        """The better float network: what a quantised one has to stand beside."""
        original = self.value(self.original)
        if self.finetuned is not None:
            finetuned = quality(self.metric, self.value(self.finetuned), original)
            if finetuned > quality(self.metric, original, original):
                return self.finetuned
        return self.original

    @property
    def tolerance(self) -> float:
        """The difference, in the metric's unit, that is allowed between the emitted file's value and the mirror's.

        It is a tenth of a point, or a thousandth of a value that is no percentage, or two paired standard errors.
        """
        least = 0.1 if self.metric.traits.unit == "%" else 0.001 * abs(self.value(self.mirror))
        return max(least, 2 * paired_standard_error(self.metric, self.emitted, self.mirror))

    @property
    def agrees(self) -> bool:
        """Whether the emitted file scores what the mirror scores."""
        emitted, mirror = self.value(self.emitted), self.value(self.mirror)
        if not math.isfinite(mirror):
            return emitted == mirror or (math.isnan(emitted) and math.isnan(mirror))
        return abs(emitted - mirror) <= self.tolerance

    def to_json(self, dataset: Dataset) -> dict[str, Any]:
        """Gives the report's block ``accuracy``; what is not finite stands as null."""
        metric, traits = self.metric, self.metric.traits
        original, mirror, emitted = (self.value(rows) for rows in (self.original, self.mirror, self.emitted))
        reference = self.reference
        figures = {
            "float": original,
            "float_finetuned": None if self.finetuned is None else self.value(self.finetuned),
            "reference": self.value(reference),
            "mirror": mirror,
            "emitted": emitted,
            "standard_error": standard_error(metric, self.emitted),
            "difference": emitted - self.value(reference),
            "paired_standard_error": paired_standard_error(metric, self.emitted, reference),
        }
        return {
            "metric": metric.name,
            "unit": traits.unit,
            "higher_is_better": traits.higher_is_better,
            "data": dataset.name,
            "split": "reported",
            "count": len(self.emitted),
            **{name: finite(value) for name, value in figures.items()},
            "labels": not traits.is_agreement,
            "data_free": dataset.synthetic,
            "made_up": dict(dataset.made_up),
            "trust": dataset.trust,
            "search": {"count": self.search_count, **{name: finite(value) for name, value in self.search.items()}},
        }


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
            "cost": _cost(self.table, self.budget, self.policy) | {"minimised": self._minimised()},
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
            "layers": self._layers(),
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

    def _layers(self) -> list[dict[str, Any]]:
        after, before = self.table.layer_costs(self.policy), self.table.baseline_layers
        total = self.table.price(self.policy)
        reasons = {choice.operand.tensor: choice.reason for choice in self.space.choices}
        beside = Alternatives(self.space, self.table, self.budget, self.effects, self.search, self.judge)
        return [
            {
                "name": now.layer.name,
                "op": now.layer.op,
                "kind": now.layer.kind,
                "weight_bits": now.bits.weight,
                "activation_bits": now.bits.activation,
                "macs": now.layer.macs,
                "cycles": _figure(now.cycles),
                "latency_s": _figure(now.latency_s),
                "energy_j": _figure(now.energy_j),
                "weight_bytes": now.weight_bytes,
                **_parts(now),
                "latency_share": _share(now.latency_s, total.latency_s),
                "energy_share": _share(now.energy_j, total.energy_j),
                "baseline": {
                    "latency_s": _figure(was.latency_s),
                    "energy_j": _figure(was.energy_j),
                    "weight_bytes": was.weight_bytes,
                    **_parts(was),
                },
                "accuracy_lost": None,
                "output_error": self._output_error(now.layer.weight) + self._output_error(now.layer.activation),
                "sensitivity": self._sensitivity(now.layer),
                "alternatives": beside.of(now.layer),
                "reason": now.layer.float_reason or reasons.get(now.layer.weight, ""),
                "runtime": dict(self.kernels[now.layer.name]),
            }
            | ({"float": now.layer.float_reason} if now.layer.float_reason else {})
            | ({"float_data": now.layer.data_reason} if now.layer.data_reason else {})
            for now, was in zip(after, before, strict=True)
        ]

    def _output_error(self, tensor: str) -> float:
        effect = self.effects.get((self.graph.leader(tensor), self.policy.widths.get(tensor, 0)))
        return 0.0 if effect is None else effect.output

    def _sensitivity(self, layer: Layer) -> dict[str, list[dict[str, Any]]]:
        """Gives what each width of a layer's operands would cost, weights and activations apart."""
        return {
            kind: [
                {"bits": bits, "output_error": e.output, "layer_error": e.layer, "lost": e.lost}
                for (name, bits), e in self.effects.items()
                if name == self.graph.leader(tensor)
            ]
            for kind, tensor in (("weight", layer.weight), ("activation", layer.activation))
        }


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
        "cost": _cost(table, budget, policy),
        "provenance": dict(fingerprint),
    }


def _cost(table: PriceList, budget: Budget, policy: Policy) -> dict[str, Any]:
    before, after = table.baseline, table.price(policy)
    return {
        "budget": [_limit(limit, after) for limit in budget.limits],
        "baseline": before.to_json(),
        "policy": after.to_json(),
        "per_inference": {
            "baseline": _per_inference(before, table.batch),
            "policy": _per_inference(after, table.batch),
        },
    }


def target_json(target: Target, table: PriceList) -> dict[str, Any]:
    """Gives a report's block ``target``."""
    latency_grade, energy_grade = target.grades(table.mode)
    return {
        "name": target.name,
        "title": target.title,
        "kind": target.kind,
        "mode": table.mode,
        "batch": table.batch,
        "latency_grade": latency_grade,
        "energy_grade": energy_grade,
        "sources": dict(target.sources),
    }


def finite(value: float | None) -> float | None:
    """Gives a figure as a report holds it: ``None`` for what is infinite or no number."""
    return None if value is None or not math.isfinite(value) else value


def versions() -> dict[str, str]:
    """Gives the versions that a result depends on."""
    return {"python": platform.python_version(), **{package: metadata.version(package) for package in _PACKAGES}}


def _limit(limit: Limit, cost: Cost) -> dict[str, Any]:
    value = cost.value(limit.metric)
    return {
        "metric": limit.metric,
        "text": limit.text,
        "limit": limit.value,
        "value": value,
        "unit": _UNITS[limit.metric],
        "share": _share(value, limit.value),
        "met": limit.allows(cost),
    }


def _parts(row: LayerCost) -> dict[str, Any]:
    """Gives where a layer's energy goes, what it moves, and what binds it; all empty where that is not priced."""
    return {
        "energy_parts_j": dict(row.energy_parts_j),
        "moved_bytes": dict(row.moved_bytes),
        "bound": row.bound if row.moved_bytes else None,
    }


def _share(part: float, whole: float) -> float | None:
    return _figure(part / whole if whole else 0.0)


def _figure(value: float) -> float | None:
    """Gives a figure, or nothing where it is not priced."""
    return None if math.isnan(value) else value


def _per_inference(cost: Cost, batch: int) -> dict[str, float | None]:
    return {"energy_j": _figure(cost.energy_j / batch), "latency_s": _figure(cost.latency_s / batch)}
