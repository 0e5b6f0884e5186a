"""Worker processes: one thread each, jobs in, results out in the order of the jobs, whatever their number."""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import multiprocessing.resource_tracker
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from haqc.device import settle
from haqc.errors import HaqcError
from haqc.workbench import Bench, Worker

_ENVIRONMENT = {
    # One thread in every numerical library; a second one beside a busy core is far slower.
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # glibc keeps what is freed: handing tensors back to the system and taking them anew costs more than computing them.
    "MALLOC_MMAP_THRESHOLD_": str(1 << 26),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 28),
}


@dataclass(frozen=True, slots=True)
class Job:
    """One call of a method of :class:`haqc.workbench.Worker`.

    Attributes:
        method: its name.
        arguments: what it is called with.
        samples: how many it reports until it is done, where somebody wants to know that beforehand.
    """

    method: str
    arguments: tuple[Any, ...] = ()
    samples: int = 0


@dataclass(frozen=True, slots=True)
class _Message:
    """What a worker sends: samples done so far, a result, or a failure."""

    kind: str
    content: Any


class WorkerPool:
    """Runs jobs on a bench in ``count`` processes. A context manager; leaving it ends the processes.

    They start at once, all together, and load their libraries while the bench is still being made.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._bench: Bench | None = None
        self._equipped: set[multiprocessing.connection.Connection] = set()
        self._running: dict[multiprocessing.connection.Connection, int] = {}
        self._connections: list[multiprocessing.connection.Connection] = []
        self._processes: list[multiprocessing.process.BaseProcess] = []
        self._is_whole = False

    def __enter__(self) -> WorkerPool:
        context = multiprocessing.get_context("spawn")
        for _ in range(self._count):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs,), daemon=True)
            with _environment(), _without_interrupts(), _main_left_alone():
                process.start()
            theirs.close()
            self._connections.append(ours)
            self._processes.append(process)
        self._is_whole = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_whole = False
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join()
        for connection in self._connections:
            connection.close()
        self._processes.clear()
        self._connections.clear()
        self._running.clear()
        self._equipped.clear()

    def use(self, bench: Bench) -> None:
        """Has the jobs from now on read a bench; each process gets it with its first job, for it may be large."""
        self._bench = bench
        self._equipped.clear()

    def restart(self) -> None:
        """Ends the processes, whatever they are doing, and starts fresh ones: after Ctrl-C their answers are stale."""
        self.__exit__(None, None, None)
        self.__enter__()

    def run(
        self,
        jobs: Sequence[Job],
        advance: Callable[[int], None] = lambda samples: None,
        finished: Callable[[int, Any], None] = lambda index, result: None,
    ) -> list[Any]:
        """Runs jobs and gives their results in the order of the jobs.

        What still runs when this raises is abandoned: the next call starts with fresh processes.

        Args:
            jobs: what to run.
            advance: called with the number of samples whenever a worker reports some.
            finished: called with a job's place and its result as soon as that is there, in the order in which jobs end.

        Raises:
            HaqcError: what a job raised.
            RuntimeError: a worker died, or a job failed through a bug of ours.
        """
        if self._running or not self._is_whole:  # a second Ctrl-C may come while the first has them start anew
            self.restart()
        running = self._running
        results: list[Any] = [None] * len(jobs)
        waiting = list(enumerate(jobs))[::-1]
        for connection in self._connections:
            self._hand_out(connection, waiting)
        while running:
            for ready in multiprocessing.connection.wait(list(running)):
                assert isinstance(ready, multiprocessing.connection.Connection)
                message = _receive(ready)
                if message.kind == "progress":
                    advance(message.content)
                    continue
                index = running.pop(ready)
                if message.kind == "failure":
                    raise message.content
                results[index] = message.content
                self._hand_out(ready, waiting)
                finished(index, message.content)
        return results

    def _hand_out(self, connection: multiprocessing.connection.Connection, waiting: list[tuple[int, Job]]) -> None:
        if not waiting:
            return
        index, job = waiting.pop()
        self._running[connection] = index
        try:
            if connection not in self._equipped:
                connection.send(self._bench)
                self._equipped.add(connection)
            connection.send(job)
        except OSError as error:
            raise _died() from error


def usable_cpus() -> int:
    """Gives the number of processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def usual_count(device: str) -> int:
    """Gives the processes that are started where no number is asked for: one in all that share a graphics processor."""
    return usable_cpus() if device == "cpu" else 1


def _receive(connection: multiprocessing.connection.Connection) -> _Message:
    try:
        message = connection.recv()
    except (EOFError, OSError) as error:
        raise _died() from error
    assert isinstance(message, _Message)
    return message


def _died() -> RuntimeError:
    return RuntimeError("a worker process died; there may be too little memory: try fewer --jobs")


def _serve(connection: multiprocessing.connection.Connection) -> None:
    """Runs in the worker process until it is told to end: each job on the bench that came last."""
    import torch  # noqa: PLC0415 (only workers need it at once)

    torch.set_num_threads(1)
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            content = connection.recv()
            if isinstance(content, Bench):
                settle(content.device)
                worker = Worker(content)
            else:
                connection.send(
                    _answer(worker, content, lambda samples: connection.send(_Message("progress", samples)))
                )


def _answer(worker: Worker, job: Job, advance: Callable[[int], None]) -> _Message:
    try:
        return _Message("result", getattr(worker, job.method)(*job.arguments, advance))
    except HaqcError as error:
        return _Message("failure", error)
    except Exception as error:  # carried over to the parent, which raises it
        return _Message("failure", RuntimeError(f"{job.method} failed: {type(error).__name__}: {error}"))


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Starts children that never see Ctrl-C: they inherit the blocked signal, and the parent gets it afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    multiprocessing.resource_tracker.ensure_running()  # it would unblock the signal again when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """Sets what children read when they start, and sets it back."""
    before = {name: os.environ.get(name) for name in _ENVIRONMENT}
    os.environ.update(_ENVIRONMENT)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _main_left_alone() -> Iterator[None]:
    """Has new processes not import the program that started them: a user's script would compile again in each."""
    main = sys.modules["__main__"]
    hidden = {name: vars(main)[name] for name in ("__file__", "__spec__") if vars(main).get(name) is not None}
    for name in hidden:
        setattr(main, name, None)
    try:
        yield
    finally:
        for name, value in hidden.items():
            setattr(main, name, value)
