"""Compiles that may be killed at any instant, each in a process forked from one that has loaded everything already.

The jobs of a compile run in its own process, one after the other.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import time
from multiprocessing.context import ForkServerContext
from pathlib import Path

import torch

import haqc.compiler  # noqa: F401 (what compiles load is loaded once, before processes are forked)
from haqc.graph import Graph
from haqc.policy import Policy
from haqc.workers import Job
from tests.command_line import inline_jobs, run

NOTHING = Graph("", layers=(), operands=(), operations=(), tensor_values={}, inputs=(), outputs=())


def forking() -> ForkServerContext:
    """Gives a way to start processes which have loaded this file."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def compile_until(context: ForkServerContext, limit_s: float, begun: Path, *arguments: str | Path) -> float | None:
    """Compiles, and kills that without warning after a while.

    Args:
        context: how processes are started.
        limit_s: wall-clock seconds after which the compile is killed.
        begun: file to which the key of each policy is appended before the policy is scored.
        arguments: of the command line.

    Returns:
        The seconds it took where it ended by itself, else ``None``.
    """
    process = context.Process(target=_compile, args=(begun, *arguments))
    process.start()
    start_s = time.monotonic()
    process.join(limit_s)
    taken_s = time.monotonic() - start_s
    if process.is_alive():
        process.kill()
        process.join()
    assert process.exitcode in (0, -signal.SIGKILL), process.exitcode
    return taken_s if process.exitcode == 0 else None


def _compile(begun: Path, *arguments: str | Path) -> None:
    torch.set_num_threads(1)
    with begun.open("ab", buffering=0) as stream, inline_jobs() as jobs:

        def note(job: Job, number: int) -> None:
            if job.method == "score":
                stream.write(f"{Policy(NOTHING, job.arguments[0]).key}\n".encode())

        jobs.fault = note
        sys.exit(run(*arguments).code)
