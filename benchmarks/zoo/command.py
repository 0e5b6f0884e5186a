"""Runs a command, such as haqc's own, as a process, and measures it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Run:
    """How a command ended.

    Attributes:
        code: exit code.
        output, errors: what it wrote on standard output and standard error.
        cpu_s: processor time of the process and of those that it waited for, in seconds.
        clock_s: what a clock beside it showed, in seconds.
        peak_bytes: largest resident memory of one process.
    """

    code: int
    output: str
    errors: str
    cpu_s: float
    clock_s: float
    peak_bytes: int

    @property
    def last_line(self) -> str:
        """The last line of standard error, or else of standard output: of a failed command, its reason."""
        lines = (self.errors.strip() or self.output.strip()).splitlines()
        return lines[-1].strip() if lines else ""


def haqc(*arguments: str | Path | int) -> Run:
    """Runs ``haqc`` with these arguments to its end."""
    return measured(sys.executable, "-m", "haqc", *arguments)


def measured(*arguments: str | Path | int) -> Run:
    """Runs a command to its end."""
    command = [*map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    begun_s = time.perf_counter()
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        clock_s = time.perf_counter() - begun_s
        process.returncode = os.waitstatus_to_exitcode(status)
        texts = []
        for stream in (output, errors):
            stream.seek(0)
            texts.append(stream.read().decode(errors="replace"))
    kilobytes = usage.ru_maxrss if sys.platform != "darwin" else usage.ru_maxrss // 1024
    return Run(process.returncode, texts[0], texts[1], usage.ru_utime + usage.ru_stime, clock_s, kilobytes * 1024)
