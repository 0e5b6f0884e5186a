"""The compiler: one function that calls the steps in order, from an ONNX file to a verified mixed-precision file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from haqc import stages
from haqc.case import Case
from haqc.clock import Clock
from haqc.folder import OutputFolder
from haqc.minimisation import least_cost
from haqc.preparation import make_bench
from haqc.request import Request
from haqc.searcher import Searcher
from haqc.searchlog import SearchLog
from haqc.ui import Ui
from haqc.winner import deliver
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
    folder = OutputFolder(request.out)
    folder.check(request.model, resume=request.resume, force=request.force)
    case = Case.read(request, clock, ui)
    folder.take(resume=request.resume)
    log = SearchLog(folder.file("search.jsonl"), case.fingerprint)
    try:
        with WorkerPool(request.jobs or usual_count(case.device)) as pool:
            case, bench = make_bench(case, folder, pool, clock, ui)
            with clock.part("sensitivity"):
                effects = stages.measure_effects(case.problem, bench, folder, pool, ui)
            searcher = Searcher(case, bench, effects, folder, log, pool, clock, ui)
            goal = request.minimise
            winner = searcher.best(case.problem) if goal is None else least_cost(searcher, goal)
    finally:
        log.close()
    return Compiled(folder.path, deliver(winner, bench, folder, clock))
