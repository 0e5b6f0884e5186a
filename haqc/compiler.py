"""The compiler: one function that calls the passes in order, from an ONNX file to a verified mixed-precision file."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from haqc import data, onnxfile, stages, targets
from haqc.clock import Clock
from haqc.data import Dataset, Split
from haqc.device import chosen
from haqc.effort import Effort
from haqc.equality import require_equal
from haqc.errors import VerificationError
from haqc.findings import Findings, notes
from haqc.fingerprint import fingerprint_of
from haqc.folder import OutputFolder
from haqc.frontend import Front, shapes_of
from haqc.madeup import make_up
from haqc.metrics import Metric, named
from haqc.mirror import from_onnx
from haqc.mirror.quantised import QuantisedMirror
from haqc.passes.clean import remarks
from haqc.passes.emit import emit_codebooks, emit_qcdq
from haqc.passes.report import report
from haqc.passes.verify import verify
from haqc.plan import Plan
from haqc.preparation import grids, prepare, start_at
from haqc.probe import LARGEST_BYTES, PROBES, Probe
from haqc.problem import Problem
from haqc.request import Request
from haqc.samples import Samples
from haqc.searchlog import SearchLog
from haqc.smoothing import equalised, smoothed
from haqc.ui import Ui
from haqc.workers import WorkerPool, usual_count


@dataclass(frozen=True)
class Compiled:
    """What a compile leaves.

    Attributes:
        folder: where everything lies.
        report: the content of ``report.json``.
    """

    folder: Path
    report: dict[str, Any]


def compile_model(request: Request, ui: Ui) -> Compiled:
    """Compiles a model: the straight line from the ONNX file to the verified folder.

    Raises:
        HaqcError: a mistake of the user (2), a budget out of reach (3), or an emitted file that differs (4).
    """
    clock = Clock()
    torch.set_num_threads(1)
    with clock.part("parse"):
        OutputFolder(request.out).check(request.model, resume=request.resume, force=request.force)
        device = chosen(request.device)
        target = targets.load(request.target)
        front = Front.read(request.model)
        for sentence in remarks(front.model):
            ui.say(sentence)
    with clock.part("data"):
        description = data.describe(request.data, request.model)
        metric = _metric(request, description)
        dataset = None if description is None else _load(request, front, metric)
    with clock.part("parse"):
        shapes = dict(request.shapes) if dataset is None else shapes_of(dataset, front.model)
        bound = front.bound(shapes)
        problem = Problem.of(request, front.model, front.graph(bound), target)
        effort = Effort.of(problem.graph, sum(len(choice.widths) for choice in problem.space.free))
        mirror = from_onnx(problem.model)
    with clock.part("data"):
        reference = onnxfile.serialise(front.model) if front.is_quantised else request.model
        if dataset is None:
            dataset = make_up(front, bound, mirror, reference, effort, request.seed, request.shapes)
        samples = Samples.judge(dataset, reference, front.model, effort, metric, ui)
        even = equalised(front, mirror, problem.graph) if request.equalise else None
        if request.weights == "linear" and request.quantiser == "lsq":
            even = smoothed(even or front, mirror, dataset.train, effort) or even
        if even is not None:
            front = even
            problem = Problem.of(request, front.model, front.graph(front.bound(shapes)), target)
            mirror = from_onnx(problem.model)
        require_equal(mirror, front, samples.runtime, dataset.train)
    plan = Plan.of(request, effort, dataset, has_targets=samples.has_targets)
    if plan.long.samples:
        mirror.require_gradients(mirror.layer_parameters(problem.graph), samples.logits)
    fingerprint = fingerprint_of(request, problem, samples, plan, device)
    folder = OutputFolder(request.out)
    folder.take(resume=request.resume)
    log = SearchLog(folder.file("search.jsonl"), fingerprint)
    try:
        with clock.part("finetune"):
            bench = replace(prepare(request, problem, samples, plan), device=device)
            if len(bench.train) > len(dataset.train):
                ui.say("the float network takes mirror images for the same: they join the training samples")
            start = stages.start_network(bench, plan, folder, ui)
            if start is not None:
                bench = start_at(bench, mirror, start)
        with clock.part("calibrate"):
            calibration = grids(request, mirror, problem.space, bench, effort, folder)
            if calibration.unbounded:
                problem = Problem.of(request, problem.model, problem.graph.without(calibration.unbounded), target)
            bench = replace(bench, graph=problem.graph, calibration=calibration)
        with WorkerPool(bench, request.jobs or usual_count(device)) as pool:
            with clock.part("sensitivity"):
                effects = stages.measure_effects(problem, bench, folder, pool, ui)
            with clock.part("search"):
                found = stages.search_policies(request, problem, samples, effects, log, pool, ui)
            with clock.part("finalists"):
                found = stages.rescore_finalists(bench, found, folder, pool, ui)
            with clock.part("finetune"):
                tuned, tuned_float = stages.tune_winner(bench, found.best.policy, folder, pool, ui)
            with clock.part("reconstruct"):
                if tuned is None:
                    tuned = stages.recover_winner(bench, found.best.policy, mirror, folder, pool, ui)
    finally:
        log.close()
    policy = found.best.policy
    with clock.part("emit"):
        network = QuantisedMirror(mirror, policy, calibration)
        if tuned is not None:
            network.load(tuned.state)
        carried = notes(problem.target, problem.table, problem.budget, policy, fingerprint, request.weights)
        emit = emit_qcdq if request.weights == "linear" else emit_codebooks
        emitted = emit(problem.model, policy, network.codes(), carried)
        content = onnxfile.serialise(emitted)
    with clock.part("verify"):
        probe = _probe(network, samples.dataset.train)
        verification = verify(emitted, probe)
        if not verification.ok:
            raise _mismatch(verification.first_difference)
    with clock.part("measure"):
        measured = samples.measure(network, tuned, tuned_float, found, content, effort.run)
        if not measured.agrees:
            raise _mismatch(
                f"its {measured.metric.name} is {measured.value(measured.emitted):.6g} where the mirror's is "
                f"{measured.value(measured.mirror):.6g} (allowed is a difference of {measured.tolerance:.3g})"
            )
    findings = Findings(
        graph=problem.graph,
        model_file=request.model.name,
        target=problem.target,
        table=problem.table,
        space=problem.space,
        budget=problem.budget,
        policy=policy,
        search=found,
        measured=measured,
        judge=samples.search,
        dataset=samples.dataset,
        verification=verification.to_json(),
        effects=effects,
        fingerprint=fingerprint,
        stored={"initialiser_bytes": onnxfile.stored_bytes(emitted), "file_bytes": len(content)},
        seconds=clock.seconds,
        recovery=None if tuned is None else tuned.recovery,
    )
    folder.write("model.onnx", content)
    folder.write("policy.json", (json.dumps(policy.to_json(), indent=1) + "\n").encode())
    folder.save_probe(probe)
    found_all = findings.to_json()
    report(found_all, folder.path)
    return Compiled(folder.path, found_all)


def _metric(request: Request, description: data.Description | None) -> Metric | None:
    """Gives the metric that the command line names, else that of the description, else none."""
    name = request.metric if request.metric is not None or description is None else description.metric
    return None if name is None else named(name)


def _load(request: Request, front: Front, metric: Metric | None) -> Dataset:
    specs, group = front.inputs(request.shapes), 1 if metric is None else metric.traits.group
    return data.load(request.data, specs, request.model, seed=request.seed, group=group)


def _probe(network: QuantisedMirror, train: Split) -> Probe:
    """Keeps what the mirror computes on a few samples, as many as fit the memory set aside for them."""
    graph = network.policy.graph
    values = sum(graph.operand[tensor].values for tensor in network.activations)
    values += sum(4 * graph.tensor_values.get(tensor, 0) for tensor in network.between)
    count, each = max(1, min(PROBES, LARGEST_BYTES // max(1, values), len(train))), train.samples_per_run or 1
    return network.probe(train.inputs(slice(0, max(each, count - count % each))), train.samples_per_run)


def _mismatch(difference: str) -> VerificationError:
    return VerificationError(
        f"the emitted file does not match the mirror: {difference}; nothing was emitted: "
        "please report this with the model"
    )
