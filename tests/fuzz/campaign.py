"""Runs cases one after the other, counts what they come to, and keeps those that fail."""

from __future__ import annotations

import json
import os
import pickle
import re
import resource
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.case import Case
from tests.fuzz.cases import make
from tests.fuzz.guard import Verdict, run


@dataclass(frozen=True, slots=True)
class Failure:
    """A case that failed, and how to have it again."""

    seed: int
    index: int
    case: Case
    verdict: Verdict

    @property
    def signature(self) -> str:
        """What failures of one cause have in common: the text without its numbers and names."""
        return re.sub(r"\d+|'[^']*'|\"[^\"]*\"", "#", "; ".join(self.verdict.failures))[:240]

    def keep(self, folder: Path) -> None:
        """Writes the case, and what it came to, below a folder."""
        own = folder / f"{self.seed}-{self.index}"
        self.case.write(own)
        content = {
            "words": self.case.words,
            "mutations": self.case.mutations,
            "failures": self.verdict.failures,
            "message": self.verdict.message,
            "cpu_s": self.verdict.cpu_s,
            "memory_bytes": self.verdict.memory_bytes,
        }
        (own / "verdict.json").write_text(json.dumps(content, indent=1), encoding="utf-8")


@dataclass
class Campaign:
    """What has been run.

    Attributes:
        cases: how many, by kind.
        codes: how many, by kind and exit code.
        failures: those that failed.
        unmade: cases that could not be made, because making them failed, or ONNX's own checker crashed on them.
        cpu_s: processor time of all cases.
        slowest_s, largest_bytes: the most that any case took.
    """

    cases: Counter[str] = field(default_factory=Counter)
    codes: Counter[tuple[str, int | None]] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    unmade: int = 0
    cpu_s: float = 0.0
    slowest_s: float = 0.0
    largest_bytes: int = 0

    def take(self, seed: int, index: int, case: Case, verdict: Verdict) -> None:
        """Counts a case."""
        self.cases[case.kind] += 1
        self.codes[case.kind, verdict.code] += 1
        self.cpu_s += verdict.cpu_s
        self.slowest_s = max(self.slowest_s, verdict.cpu_s)
        self.largest_bytes = max(self.largest_bytes, verdict.memory_bytes)
        if verdict.failures:
            self.failures.append(Failure(seed, index, case, verdict))

    def summary(self) -> str:
        """Says what was run and what failed."""
        lines = [
            f"{self.cases.total():,} cases ({self.unmade} not made), {self.cpu_s / 60:.1f} min of processor time, "
            f"slowest {self.slowest_s:.1f} s, largest {self.largest_bytes >> 20} MiB, {len(self.failures)} failed"
        ]
        for kind, count in sorted(self.cases.items()):
            codes = {code: number for (other, code), number in self.codes.items() if other == kind}
            listed = ", ".join(f"{code}: {number}" for code, number in sorted(codes.items(), key=str))
            lines.append(f"  {kind}: {count} (exit codes {listed})")
        causes = Counter(failure.signature for failure in self.failures)
        for signature, count in causes.most_common():
            first = next(failure for failure in self.failures if failure.signature == signature)
            words = " ".join(first.case.words)
            lines.append(f"{count} x {first.seed}:{first.index} [{words}] {'; '.join(first.verdict.failures)[:700]}")
        return "\n".join(lines)


def made(seed: int, index: int, kinds: tuple[str, ...]) -> Case | None:
    """Makes a case in a process of its own: ONNX's checker, which is asked whether a mutation is sound, may crash."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
            warnings.simplefilter("ignore")  # mutations overflow
            with os.fdopen(write, "wb") as stream:
                pickle.dump(make(seed, index, kinds), stream)
            os._exit(0)
        finally:
            os._exit(1)
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        content = stream.read()
    _, status = os.waitpid(child, 0)
    case = pickle.loads(content) if status == 0 else None
    assert case is None or isinstance(case, Case)
    return case


def campaign(
    seed: int, indices: Iterable[int], kinds: tuple[str, ...], minutes: float, notice: Callable[[Failure], None]
) -> Campaign:
    """Runs cases until they or the minutes are used up."""
    done, end = Campaign(), time.monotonic() + 60 * minutes
    for index in indices:
        if time.monotonic() > end:
            break
        case = made(seed, index, kinds)
        if case is None:
            done.unmade += 1
            continue
        before = len(done.failures)
        done.take(seed, index, case, run(case))
        for failure in done.failures[before:]:
            notice(failure)
    return done
