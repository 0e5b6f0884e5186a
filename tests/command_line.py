"""The command line in this process, with its jobs in this process, and one folder compiled by it for all tests.

A plugin: test files name it in ``pytest_plugins``. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
import torch

from haqc.cli import main
from haqc.workbench import Bench, Worker
from haqc.workers import Job

ROOT = Path(__file__).resolve().parents[1]
DIGITS = ROOT / "models" / "digits.onnx"
TINY = ("--evaluations", "4", "--finetune", "16", "--final-finetune", "64")
EDGE = ("--target", "edge")


@dataclass(frozen=True)
class Outcome:
    """What a command came to."""

    code: int
    out: str
    err: str

    def sentence(self, code: int) -> str:
        """Checks that the command failed as the contract says, and gives its one sentence."""
        assert self.code == code, self
        *notes, last = self.err.splitlines()
        assert last.startswith("haqc: "), self.err
        assert not any(note.startswith(("haqc: ", "Traceback")) for note in notes), self.err
        assert self.out == ""
        assert not last.endswith((".", " "))
        return last.removeprefix("haqc: ")


@dataclass
class Jobs:
    """The jobs that were run, and one before which something may happen."""

    done: list[Job] = field(default_factory=list)
    fault: Callable[[Job, int], None] | None = None

    def count(self, method: str) -> int:
        """How many jobs of a method were begun."""
        return sum(job.method == method for job in self.done)


class InlinePool:
    """Stands in for :class:`haqc.workers.WorkerPool` without starting processes."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    def __enter__(self) -> InlinePool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def use(self, bench: Bench) -> None:
        """Takes the bench that jobs read from now on."""
        self._worker = Worker(bench)

    def restart(self) -> None:
        """Does nothing: no job outlives an interruption."""

    def run(
        self,
        jobs: Sequence[Job],
        advance: Callable[[int], None] = lambda samples: None,
        finished: Callable[[int, Any], None] = lambda index, result: None,
    ) -> list[Any]:
        """Runs jobs one after the other."""
        results: list[Any] = []
        for index, job in enumerate(jobs):
            self._jobs.done.append(job)
            if self._jobs.fault is not None:
                self._jobs.fault(job, self._jobs.count(job.method))
            results.append(self.do(job, advance))
            finished(index, results[-1])
        return results

    def do(self, job: Job, advance: Callable[[int], None]) -> Any:
        """Does one job."""
        return getattr(self._worker, job.method)(*job.arguments, advance)


@contextlib.contextmanager
def inline_jobs() -> Iterator[Jobs]:
    """Has compiles run their jobs in this process."""
    jobs = Jobs()
    with pytest.MonkeyPatch.context() as patch:
        for place in ("haqc.compiler", "haqc.saved", "haqc.sweeper"):
            patch.setattr(f"{place}.WorkerPool", lambda count: InlinePool(jobs))
        yield jobs


def run(*arguments: str | Path) -> Outcome:
    """Runs one command line in this process."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="", write_through=True) for _ in range(2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["haqc", *map(str, arguments)])
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as end:
            main()
    assert isinstance(end.value.code, int)
    return Outcome(end.value.code, *(stream.buffer.getvalue().decode() for stream in (out, err)))


def tree(folder: Path) -> dict[str, bytes]:
    """Everything in a folder, by path; folders end in a slash."""
    return {
        f"{path.relative_to(folder)}{'/' * path.is_dir()}": b"" if path.is_dir() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
    }


@dataclass(frozen=True)
class Compiled:
    """The folder all tests share, and what the command that made it came to. Copy it before changing it."""

    folder: Path
    outcome: Outcome
    jobs: Jobs


@dataclass(frozen=True)
class CommandLine:
    """What tests call; a fixture, so that test files need not import this one."""

    digits: Path = DIGITS
    tiny: tuple[str, ...] = TINY

    def __call__(self, *arguments: str | Path) -> Outcome:
        """Runs one command line in this process; see :func:`run`."""
        return run(*arguments)

    def compile_digits(self, out: Path, *options: str | Path, budget: str = "energy=0.5") -> Outcome:
        """Compiles the digits for ``edge`` with the quickest settings."""
        return run("compile", DIGITS, *EDGE, "--budget", budget, "--out", out, *TINY, *options)

    def inline(self) -> contextlib.AbstractContextManager[Jobs]:
        """Has compiles run their jobs in this process; see :func:`inline_jobs`."""
        return inline_jobs()

    def tree(self, folder: Path) -> dict[str, bytes]:
        """Everything in a folder; see :func:`tree`."""
        return tree(folder)


@pytest.fixture(scope="session")
def haqc() -> Iterator[CommandLine]:
    """The command line."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield CommandLine()
    torch.set_num_threads(before)


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    """Runs the jobs of compiles in this process; gives the list of them."""
    with inline_jobs() as done:
        yield done


@pytest.fixture(scope="session")
def compiled(haqc: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    """The digits, compiled once."""
    folder = tmp_path_factory.mktemp("compiled") / "digits.haqc"
    with inline_jobs() as done:
        outcome = haqc.compile_digits(folder)
    assert outcome.code == 0, outcome.err
    return Compiled(folder, outcome, done)
