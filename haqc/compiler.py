"""The compiler: one function that calls the passes in order, from an ONNX file to a verified mixed-precision file."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnx_ir as ir
import torch

from haqc import data, onnxfile, targets
from haqc.budget import Budget, Cost, Demand
from haqc.calibration import Calibration
from haqc.costmodel import build_table
from haqc.costmodel.table import CostTable
from haqc.data.split import Dataset, Split
from haqc.errors import DataError, VerificationError
from haqc.findings import Findings, Measured, annotations, versions
from haqc.folder import OutputFolder
from haqc.frontend import input_specs, pose
from haqc.graph import Graph
from haqc.mirror import Mirror, from_onnx
from haqc.mirror.quantised import QuantisedMirror
from haqc.passes.calibrate import calibrate
from haqc.passes.emit import emit_qcdq
from haqc.passes.report import report
from haqc.passes.search import SearchOptions, search
from haqc.passes.search.feasibility import require_feasible
from haqc.passes.verify import verify
from haqc.policy import Bits, Policy, Space, baseline
from haqc.probe import LARGEST_BYTES, PROBES, Probe
from haqc.result import SearchResult
from haqc.runtime import Runtime
from haqc.score import Scoring, percent, scoring_for
from haqc.searchlog import SearchLog
from haqc.target import Target
from haqc.train import Recipe, outputs
from haqc.workbench import Bench, Tuned
from haqc.workers import Job, WorkerPool, usable_cpus

CALIBRATION_SAMPLES = 512
SENSITIVITY_SAMPLES = 128
SEARCH_SAMPLES = 2000
"""Samples of the search split that score a policy during the search."""

MIRROR_TOLERANCE = 1e-4
"""Difference between mirror and onnxruntime on the float graph, as a share of the largest output, that ends a compile."""


class Task(Protocol):
    """A bar of progress."""

    def advance(self, count: int = 1, note: str = "") -> None:
        """Moves the bar."""


class Ui(Protocol):
    """Where a compile says what it does."""

    def say(self, text: str) -> None:
        """Says a line."""

    def task(self, name: str, total: int) -> Task:
        """Begins a bar."""


@dataclass(frozen=True)
class Request:
    """What to compile, and how.

    Attributes:
        model: the ONNX file.
        target: built-in name or path of a target file.
        demands: the budget.
        out: output folder.
        data: what ``--data`` names, or ``None``.
        mode: mode of the cost model, or ``None`` for the target's default.
        seed: of everything random.
        jobs: worker processes; the result does not depend on it.
        finetune: training samples of the short fine-tune in the search; ``None`` picks 1,000 with labels, 0 without.
        final_finetune: training samples (with repetition) of the winner's fine-tune; ``None`` picks 60,000, or 0 when
            ``finetune`` is 0.
        evaluations: policies that each allocator may have evaluated.
        min_bits: narrowest width searched.
        pins: widths by layer name or pattern.
        default_pins: whether the first layers and the last ones are pinned at 8/8.
        resume, force: what to do with a folder that is not empty.
    """

    model: Path
    target: str
    demands: tuple[Demand, ...]
    out: Path
    data: str | None = None
    mode: str | None = None
    seed: int = 0
    jobs: int | None = None
    finetune: int | None = None
    final_finetune: int | None = None
    evaluations: int = 48
    min_bits: int = 2
    pins: Mapping[str, Bits] = field(default_factory=dict)
    default_pins: bool = True
    resume: bool = False
    force: bool = False


@dataclass(frozen=True)
class Problem:
    """The model, the hardware and the budget, before any data."""

    model: ir.Model
    graph: Graph
    target: Target
    table: CostTable
    space: Space
    baseline: Cost
    budget: Budget


@dataclass(frozen=True)
class Samples:
    """The data, what they are scored by, and the float model's own outputs.

    Attributes:
        dataset: the three splits.
        scoring: what a score means.
        logits: tensor that is trained and scored.
        runtime: the original model.
        search: the part of the search split that scores.
        search_reference: labels, or the float model's outputs, on that part.
        float_accuracy: the float model's score there, in percent.
    """

    dataset: Dataset
    scoring: Scoring
    logits: str
    runtime: Runtime
    search: Split
    search_reference: np.ndarray
    float_accuracy: float


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
    clock = _Clock()
    torch.set_num_threads(1)
    with clock.part("parse"):
        problem = _pose(request)
        require_feasible(problem.space, problem.budget, problem.table.price, problem.baseline)
    with clock.part("data"):
        samples = _sample(request, problem, ui)
        mirror = from_onnx(problem.model)
        _check_mirror(mirror, samples)
    fingerprint = _fingerprint(request, problem, samples)
    folder = OutputFolder.take(request.out, resume=request.resume, force=request.force)
    log = SearchLog(folder.file("search.jsonl"), fingerprint)
    try:
        with clock.part("calibrate"):
            calibration = _calibrate(mirror, problem, samples)
            bench = _bench(request, problem, samples, calibration)
        with WorkerPool(bench, request.jobs or usable_cpus()) as pool:
            with clock.part("sensitivity"):
                sensitivity = _sensitivity(problem, folder, pool, ui)
            with clock.part("search"):
                found = _search(request, problem, samples, sensitivity, log, pool, ui)
            with clock.part("finetune"):
                tuned, tuned_float = _tune(bench, found.best.policy, folder, pool, ui)
    finally:
        log.close()
    policy = found.best.policy
    with clock.part("emit"):
        network = QuantisedMirror(mirror, policy, calibration)
        if tuned is not None:
            network.load(tuned.state)
        notes = annotations(problem.graph, problem.target, problem.table, problem.budget, policy, fingerprint)
        emitted = emit_qcdq(problem.model, policy, network.codes(), notes)
    with clock.part("verify"):
        probe = _probe(network, samples.dataset.train)
        verification = verify(emitted, probe)
        if not verification.ok:
            raise _mismatch(verification.first_difference)
    with clock.part("measure"):
        measured = _measure(samples, network, tuned, tuned_float, found, emitted)
        if not measured.agrees:
            raise _mismatch(
                f"it scores {percent(measured.emitted):.2f} % where the mirror scores {percent(measured.mirror):.2f} % "
                f"(allowed are {measured.tolerance:.2f} points)"
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
        scoring=samples.scoring,
        dataset=samples.dataset,
        verification=verification.to_json(),
        sensitivity=sensitivity,
        fingerprint=fingerprint,
        seconds=clock.seconds,
    )
    content = findings.to_json()
    onnxfile.write(emitted, folder.file("model.onnx"))
    folder.write("policy.json", json.dumps(policy.to_json(), indent=1, ensure_ascii=False) + "\n")
    probe.save(folder.state / "probe.npz")
    report(content, folder.path)
    return Compiled(folder.path, content)


def _pose(request: Request) -> Problem:
    target = targets.load(request.target)
    model, graph = pose(request.model)
    table = build_table(graph, target, mode=request.mode)
    space = Space.of(
        graph,
        target.precision,
        min_bits=request.min_bits,
        pins=request.pins,
        default_pins=request.default_pins,
    )
    full = table.price(baseline(graph))
    return Problem(model, graph, target, table, space, full, Budget.resolve(request.demands, full, table.batch))


def _sample(request: Request, problem: Problem, ui: Ui) -> Samples:
    """Loads the data and sees what the float model makes of them."""
    dataset = data.load(request.data, input_specs(problem.model), request.model, seed=request.seed)
    runtime = Runtime(request.model)
    search = dataset.search.take(slice(0, SEARCH_SAMPLES))
    found = runtime.first_output(search)
    scoring = scoring_for(found.shape, dataset.has_labels)
    if scoring.is_accuracy:
        data.check_labels(dataset, scoring.classes)
        assert search.labels is not None
    else:
        ui.say(
            f"{'No data: inputs are made up' if dataset.synthetic else 'No labels'}; "
            f"'{scoring.metric}' is agreement with the float model, not accuracy"
        )
    reference = search.labels if scoring.is_accuracy and search.labels is not None else found
    accuracy = percent(scoring.scores(found, reference))
    ui.say(f"float model on the search split ({len(search)} samples): {accuracy:.2f} % {scoring.metric}")
    if accuracy < scoring.floor:
        raise DataError(
            f"the float model reaches {accuracy:.2f} % on the search split of '{dataset.name}', where guessing reaches "
            f"{scoring.chance:.2f} %; check the scaling (scale, mean, std, layout in a data description) and the labels' order"
        )
    return Samples(dataset, scoring, _logits(problem.model), runtime, search, reference, accuracy)


def _logits(model: ir.Model) -> str:
    """Gives the tensor that losses read: the first output, or what goes into a final Softmax."""
    value = model.graph.outputs[0]
    node = value.producer()
    if node is not None and node.op_type in ("Softmax", "LogSoftmax") and node.inputs[0] is not None:
        value = node.inputs[0]
    return str(value.name)


def _check_mirror(mirror: Mirror, samples: Samples) -> None:
    """Refuses to go on when the mirror does not compute what the model computes."""
    few = samples.dataset.train.take(slice(0, 8))
    expected, found = samples.runtime.first_output(few), outputs(mirror, mirror.outputs[0], few)
    largest = float(np.abs(expected).max()) or 1.0
    gap = float(np.abs(expected - found).max()) if expected.shape == found.shape else float("inf")
    if not gap <= MIRROR_TOLERANCE * largest:
        raise VerificationError(
            f"the mirror differs from the model at output '{mirror.outputs[0]}' by {gap:.3g} (largest magnitude "
            f"{largest:.3g}); please report this with the model"
        )


def _fingerprint(request: Request, problem: Problem, samples: Samples) -> dict[str, Any]:
    """Gives everything that the trials depend on."""
    options = {
        "mode": problem.table.mode,
        "finetune": _short(request, samples).samples,
        "final_finetune": _long(request, samples).samples,
        "evaluations": request.evaluations,
        "min_bits": request.min_bits,
        "pins": {pattern: str(bits) for pattern, bits in request.pins.items()},
        "default_pins": request.default_pins,
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
        "versions": versions(),
    }


def _short(request: Request, samples: Samples) -> Recipe:
    chosen = request.finetune
    if chosen is None:
        chosen = 1000 if samples.scoring.is_accuracy else 0
    return Recipe(chosen, batch=min(64, max(8, len(samples.dataset.train) // 8)))


def _long(request: Request, samples: Samples) -> Recipe:
    short = _short(request, samples)
    chosen = request.final_finetune
    if chosen is None:
        chosen = 60_000 if short.samples else 0
    return replace(short, samples=max(chosen, short.samples))


def _calibrate(mirror: Mirror, problem: Problem, samples: Samples) -> Calibration:
    few = samples.dataset.train.take(slice(0, CALIBRATION_SAMPLES))
    return calibrate(mirror, problem.space, _Batches(few, 64))


@dataclass(frozen=True)
class _Batches:
    """Inputs in batches, as often as they are asked for."""

    split: Split
    size: int

    def __iter__(self) -> Iterator[tuple[np.ndarray, ...]]:
        return (inputs for inputs, _ in self.split.batches(self.size))


def _bench(request: Request, problem: Problem, samples: Samples, calibration: Calibration) -> Bench:
    train = samples.dataset.train
    short, long = _short(request, samples), _long(request, samples)
    exposed = problem.model.clone()
    exposed.graph.outputs[:] = [v for n in exposed.graph for v in n.outputs if v.name == samples.logits]
    teacher = Runtime(onnxfile.serialise(exposed))
    return Bench(
        model=onnxfile.serialise(problem.model),
        graph=problem.graph,
        calibration=calibration,
        logits=samples.logits,
        scoring=samples.scoring,
        train=train,
        teacher=teacher.first_output(train) if long.samples else np.empty(0, np.float32),
        search=samples.search,
        reference=samples.search_reference if samples.scoring.is_accuracy else teacher.first_output(samples.search),
        probe=train.take(slice(0, SENSITIVITY_SAMPLES)),
        short=short,
        long=long,
        seed=request.seed,
    )


def _sensitivity(
    problem: Problem, folder: OutputFolder, pool: WorkerPool, ui: Ui
) -> dict[tuple[str, int], float]:
    """Measures what each free operand alone does to the output at each width; kept for resuming."""
    free = problem.space.free
    errors = folder.load_json("sensitivity.json")
    if errors is None:
        task = ui.task("sensitivity", sum(len(choice.widths) for choice in free))
        jobs = [Job("output_error", (choice.operand.tensor, choice.widths)) for choice in free]
        errors = pool.run(jobs, task.advance)
        folder.save_json("sensitivity.json", errors)
    return {
        (choice.operand.tensor, bits): error
        for choice, row in zip(free, errors, strict=True)
        for bits, error in zip(choice.widths, row, strict=True)
    }


def _search(
    request: Request,
    problem: Problem,
    samples: Samples,
    sensitivity: Mapping[tuple[str, int], float],
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

    bars: dict[str, Task] = {}
    done: dict[str, int] = {}

    def progress(allocator: str, evaluated: int, total: int, best: float) -> None:
        bar = bars.setdefault(allocator, ui.task(f"search: {allocator}", total)) if allocator not in bars else bars[allocator]
        bar.advance(evaluated - done.get(allocator, 0), f"best {best:.2f} %")
        done[allocator] = evaluated

    return search(
        problem.space,
        problem.budget,
        problem.table.price,
        evaluate,
        baseline=problem.baseline,
        float_accuracy=samples.float_accuracy,
        sensitivity=sensitivity,
        options=SearchOptions(evaluations=request.evaluations, seed=request.seed),
        record=log.record,
        progress=progress,
    )


def _tune(
    bench: Bench, policy: Policy, folder: OutputFolder, pool: WorkerPool, ui: Ui
) -> tuple[Tuned | None, Tuned | None]:
    """Fine-tunes the winner and, by the same recipe, the float network; both are kept for resuming."""
    if not bench.long.samples:
        return None, None
    jobs = {f"tuned-{policy.key}": Job("tune", (dict(policy.widths),)), "tuned-float": Job("tune_float")}
    kept = {name: folder.load_tuned(name) for name in jobs}
    missing = [name for name, tuned in kept.items() if tuned is None]
    if missing:
        task = ui.task("fine-tune", bench.long.samples * len(missing))
        for name, tuned in zip(missing, pool.run([jobs[name] for name in missing], task.advance), strict=True):
            folder.save_tuned(name, tuned)
            kept[name] = tuned
    winner, floating = kept.values()
    return winner, floating


def _probe(network: QuantisedMirror, train: Split) -> Probe:
    """Keeps what the mirror computes on a few samples, as many as fit the memory set aside for them."""
    values = sum(network.policy.graph.operand[tensor].values for tensor in network.activations)
    return network.probe(train.inputs(slice(0, max(1, min(PROBES, LARGEST_BYTES // max(1, values))))))


def _measure(
    samples: Samples,
    network: QuantisedMirror,
    tuned: Tuned | None,
    tuned_float: Tuned | None,
    found: SearchResult,
    emitted: ir.Model,
) -> Measured:
    """Reads the reported split: once, at the end."""
    split, scoring = samples.dataset.reported, samples.scoring
    original = samples.runtime.first_output(split)
    reference = split.labels if scoring.is_accuracy and split.labels is not None else original
    output = network.mirror.outputs[0]
    mirror = outputs(network, output, split)
    finetuned = None
    if tuned_float is not None:
        network.mirror.load(tuned_float.state.parameters)
        finetuned = outputs(network.mirror, output, split)
    return Measured(
        original=scoring.scores(original, reference),
        finetuned=None if finetuned is None else scoring.scores(finetuned, reference),
        mirror=scoring.scores(mirror, reference),
        emitted=scoring.scores(Runtime(onnxfile.serialise(emitted)).first_output(split), reference),
        search={
            "float": samples.float_accuracy,
            "float_finetuned": None if tuned_float is None else tuned_float.accuracy,
            "mirror": found.best.accuracy if tuned is None else tuned.accuracy,
        },
        search_count=len(samples.search),
    )


def _mismatch(difference: str) -> VerificationError:
    return VerificationError(
        f"the emitted file does not match the mirror: {difference}; nothing was emitted: please report this with the model"
    )


class _Clock:
    """Wall-clock seconds by part of the compile."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._parts: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Adds the time of a block to a part."""
        start = time.perf_counter()
        yield
        self._parts[name] = self._parts.get(name, 0.0) + time.perf_counter() - start

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds by part, and in all."""
        return {**self._parts, "total": time.perf_counter() - self._start}
