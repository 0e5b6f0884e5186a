"""Compiles the real networks without any training, at the bit operations that AIMET's mixed precision came to.

    python -m benchmarks.amp [--out build/amp] [--only resnet8] [--metric agreement] [--evaluations 16] [--jobs 1]

Bit operations are multiply-accumulates x weight bits x activation bits, relative to 8/8 everywhere, pinned layers
included; ``benchmarks/bit_operations.toml`` is the target that prices just these. Each network is compiled twice: with
labels to score policies with, as AIMET had them, and without (``--metric agreement``), where the float network's word
is all that is known. Prints one line per compile, as Markdown, from the emitted file on the reported split; seconds
are of the processor, of all processes, and of the clock. What AIMET 2.42.0 came to is in the table of
``docs/allocators.md``.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import markdown
from benchmarks.networks import Network, real_networks
from benchmarks.zoo.command import haqc
from haqc import data
from haqc.frontend import Front
from haqc.runtime import Runtime

TARGET = Path(__file__).with_name("bit_operations.toml")
SHARES = {"resnet8": 0.712, "fashion": 0.423}
METRICS = ("top-1", "agreement")
_FIGURES = ("bit operations", "images", "float", "emitted", "difference", "jobs", "CPU s", "clock s")
TITLES = ("network", "scored with", *_FIGURES)
RUN = 250


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("build/amp"))
    parser.add_argument("--only", choices=tuple(SHARES))
    parser.add_argument("--metric", choices=METRICS)
    parser.add_argument("--evaluations", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes that evaluate")
    arguments = parser.parse_args()
    print(markdown.head(TITLES))
    for network in real_networks(arguments.out):
        for metric in METRICS:
            if arguments.only in (None, network.name) and arguments.metric in (None, metric):
                name = f"{network.name}-{metric}-{arguments.evaluations}-{arguments.seed}-{arguments.jobs}"
                print(row(network, metric, arguments.out / name, arguments), flush=True)


def row(network: Network, metric: str, folder: Path, arguments: argparse.Namespace) -> str:
    """Compiles, unless that was done before, and gives the line of the table."""
    kept = folder.with_suffix(".json")
    if not kept.is_file():
        run = haqc(
            "compile", network.model, "--target", TARGET, "--budget", f"energy={SHARES[network.name]}",
            "--data", network.data, "--metric", metric, "--finetune", 0, "--seed", arguments.seed,
            "--evaluations", arguments.evaluations, "--out", folder, "--jobs", arguments.jobs, "--json",
            *(["--resume"] if folder.exists() else []),
        )  # fmt: skip
        if run.code:
            sys.exit(f"haqc compile ended with {run.code}: {run.last_line}")
        spent = {"jobs": arguments.jobs, "cpu_s": run.cpu_s, "clock_s": run.clock_s}
        kept.write_text(json.dumps(measured(network, folder, json.loads(run.output)) | spent))
    cell = json.loads(kept.read_text())
    figures = (
        f"{cell['share']:.4f}",
        f"{cell['count']:,}",
        f"{cell['float']:.2f}",
        f"{cell['emitted']:.2f}",
        f"{cell['difference']:+.2f} ± {cell['paired_standard_error']:.2f}",
        f"{cell['jobs']}",
        f"{cell['cpu_s']:.0f}",
        f"{cell['clock_s']:.0f}",
    )
    return "| " + " | ".join((network.name, "labels" if metric == "top-1" else "agreement", *figures)) + " |"


def measured(network: Network, folder: Path, report: dict[str, Any]) -> dict[str, Any]:
    """Gives what the emitted file gets right of the reported split, by its labels, whatever it was searched with."""
    dataset = data.load(str(network.data), Front.read(network.model).inputs({}), network.model, seed=0)
    right = []
    for file in (network.model, folder / "model.onnx"):
        model = Runtime(file)
        found = model.output(model.outputs[0], dataset.reported, RUN)
        right.append(100.0 * (found.argmax(axis=1) == dataset.reported.labels))
    difference = right[1] - right[0]
    return {
        "share": report["cost"]["policy"]["energy_j"] / report["cost"]["baseline"]["energy_j"],
        "count": len(difference),
        "float": float(right[0].mean()),
        "emitted": float(right[1].mean()),
        "difference": float(difference.mean()),
        "paired_standard_error": float(difference.std(ddof=1) / np.sqrt(len(difference))),
    }


if __name__ == "__main__":
    main()
