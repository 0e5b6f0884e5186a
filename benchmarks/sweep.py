"""What a front from one search costs beside as many compiles, and what its points are worth beside theirs.

    python -m benchmarks.sweep [MODEL] [--points 8] [options of haqc compile]

Both run one worker process; what counts is processor time, with all children. Every compile has the budget of one
point, and the allowance of evaluations that the sweep shares out among all its points.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SMALL = ("--finetune", "16", "--final-finetune", "1000", "--evaluations", "24")
"""Allowances in about the proportions of the defaults, a sixtieth of their length."""


def main() -> None:
    """Prints a row for each point, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="models/digits.onnx")
    parser.add_argument("--target", default="edge")
    parser.add_argument("--metric", default="energy")
    parser.add_argument("--points", type=int, default=8)
    given, options = parser.parse_known_args()
    common = [given.model, "--target", given.target, "--jobs", "1", "--quiet", *(options or SMALL)]
    with tempfile.TemporaryDirectory() as place:
        out = Path(place)
        swept_s = seconds("sweep", *common, "--metric", given.metric, "--points", str(given.points), out=out / "front")
        front = read(out / "front" / "front.json")
        emitted = [point for point in front["points"] if point["feasible"]]
        print(f"{'budget':16}{'sweep':>9}{'search':>9}{'compile':>9}{'search':>9}{'CPU s':>9}")
        compiled_s = 0.0
        for index, point in enumerate(emitted):
            folder = out / str(index)
            took_s = seconds("compile", *common, "--budget", point["budget"], out=folder)
            compiled_s += took_s
            own, alone = point["accuracy"], read(folder / "report.json")["accuracy"]
            figures = (own["emitted"], own["search"], alone["emitted"], alone["search"]["mirror"], took_s)
            print(f"{point['budget']:16}" + "".join(f"{figure:9.2f}" for figure in figures), flush=True)
    print(f"sweep {swept_s:.1f} s, {len(emitted)} compiles {compiled_s:.1f} s: a share of {swept_s / compiled_s:.3f}")
    print(f"{front['evaluations']} policies evaluated in the sweep")


def seconds(command: str, *words: str, out: Path) -> float:
    """Gives the processor time that a command takes, in seconds, with all its children."""
    before = os.times()
    subprocess.run([sys.executable, "-m", "haqc", command, *words, "--out", str(out)], check=True)
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system


def read(path: Path) -> Any:
    """Reads a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
