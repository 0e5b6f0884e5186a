"""The fine-tune that the best policy of each allocator gets, and what comes out on the reported split."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.allocators.effort import REPORTED
from benchmarks.allocators.ground import Ground
from haqc.mirror import Mirror
from haqc.mirror.quantised import QuantisedMirror
from haqc.policy import Policy
from haqc.train import outputs
from haqc.workbench import Worker


def measured(ground: Ground, widths: Mapping[str, int], samples: int) -> dict[str, Any]:
    """Trains a policy by the recipe that finalists of a compile are trained by, and measures it.

    It is measured in the mirror, which ``haqc verify`` holds every emitted file to.

    Args:
        ground: the network.
        widths: the policy.
        samples: training samples, counted with repetition.
    """
    begun_s, bench = time.process_time(), ground.bench
    tuned = _worker(ground, samples).tune(widths, lambda count: None)
    network = QuantisedMirror(ground.subject.mirror, Policy(bench.graph, widths), bench.calibration)
    network.load(tuned.state)
    return _content(ground, network, tuned.accuracy, begun_s)


def measured_float(ground: Ground, samples: int) -> dict[str, Any]:
    """Trains the float network by the same recipe, and measures it: what quantised networks lose is counted from it."""
    begun_s, worker = time.process_time(), _worker(ground, samples)
    tuned = worker.tune_float(lambda count: None)
    return _content(ground, worker.mirror, tuned.accuracy, begun_s)


def _worker(ground: Ground, samples: int) -> Worker:
    return Worker(replace(ground.bench, long=replace(ground.bench.middle, samples=samples)))


def _content(ground: Ground, network: Mirror | QuantisedMirror, accuracy: float, begun_s: float) -> dict[str, Any]:
    bench, reported = ground.bench, ground.subject.dataset.reported.take(slice(0, REPORTED))
    found = outputs(network, bench.logits, reported, bench.run)
    wrong = np.flatnonzero(found.argmax(axis=1) != reported.labels).tolist()
    spent_s = round(time.process_time() - begun_s, 2)
    return {"search": accuracy, "count": len(reported), "wrong": wrong, "cpu_s": spent_s}
