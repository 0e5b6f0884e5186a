"""``haqc sweep``: the front of accuracy over cost, from one search that all its points share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from haqc import __version__, stages
from haqc.budget import Demand
from haqc.case import Case
from haqc.clock import Clock
from haqc.errors import InfeasibleBudget, Interrupted
from haqc.passes.report.front import FRONT_SCHEMA, front_csv
from haqc.passes.report.frontplot import front_svg
from haqc.point import Point
from haqc.preparation import make_bench
from haqc.pricing import target_json
from haqc.request import Request
from haqc.result import SearchResult, Trial
from haqc.searcher import Searcher
from haqc.searchlog import SearchLog, as_log
from haqc.sweepfolder import SweepFolder
from haqc.sweeping import Sweep
from haqc.ui import Ui
from haqc.winner import Winner, deliver
from haqc.workers import WorkerPool, usual_count

FINALISTS = 2
"""Trials of each point that are scored again after a longer fine-tune: neighbours share most of what they found."""


@dataclass(frozen=True)
class Swept:
    """What a sweep leaves.

    Attributes:
        folder: where everything lies.
        front: the content of ``front.json``.
    """

    folder: Path
    front: dict[str, Any]


def sweep_model(request: Request, ui: Ui) -> Swept:
    """Compiles a model to several budgets of one metric, with one search; each point is emitted as a compile's winner.

    Args:
        request: what was asked for, a sweep among it; its budgets hold at every point.
        ui: is told how far it is.

    Raises:
        HaqcError: a mistake of the user (2), no point within reach (3), or an emitted file that differs (4).
        ValueError: no sweep was asked for.
    """
    sweep = request.sweep
    if sweep is None:
        raise ValueError("the request names no sweep")
    clock = Clock()
    torch.set_num_threads(1)
    folder = SweepFolder(request.out)
    folder.check(request.model, (), resume=request.resume, force=request.force)
    case = Case.read(request, clock, ui)
    shares = sweep.shares(case.problem.range_of(sweep.metric)[0])
    names = [sweep.name(share) for share in shares]
    folder.check(request.model, names, resume=request.resume, force=request.force)
    folder.whole.take(resume=request.resume)
    log = SearchLog(folder.whole.file("search.jsonl"), case.fingerprint)
    try:
        folder.take_points(names, resume=request.resume)
        with WorkerPool(request.jobs or usual_count(case.device)) as pool:
            case, bench = make_bench(case, folder.whole, pool, clock, ui)
            problems = [case.problem.within(Demand.of_share(sweep.metric, share)) for share in shares]
            points = [Point(*each) for each in zip(shares, names, problems, strict=True)]
            with clock.part("sensitivity"):
                effects = stages.measure_effects(case.problem, bench, folder.whole, pool, ui)
            searcher = Searcher(case, bench, effects, folder.whole, log, pool, clock, ui, budgets=len(points))
            points = _searched(searcher, points)
            winners = _finished(searcher, points)
    finally:
        log.close()
    rows = []
    for point in points:
        winner, own = winners.get(point.name), folder.point(point.name)
        if winner is None:
            own.discard()
            rows.append(point.row())
        else:
            report = deliver(winner, bench, own, clock)
            own.write("search.jsonl", as_log(case.fingerprint, winner.found.trials))
            rows.append(point.emitted_row(winner.found.best, report))
            accuracy = report["accuracy"]
    front = _front(case, sweep, accuracy, rows, log, clock)
    folder.whole.write("front.json", (json.dumps(front, indent=1, allow_nan=False) + "\n").encode())
    folder.whole.write("front.csv", front_csv(front).encode())
    folder.whole.write("front.svg", front_svg(front).encode())
    return Swept(folder.path, front)


def _searched(searcher: Searcher, points: Sequence[Point]) -> list[Point]:
    """Searches within one budget after the other, the cheapest first, each with what those before it have found.

    A cheaper policy holds a dearer budget too; so in the end each point has the best of all trials within its budget.

    Raises:
        InfeasibleBudget: no point is within reach.
        Interrupted: Ctrl-C came before anything was scored.
    """
    known: dict[str, Trial] = {}
    searched = []
    is_going = True
    for point in points:
        found, reason = None, "interrupted before anything within this budget was scored"
        if is_going:
            searcher.ui.say(f"searching within {point.text}")
            try:
                found = searcher.search(point.problem, tuple(known.values()))
            except InfeasibleBudget as error:
                reason = str(error)
            except Interrupted:
                is_going = False
        if found is not None:
            known |= {trial.policy.key: trial for trial in found.trials}
            is_going = not found.interrupted
        searched.append(replace(point, found=found, reason=reason))
    if not known and not is_going:
        raise Interrupted("interrupted before any policy was evaluated, so there is nothing to emit; run it again")
    if not known:
        raise InfeasibleBudget(searched[-1].reason)
    return [replace(point, found=_best_within(point, known.values(), is_going)) for point in searched]


def _best_within(point: Point, known: Iterable[Trial], is_going: bool) -> SearchResult | None:
    """Gives what a point's search found, with all trials within its budget, and the best of these as its best."""
    trials = tuple(trial for trial in known if point.problem.budget.allows(trial.cost))
    if not trials:
        return None
    own = () if point.found is None else (point.found.best,)
    best = max((*own, *trials), key=lambda trial: trial.merit)  # of equal ones what its own search preferred
    allocators = () if point.found is None else point.found.allocators
    return SearchResult(trials, allocators, best, interrupted=not is_going)


def _finished(searcher: Searcher, points: Sequence[Point]) -> dict[str, Winner]:
    """Looks at each point's finalists again, fine-tunes the winners, and gives each point the best that it can hold.

    Returns:
        The winners by the names of their points, none for points that have nothing.
    """
    found = {p.name: searcher.rescore(p.found, FINALISTS) for p in points if p.found is not None}
    best = {result.best.policy.key: result.best for result in found.values()}
    tuned, tuned_float = searcher.tune([trial.policy for trial in best.values()])
    winners = {}
    for point in points:
        if point.name not in found:
            continue
        result = found[point.name]
        held = [result.best, *(trial for trial in best.values() if point.problem.budget.allows(trial.cost))]
        winner = max(held, key=lambda trial: tuned[trial.policy.key].accuracy) if tuned else result.best
        case = replace(searcher.case, problem=point.problem)
        network = tuned.get(winner.policy.key)
        winners[point.name] = Winner(case, searcher.effects, replace(result, best=winner), network, tuned_float)
    return winners


def _front(
    case: Case,
    sweep: Sweep,
    accuracy: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    log: SearchLog,
    clock: Clock,
) -> dict[str, Any]:
    """Gives the content of ``front.json``."""
    problem = case.problem
    shown = (
        "metric",
        "unit",
        "higher_is_better",
        "data",
        "count",
        "float",
        "float_finetuned",
        "reference",
        "data_free",
    )
    return {
        "schema": FRONT_SCHEMA,
        "haqc": __version__,
        "model": {"name": problem.graph.name, "file": case.request.model.name},
        "target": target_json(problem.target, problem.table),
        "metric": sweep.metric,
        "budget": [limit.text for limit in problem.budget.limits],
        "baseline": problem.baseline.to_json(),
        "accuracy": {name: accuracy[name] for name in (*shown, "labels")},
        "points": list(rows),
        "evaluations": len(log.scores),
        "provenance": {"haqc": __version__, **case.fingerprint},
        "seconds": clock.seconds,
    }
