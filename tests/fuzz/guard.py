"""Runs one case in a process of its own, with limits, and says what went wrong."""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from haqc.cli import main
from tests.command_line import inline_jobs
from tests.fuzz.case import CANARY, SECRET, Case
from tests.fuzz.watch import watch

CPU_S = 10
"""Seconds of processor time after which a case hangs."""

MEMORY_BYTES = 2 << 30
"""The most memory that a case may hold at a time, libraries included."""

_WALL_S = 300
_DEEP = Path("a", "b", "c", "in")  # a path that climbs three folders is still seen
_CODES = (0, 2, 3, 4)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a case came to.

    Attributes:
        code: exit code of the command; ``None`` when the process ended otherwise.
        failures: what must not happen and did; empty for a case that passed.
        message: what the command said last on standard error.
        cpu_s: processor time.
        memory_bytes: the most memory that it held.
    """

    code: int | None
    failures: tuple[str, ...]
    message: str
    cpu_s: float
    memory_bytes: int


def run(case: Case) -> Verdict:
    """Runs a case; the process that calls has loaded what cases need, because each case is a fork of it."""
    with tempfile.TemporaryDirectory(prefix="haqc-fuzz-") as name:
        base = Path(os.path.realpath(name))
        folder = base / _DEEP
        folder.mkdir(parents=True)
        case.write(folder)
        (base / SECRET).write_bytes(b"\0" * 65536)
        (folder.parent / SECRET).write_bytes(b"\0" * 65536)
        (folder / f"{CANARY}.py").write_text("open('../imported', 'w').close()\n", encoding="utf-8")
        before = _tree(base)
        verdict = _forked(case, folder)
        touched = tuple(
            f"touches {name}" for name in sorted({name for name, _ in before.items() ^ _tree(base).items()})
        )
        return Verdict(
            verdict.code, (*verdict.failures, *touched), verdict.message, verdict.cpu_s, verdict.memory_bytes
        )


def _tree(base: Path) -> dict[str, tuple[int, int]]:
    """Gives size and time of everything that a case may not change."""
    kept = base / _DEEP
    allowed = (kept / "out", base / "cache", base / "tmp")
    found = {}
    for folder, folders, files in os.walk(base):
        folders[:] = [name for name in folders if Path(folder, name) not in allowed]
        for name in files:
            status = Path(folder, name).lstat()
            found[str(Path(folder, name).relative_to(base))] = status.st_size, status.st_mtime_ns
    return found


def _forked(case: Case, folder: Path) -> Verdict:
    read, write = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os.close(read)
        try:
            _serve(case, folder, write)
        finally:
            os._exit(77)
    os.close(write)
    said = _drain(read, child)
    _, status, used = os.wait4(child, 0)
    content = json.loads(said.splitlines()[-1]) if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0 else {}
    failures = [*(json.loads(line)["failure"] for line in said.splitlines() if line.startswith('{"failure"'))]
    if not content:
        failures.append(_ended(status))
    cpu_s, memory = used.ru_utime + used.ru_stime, used.ru_maxrss * 1024
    if cpu_s > CPU_S:
        failures.append(f"takes {cpu_s:.1f} s of processor time")
    if memory > MEMORY_BYTES:
        failures.append(f"holds {memory >> 20} MiB")
    return Verdict(content.get("code"), tuple(failures), content.get("message", ""), cpu_s, memory)


def _drain(read: int, child: int) -> str:
    """Gives what the child wrote; a child that waits for something is killed in the end."""
    parts, end = [], time.monotonic() + _WALL_S
    while True:
        ready, _, _ = select.select([read], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            os.kill(child, signal.SIGKILL)
            break
        part = os.read(read, 65536)
        if not part:
            break
        parts.append(part)
    os.close(read)
    return b"".join(parts).decode("utf-8", "replace")


def _ended(status: int) -> str:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        hint = " (processor time)" if number == signal.SIGXCPU else ""
        return f"is ended by {signal.Signals(number).name}{hint}"
    return f"ends the process with {os.WEXITSTATUS(status)}"


def _serve(case: Case, folder: Path, write: int) -> None:
    """Runs in the child: sets limits, runs the command, reports in lines of JSON."""
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    base = folder.parents[len(_DEEP.parts) - 1]
    os.chdir(folder)
    for variable, name in (("XDG_CACHE_HOME", "cache"), ("HOME", "cache"), ("TMPDIR", "tmp")):
        (base / name).mkdir(exist_ok=True)
        os.environ[variable] = str(base / name)
    tempfile.tempdir = None
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(folder))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 1))
    grown = _virtual_bytes() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (grown, grown))

    def report(failure: str) -> None:
        os.write(write, json.dumps({"failure": failure}).encode() + b"\n")

    out = folder / "out"
    watch((out, base / "cache", base / "tmp", Path(os.devnull)), case.words, report)
    code, said = _command(case, report)
    os.write(write, b"\n" + json.dumps({"code": code, "message": said[-500:]}).encode() + b"\n")
    os._exit(0)


def _command(case: Case, report: Callable[[str], None]) -> tuple[int | None, str]:
    """Runs the command in this process; gives its exit code and what it said on standard error."""
    out, err = io.StringIO(), io.StringIO()
    code: int | None = None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        sys.argv = ["haqc", *case.words]
        try:
            with inline_jobs():
                main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException as error:  # whatever it is, it is what is sought
            report(_where(error))
    said = err.getvalue()
    if code is not None and code not in _CODES:
        report(f"exit code {code}: {said[-300:]}")
    if code in (2, 3, 4):
        *_, last = said.splitlines() or [""]
        if not last.startswith("haqc: "):
            report(f"exit code {code} without a sentence: {said[-300:]!r}")
        elif "Traceback" in said:
            report(f"a traceback on standard error: {said[-600:]}")
    if not all(c.isprintable() or c in "\n" for c in (out.getvalue() + said)) and "--toml" not in case.words:
        strange = next(c for c in out.getvalue() + said if not c.isprintable() and c != "\n")
        report(f"prints the character {strange!r}")
    return code, said


def _where(error: BaseException) -> str:
    """Gives the error, its causes, and the last places that each came through."""
    said = []
    cause: BaseException | None = error
    while cause is not None and len(said) < 4:
        frames = traceback.extract_tb(cause.__traceback__)[-4:]
        places = [f"{'/'.join(Path(frame.filename).parts[-3:])}:{frame.lineno}" for frame in reversed(frames)]
        first = next(iter(str(cause).splitlines()), "")[:200]
        said.append(f"{type(cause).__name__}: {first} ({' < '.join(places)})")
        cause = cause.__cause__ or cause.__context__
    return " | because of ".join(said)


def _virtual_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return pages * resource.getpagesize()
