"""Puts together what the jobs of a compile read: the data, what is learned from, where they start, and the grids."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from haqc import stages
from haqc.calibration import Calibration
from haqc.case import Case
from haqc.clock import Clock
from haqc.content import Content
from haqc.data import Split
from haqc.effort import Effort
from haqc.enlarge import enlarge
from haqc.folder import OutputFolder
from haqc.mirror import Mirror
from haqc.packing import entries
from haqc.passes.calibrate import calibrate, calibrate_codebooks, set_apart
from haqc.plan import Plan
from haqc.policy import Space
from haqc.problem import Problem
from haqc.reconstruct import clip
from haqc.request import Request
from haqc.runtime import Runtime
from haqc.samples import Samples
from haqc.train import outputs
from haqc.tuned import Tuned
from haqc.ui import Ui
from haqc.workbench import Bench
from haqc.workers import WorkerPool


def make_bench(case: Case, folder: OutputFolder, pool: WorkerPool, clock: Clock, ui: Ui) -> tuple[Case, Bench]:
    """Computes what every policy starts from, whatever the budget: the float network, fine-tuned, and the grids.

    Returns:
        The case, whose graph lacks what turned out to have no finite range; and what the pool's jobs read from now on.

    Raises:
        HaqcError: the data, the weights or what was kept cannot be used.
    """
    request, problem, samples = case.request, case.problem, case.samples
    with clock.part("finetune"):
        bench = prepare(request, problem, samples, case.plan)
        bench = replace(bench, device=case.device, torch_compile=request.torch_compile)
        if len(bench.train) > len(samples.dataset.train):
            ui.say("the float network takes mirror images for the same: they join the training samples")
        start = stages.start_network(bench, case.plan, folder, pool, ui)
        if start is not None:
            bench = start_at(bench, case.mirror, start)
    with clock.part("calibrate"):
        calibration = grids(request, case.mirror, problem.space, bench, case.plan.effort, folder)
        if calibration.unbounded:
            graph = problem.graph.without(calibration.unbounded)
            problem = Problem.of(request, problem.model, graph, problem.target, problem.whole)
    bench = replace(bench, graph=problem.graph, calibration=calibration)
    pool.use(bench)
    return replace(case, problem=problem), bench


def prepare(request: Request, problem: Problem, samples: Samples, plan: Plan) -> Bench:
    """Gives a bench at the original network, without grids; that network is what is learned from."""
    train, run = samples.dataset.train, plan.effort.run
    if plan.long.samples:
        train = enlarge(train, samples.search, samples.runtime, run)
    exposed = problem.model.clone()
    exposed.graph.outputs[:] = [v for n in exposed.graph for v in n.outputs if v.name == samples.logits]
    teacher = Runtime(Content.of(exposed))
    return Bench(
        model=Content.of(problem.model),
        graph=problem.graph,
        calibration=Calibration({}, {}, 0),
        logits=samples.logits,
        judge=samples.search,
        train=train,
        teacher=teacher.output(samples.logits, train, run) if plan.long.samples else np.empty(0, np.float32),
        probe=train.take(slice(0, plan.effort.sensitivity)),
        run=run,
        short=plan.short,
        middle=plan.middle,
        long=plan.long,
        fitting=plan.fitting,
        closing=plan.closing,
        brief=plan.brief,
        seed=request.seed,
    )


def start_at(bench: Bench, mirror: Mirror, start: Tuned) -> Bench:
    """Gives the bench on which every job starts from a fine-tuned float network, and learns from it.

    Args:
        bench: the bench at the original network.
        mirror: takes the parameters over.
        start: the float network.
    """
    mirror.load(start.state.parameters)
    teacher = outputs(mirror, bench.logits, bench.train, bench.run)
    return replace(bench, start=start.state.parameters, teacher=teacher)


def grids(
    request: Request, mirror: Mirror, space: Space, bench: Bench, effort: Effort, folder: OutputFolder
) -> Calibration:
    """Calibrates the mirror on the first training samples; codebooks need none, and are kept for resuming.

    Raises:
        HaqcError: the data, the weights or what was kept cannot be used.
    """
    if request.weights == "kmeans":
        return _codebooks(mirror, space, folder)
    batches = Batches(bench.train.take(slice(0, effort.calibration)), min(64, bench.run))
    calibration = calibrate(mirror, space, batches, request.ranges or "mse", request.quantiser)
    if request.ranges is None and request.quantiser == "lsq":
        weights = {tensor for tensor, _ in calibration.weights}
        calibration = clip(mirror, bench.logits, weights, calibration, bench.train, min(effort.clip, bench.run))
    return set_apart(calibration)


def _codebooks(mirror: Mirror, space: Space, folder: OutputFolder) -> Calibration:
    keys = [(choice.operand.tensor, bits) for choice in space.choices for bits in choice.widths]
    rows = folder.load_table("codebooks.json", [entries(mirror.value(tensor).numel(), bits) for tensor, bits in keys])
    if rows is None:
        calibration = calibrate_codebooks(mirror, space)
        folder.save_table("codebooks.json", [calibration.codebooks[key].tolist() for key in keys])
        return calibration
    books = {key: np.array(row, np.float32) for key, row in zip(keys, rows, strict=True)}
    return Calibration({}, {}, 0, codebooks=books)


@dataclass(frozen=True)
class Batches:
    """Inputs in batches, as often as they are asked for."""

    split: Split
    size: int

    def __iter__(self) -> Iterator[tuple[np.ndarray, ...]]:
        return (inputs for inputs, _ in self.split.runs(self.size))
