"""Times whole processes, Python's start included: ``haqc --help`` and ``haqc cost`` of MobileNet-V2.

``python -m benchmarks.startup [--runs 5]``. The least of the runs counts, by the clock and by the processor; the ratio
is to a Python that does nothing.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import onnx

from models.build import build


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "mobilenet-v2.onnx"
        onnx.save(build("mobilenet-v2"), model)
        haqc = [sys.executable, "-m", "haqc"]
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "haqc --help": [*haqc, "--help"],
            "haqc cost mobilenet-v2.onnx -t edge": [*haqc, "cost", str(model), "-t", "edge"],
        }
        nothing = 0.0
        print("| command | clock s | processor s | x nothing |")
        print("|---|---|---|---|")
        for name, command in commands.items():
            timed = [once(command) for _ in range(runs)]
            clock_s, processor_s = (min(column) for column in zip(*timed, strict=True))
            nothing = nothing or processor_s
            print(f"| `{name}` | {clock_s:.2f} | {processor_s:.2f} | {processor_s / nothing:.0f} |")


def once(command: Sequence[str]) -> tuple[float, float]:
    """Runs a command and gives its seconds, by the clock and of the processor."""
    before, began_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - began_s, spent_s


if __name__ == "__main__":
    main()
