"""The compiler: one function that calls the passes in order, from an ONNX file to a verified mixed-precision file."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from haqc import data, onnxfile, sensitivity, targets
from haqc.clock import Clock
from haqc.data import Dataset, Split
from haqc.device import called, chosen
from haqc.effect import Effect
from haqc.effort import Effort
from haqc.equality import require_equal
from haqc.errors import ModelError, ResumeError, VerificationError
from haqc.findings import Findings, notes, versions
from haqc.folder import OutputFolder
from haqc.frontend import Front, shapes_of
from haqc.madeup import make_up
from haqc.metrics import Metric, named
from haqc.mirror import Mirror, from_onnx
from haqc.mirror.quantised import QuantisedMirror
from haqc.passes.clean import remarks
from haqc.passes.emit import emit_codebooks, emit_qcdq
from haqc.passes.report import report
from haqc.passes.report.wording import figure
from haqc.passes.search import SearchOptions, search
from haqc.passes.verify import verify
from haqc.plan import FINALISTS, Plan
from haqc.policy import Policy
from haqc.preparation import grids, prepare, start_at
from haqc.probe import LARGEST_BYTES, PROBES, Probe
from haqc.problem import Problem
from haqc.reconstruct import stretches
from haqc.request import Request
from haqc.result import SearchResult
from haqc.samples import Samples
from haqc.searchlog import SearchLog
from haqc.smoothing import equalised, smoothed
from haqc.ui import Task, Ui
from haqc.workbench import Bench, Tuned
from haqc.workers import Job, WorkerPool, usual_count


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
    fingerprint = _fingerprint(request, problem, samples, plan, device)
    folder = OutputFolder(request.out)
    folder.take(resume=request.resume)
    log = SearchLog(folder.file("search.jsonl"), fingerprint)
    try:
        with clock.part("finetune"):
            bench = replace(prepare(request, problem, samples, plan), device=device)
            if len(bench.train) > len(dataset.train):
                ui.say("the float network takes mirror images for the same: they join the training samples")
            start = _start(bench, plan, folder, ui)
            if start is not None:
                bench = start_at(bench, mirror, start)
        with clock.part("calibrate"):
            calibration = grids(request, mirror, problem.space, bench, effort, folder)
            if calibration.unbounded:
                problem = Problem.of(request, problem.model, problem.graph.without(calibration.unbounded), target)
            bench = replace(bench, graph=problem.graph, calibration=calibration)
        with WorkerPool(bench, request.jobs or usual_count(device)) as pool:
            with clock.part("sensitivity"):
                effects = _sensitivity(problem, bench, folder, pool, ui)
            with clock.part("search"):
                found = _search(request, problem, samples, effects, log, pool, ui)
            with clock.part("finalists"):
                found = _finalists(bench, found, folder, pool, ui)
            with clock.part("finetune"):
                tuned, tuned_float = _tune(bench, found.best.policy, folder, pool, ui)
            with clock.part("reconstruct"):
                if tuned is None:
                    tuned = _recover(bench, found.best.policy, mirror, folder, pool, ui)
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


def _fingerprint(request: Request, problem: Problem, samples: Samples, plan: Plan, device: str) -> dict[str, Any]:
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
        "weights": request.weights,
        "quantizer": request.quantiser,
        "ranges": request.ranges,
        "equalise": request.equalise,
        "device": called(device),
        "shapes": {name: list(shape) for name, shape in request.shapes.items()},
    }
    return {
        "digests": {
            "model": onnxfile.digest(request.model),
            "data": samples.dataset.digest,
            "target": hashlib.sha256(problem.target.text.encode()).hexdigest(),
        },
        "budget": [demand.text for demand in request.demands],
        "seed": request.seed,
        "options": options,
        "effort": plan.effort.to_json(),
        "versions": versions(),
    }


def _start(bench: Bench, plan: Plan, folder: OutputFolder, ui: Ui) -> Tuned | None:
    """Fine-tunes the float network that everything else starts from and learns from; kept for resuming.

    A network at few bits can become no better than what it learns from; where the labels have something to say that
    the original network does not, they say it to the float network first.
    """
    if not plan.start.samples:
        return None
    kept = folder.load_tuned("start")
    if kept is None:
        task = ui.task("fine-tune: float", plan.start.samples)
        with WorkerPool(replace(bench, long=plan.start), 1) as pool:
            (kept,) = pool.run([Job("tune_float")], task.advance)
        folder.save_tuned("start", kept)
    return kept


def _sensitivity(
    problem: Problem, bench: Bench, folder: OutputFolder, pool: WorkerPool, ui: Ui
) -> dict[tuple[str, int], Effect]:
    """Measures what each free operand alone does at each width; kept for resuming."""
    free = problem.space.free
    table = folder.load_table("sensitivity.json", [4 * len(choice.widths) for choice in free])
    if table is None:
        runs = sensitivity.parts(bench.probe, bench.run)
        task = ui.task("sensitivity", runs * sum(len(choice.widths) for choice in free))
        arguments = [(choice.operand.tensor, choice.widths, run) for run in range(runs) for choice in free]
        shares = pool.run([Job("shares", each) for each in arguments], task.advance)
        table = []
        for index in range(len(free)):  # the shares of an operand stand as far apart as there are operands
            by_width = zip(*shares[index :: len(free)], strict=True)
            effects = [Effect.of(each, len(bench.probe)) for each in by_width]
            table.append([number for effect in effects for number in effect.to_numbers()])
        folder.save_table("sensitivity.json", table)
    elif any(number < 0 for row in table for start in (0, 1, 2) for number in row[start::4]):
        raise ResumeError(f"'{folder.state / 'sensitivity.json'}' is damaged; start again with --force")
    for choice, row in zip(free, table, strict=True):
        if not all(map(math.isfinite, row)):
            raise ModelError(
                f"what quantising '{choice.operand.tensor}' does to the output cannot be measured: it overflows; "
                "look for weights that are huge or not a number"
            )
    return {
        (choice.operand.tensor, bits): Effect.of_numbers(row[4 * index : 4 * index + 4])
        for choice, row in zip(free, table, strict=True)
        for index, bits in enumerate(choice.widths)
    }


def _search(
    request: Request,
    problem: Problem,
    samples: Samples,
    effects: Mapping[tuple[str, int], Effect],
    log: SearchLog,
    pool: WorkerPool,
    ui: Ui,
) -> SearchResult:
    """Runs the allocators; policies that the log knows are not evaluated again."""
    known = dict(log.accuracy)

    def evaluate(policies: Sequence[Policy]) -> list[float]:
        fresh = [policy for policy in policies if policy.key not in known]
        try:
            scores = pool.run([Job("score", (dict(policy.widths),)) for policy in fresh])
        except KeyboardInterrupt:
            pool.restart()
            raise
        known.update(zip((policy.key for policy in fresh), scores, strict=True))
        return [known[policy.key] for policy in policies]

    judge, bars = samples.search, dict[str, Task]()
    done: dict[str, int] = {}

    def progress(allocator: str, evaluated: int, total: int, best: float) -> None:
        if allocator not in bars:
            bars[allocator] = ui.task(f"search: {allocator}", total)
        words = f"best {figure(judge.value_at(best), judge.metric.traits.unit)}"
        bars[allocator].advance(evaluated - done.get(allocator, 0), words)
        done[allocator] = evaluated

    return search(
        problem.space,
        problem.budget,
        problem.table.price,
        problem.table.terms(problem.space),
        evaluate,
        baseline=problem.baseline,
        float_accuracy=samples.search.float_quality,
        sensitivity={key: effect.output for key, effect in effects.items()},
        options=_options(request),
        record=log.record,
        progress=progress,
    )


def _options(request: Request) -> SearchOptions:
    seconds = math.inf if request.seconds is None else request.seconds
    return SearchOptions(request.evaluations, seed=request.seed, seconds=seconds, allocators=request.allocators)


def _finalists(bench: Bench, found: SearchResult, folder: OutputFolder, pool: WorkerPool, ui: Ui) -> SearchResult:
    """Scores the best trials again after a longer fine-tune, and gives the search with the best of these as its best.

    The best of many noisy scores is partly the luckiest; a second, independent look costs a few evaluations.
    """
    ranked = sorted(found.trials, key=lambda trial: (trial is not found.best, -trial.accuracy))[:FINALISTS]
    if not bench.middle.samples or len(ranked) < 2:
        return found
    name = f"finalists-{hashlib.sha256(''.join(trial.policy.key for trial in ranked).encode()).hexdigest()[:16]}.json"
    table = folder.load_table(name, [1] * len(ranked))
    if table is None:
        task = ui.task("finalists", bench.middle.samples * len(ranked))
        scores = pool.run([Job("rescore", (dict(trial.policy.widths),)) for trial in ranked], task.advance)
        table = [[score] for score in scores]
        folder.save_table(name, table)
    finalists = tuple((trial, row[0]) for trial, row in zip(ranked, table, strict=True))
    best = max(finalists, key=lambda finalist: finalist[1])[0]  # the first of equal ones, which is the better trial
    return replace(found, best=best, finalists=finalists)


def _tune(
    bench: Bench, policy: Policy, folder: OutputFolder, pool: WorkerPool, ui: Ui
) -> tuple[Tuned | None, Tuned | None]:
    """Fine-tunes the winner and, by the same recipe, the float network; both are kept for resuming."""
    if not bench.long.samples:
        return None, None
    jobs = {f"tuned-{policy.key}": Job("tune", (dict(policy.widths),))}
    if bench.long.label_share:  # else it would learn from itself alone
        jobs["tuned-float"] = Job("tune_float")
    kept = {name: folder.load_tuned(name) for name in jobs}
    missing = [name for name, tuned in kept.items() if tuned is None]
    if missing:
        task = ui.task("fine-tune", bench.long.samples * len(missing))
        for name, tuned in zip(missing, pool.run([jobs[name] for name in missing], task.advance), strict=True):
            folder.save_tuned(name, tuned)
            kept[name] = tuned
    winner, *floating = kept.values()
    return winner, floating[0] if floating else None


def _recover(
    bench: Bench, policy: Policy, mirror: Mirror, folder: OutputFolder, pool: WorkerPool, ui: Ui
) -> Tuned | None:
    """Reconstructs a winner that is not fine-tuned; it is kept for resuming."""
    if not bench.fitting.samples:
        return None
    name = f"recovered-{policy.key}"
    recovered = folder.load_tuned(name)
    if recovered is None:
        weights = [operand.tensor for operand in bench.graph.operands if operand.kind == "weight"]
        count = len(stretches(mirror, bench.logits, weights, bench.train))
        task = ui.task("reconstruct", bench.fitting.samples * count)
        (recovered,) = pool.run([Job("recover", (dict(policy.widths),))], task.advance)
        folder.save_tuned(name, recovered)
    return recovered


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
