"""The fine-tune that the best policy of each allocator gets, and what comes out on the reported split."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.allocators.cells import Cell
from benchmarks.allocators.effort import REPORTED, TRAINED_LONGER_ON, trained_on
from benchmarks.allocators.ground import Ground
from haqc.data import Split
from haqc.mirror import Mirror
from haqc.mirror.quantised import QuantisedMirror
from haqc.policy import Policy
from haqc.train import Recipe, outputs
from haqc.workbench import Bench, Worker


def scored_by(cell: Cell, bench: Bench) -> Recipe:
    """Gives the recipe behind every score of a cell: that of a compile's scores, or of its finalists, but shorter."""
    return replace(bench.middle, samples=TRAINED_LONGER_ON) if cell.is_uniform else bench.short


def recipe_of(cell: Cell, bench: Bench) -> Recipe:
    """Gives the recipe by which what an allocator found is trained: as for its score, or as a compile's winner is."""
    return replace(bench.long, samples=trained_on(cell)) if cell.is_headline else scored_by(cell, bench)


def measured(ground: Ground, widths: Mapping[str, int], recipe: Recipe) -> dict[str, Any]:
    """Trains a policy, and measures it.

    It is measured in the mirror, which ``haqc verify`` holds every emitted file to.

    Args:
        ground: the network.
        widths: the policy.
        recipe: how to train.
    """
    begun_s, bench = time.process_time(), ground.bench
    tuned = _worker(ground, recipe).tune(widths, lambda count: None)
    network = QuantisedMirror(ground.subject.mirror, Policy(bench.graph, widths), bench.calibration)
    network.load(tuned.state)
    return _content(ground, network, tuned.accuracy, begun_s)


def measured_float(ground: Ground, recipe: Recipe) -> dict[str, Any]:
    """Trains the float network by the same recipe, and measures it: what quantised networks lose is counted from it."""
    begun_s, worker = time.process_time(), _worker(ground, recipe)
    tuned = worker.tune_float(lambda count: None)
    content = _content(ground, worker.mirror, tuned.accuracy, begun_s)
    reported, subject = _reported(ground), ground.subject
    found = subject.samples.runtime.output(subject.samples.search.outputs[0], reported, ground.bench.run)
    return {**content, "original": np.flatnonzero(found.argmax(axis=1) != reported.labels).tolist()}


def _worker(ground: Ground, recipe: Recipe) -> Worker:
    bench = ground.whole if recipe.checkpoints else ground.bench  # the best checkpoint is chosen by more images
    return Worker(replace(bench, long=recipe))


def _content(ground: Ground, network: Mirror | QuantisedMirror, accuracy: float, begun_s: float) -> dict[str, Any]:
    bench, reported = ground.bench, _reported(ground)
    found = outputs(network, bench.logits, reported, bench.run)
    wrong = np.flatnonzero(found.argmax(axis=1) != reported.labels).tolist()
    spent_s = round(time.process_time() - begun_s, 2)
    return {"search": accuracy, "count": len(reported), "wrong": wrong, "cpu_s": spent_s}


def _reported(ground: Ground) -> Split:
    return ground.subject.dataset.reported.take(slice(0, REPORTED))
