"""Applies a saved policy to the same model, or to a retrained one, without a search: ``haqc emit``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from haqc import policy as policies
from haqc.case import Case
from haqc.clock import Clock
from haqc.compiler import Compiled
from haqc.errors import PolicyError
from haqc.folder import OutputFolder
from haqc.policy import Policy
from haqc.preparation import make_bench
from haqc.problem import Problem
from haqc.quantisation import Quantisation
from haqc.request import Request
from haqc.result import SearchResult, Trial
from haqc.searcher import Searcher
from haqc.searchlog import SearchLog
from haqc.ui import Ui
from haqc.winner import deliver
from haqc.workers import Job, WorkerPool, usual_count

REASON = "the saved policy gives it"


def emit_saved(request: Request, path: Path, ui: Ui) -> Compiled:
    """Emits a model at a saved policy: calibrated, recovered by the recipe of a compile's winner, verified, measured.

    Args:
        request: the model and everything but what is searched, and but what the policy says of how it was quantised.
        path: the ``policy.json``.
        ui: told what happens.

    Raises:
        PolicyError: the policy is of another model, an edited graph or a newer schema, or the target lacks a width.
        HaqcError: a mistake of the user (2), or an emitted file that differs (4).
    """
    clock = Clock()
    torch.set_num_threads(1)
    folder = OutputFolder(request.out)
    folder.check(request.model, resume=request.resume, force=request.force)
    request = Quantisation.read(path).asked(request)
    case = Case.read(request, clock, ui, lambda problem: _require_fitting(problem, path, request.min_bits))
    policy = policies.read_fitting(case.problem.graph, path)
    fingerprint = {**case.fingerprint, "policy": policy.key}
    case = replace(case, fingerprint=fingerprint, problem=_at(case.problem, policy))
    folder.take(resume=request.resume)
    log = SearchLog(folder.file("search.jsonl"), fingerprint)
    try:
        with WorkerPool(request.jobs or usual_count(case.device)) as pool:
            case, bench = make_bench(case, folder, pool, clock, ui)
            graph = case.problem.graph
            policies.require_tensors(graph, path)
            policy = Policy(graph, {operand.tensor: policy.widths[operand.tensor] for operand in graph.operands})
            case = replace(case, problem=_at(case.problem, policy))
            trial = _trial(case, policy, log, pool)
            searcher = Searcher(case, bench, {}, folder, log, pool, clock, ui)
            winner = searcher.finish(case.problem, SearchResult((trial,), (), trial))
    finally:
        log.close()
    return Compiled(folder.path, deliver(winner, bench, folder, clock))


def _trial(case: Case, policy: Policy, log: SearchLog, pool: WorkerPool) -> Trial:
    """Scores the policy, as a search would have; a score that the log has is not computed again."""
    score = log.scores.get(policy.key)
    if score is None:
        (score,) = pool.run([Job("score", (dict(policy.widths),))])
    price, float_quality = case.problem.table.price(policy), case.samples.search.float_quality
    trial = Trial.of(policy, price, score, float_quality, "saved", case.request.seed)
    log.record(trial)
    return trial


def _at(problem: Problem, policy: Policy) -> Problem:
    """Gives the problem with nothing left to decide, so that grids are made for these widths alone."""
    space = problem.space
    choices = tuple(
        replace(choice, widths=(policy.widths[choice.operand.tensor],), reason=choice.reason or REASON)
        for choice in space.choices
        if choice.operand.tensor in policy.widths
    )
    return replace(problem, space=replace(space, choices=choices))


def _require_fitting(problem: Problem, path: Path, least: int) -> None:
    """Refuses a policy of another graph, or of widths that target or quantiser lack."""
    policy = policies.read_fitting(problem.graph, path)
    allowed = problem.space.precision.allowed_pairs
    narrow = next((tensor for tensor, bits in policy.widths.items() if bits < least), None)
    if narrow is not None:
        raise PolicyError(f"'{path}' gives '{narrow}' 1 bit, for which --quantizer haq has no grid; compile again")
    for layer in problem.graph.quantised_layers:
        bits = policy.bits(layer)
        if (bits.weight, bits.activation) not in allowed:
            raise PolicyError(
                f"'{path}' gives layer '{layer.name}' {bits} bits, which target '{problem.target.name}' does not have; "
                "name another with --target"
            )
