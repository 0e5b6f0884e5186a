"""Everything that the trials of a search depend on, so that no log is continued by another search."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from haqc import onnxfile
from haqc.device import called
from haqc.earliertrials import EarlierTrials
from haqc.findings import versions
from haqc.learnedagent import LearnedAgent
from haqc.plan import Plan
from haqc.problem import Problem
from haqc.request import Request
from haqc.samples import Samples


def fingerprint_of(
    request: Request,
    problem: Problem,
    samples: Samples,
    plan: Plan,
    device: str,
    agent: LearnedAgent | None,
    earlier: Sequence[EarlierTrials],
) -> dict[str, Any]:
    """Gives everything that the trials depend on."""
    options = {
        "mode": problem.table.mode,
        "metric": samples.search.metric.name,
        "finetune": plan.short.samples,
        "final_finetune": plan.final_samples,
        "reconstruct": plan.fitting.samples,
        "label_share": plan.long.label_share,
        "evaluations": request.evaluations,
        "allocators": list(request.allocators),
        "min_bits": request.min_bits,
        "pins": {pattern: str(bits) for pattern, bits in request.pins.items()},
        "default_pins": request.default_pins,
        "at_least": {pattern: str(bits) for pattern, bits in request.at_least.items()},
        "same_bits": list(request.same_bits),
        "keep_float": list(request.keep_float),
        "weights": request.weights,
        "quantizer": request.quantiser,
        "ranges": request.ranges,
        "equalise": request.equalise,
        "device": called(device),
        "torch_compile": request.torch_compile,
        "shapes": {name: list(shape) for name, shape in request.shapes.items()},
    }
    return {
        "digests": {
            "model": onnxfile.digest(request.model),
            "data": samples.dataset.digest,
            "target": hashlib.sha256(problem.target.text.encode()).hexdigest(),
            "agent": None if agent is None else agent.digest,
            "earlier": [each.digest for each in earlier],
        },
        "budget": [demand.text for demand in request.demands],
        "sweep": None if request.sweep is None else asdict(request.sweep),
        "minimise": None if request.minimise is None else asdict(request.minimise),
        "seed": request.seed,
        "options": options,
        "effort": plan.effort.to_json(),
        "versions": versions(),
    }
