"""Compiles the real networks without any training, at the bit operations that AIMET's mixed precision came to.

    python -m benchmarks.amp [--out build/amp] [--only resnet8] [--metric agreement] [--evaluations 16] [--jobs 1]
    python -m benchmarks.amp --aimet VENV/bin/python [--out build/amp] [--only resnet8]

Bit operations are multiply-accumulates x weight bits x activation bits, relative to 8/8 everywhere, pinned layers
included; ``benchmarks/bit_operations.toml`` is the target that prices just these. Each network is compiled twice: with
labels to score policies with, as AIMET had them, and without (``--metric agreement``), where the float network's word
is all that is known. Prints one line per compile, as Markdown, from the emitted file on the reported split; seconds
are of the processor, of all processes, and of the clock. With ``--aimet``, an environment that has
``aimet-onnx==2.42.0``, it is AIMET that runs: it calibrates with the same samples, and searches with the same images
and 3,000 training images beside them, 5,000 in all. What it had come to elsewhere stands in :data:`SHARES`.
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
from benchmarks.zoo.command import haqc, measured
from haqc import data
from haqc.frontend import Front
from haqc.runtime import Runtime

TARGET = Path(__file__).with_name("bit_operations.toml")
SHARES = {"resnet8": 0.712, "fashion": 0.423}
METRICS = ("top-1", "agreement")
_FIGURES = ("bit operations", "images", "float", "emitted", "difference", "jobs", "CPU s", "clock s")
TITLES = ("network", "scored with", *_FIGURES)
RUN = 250
TOOL = Path(__file__).parent / "peers" / "tools" / "aimet_amp.py"
CALIBRATION, SEARCH = 512, 5_000
"""Samples that AIMET calibrates with, and images that it searches with."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("build/amp"))
    parser.add_argument("--only", choices=tuple(SHARES))
    parser.add_argument("--metric", choices=METRICS)
    parser.add_argument("--evaluations", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes that evaluate")
    parser.add_argument("--aimet", type=Path, help="Python of the environment that has AIMET")
    arguments = parser.parse_args()
    print(markdown.head(TITLES))
    for network in real_networks(arguments.out):
        if arguments.aimet is not None:
            if arguments.only in (None, network.name):
                print(aimet_row(network, arguments.aimet, arguments.out / f"{network.name}-aimet"), flush=True)
            continue
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
        kept.write_text(json.dumps(_measured(network, folder, json.loads(run.output)) | spent))
    scored = "labels" if metric == "top-1" else "agreement"
    return _line(network.name, scored, json.loads(kept.read_text()))


def aimet_row(network: Network, python: Path, folder: Path) -> str:
    """Runs AIMET, unless that was done before, and gives the line of the table."""
    kept = folder.with_suffix(".json")
    if not kept.is_file():
        dataset, name = _dataset(network), Front.read(network.model).model.graph.inputs[0].name
        search, train = dataset.search.take(slice(0, SEARCH)), dataset.train
        more = train.take(slice(len(train) - SEARCH + len(search), len(train)))
        assert search.labels is not None
        assert more.labels is not None
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(
            folder / "samples.npz",
            calibration=train.inputs(slice(0, CALIBRATION))[0],
            search=np.concatenate([each.inputs(slice(0, len(each)))[0] for each in (search, more)]),
            labels=np.concatenate([search.labels, more.labels]),
            reported=dataset.reported.inputs(slice(0, len(dataset.reported)))[0],
        )
        words = {"model": str(network.model), "input": name, "data": str(folder / "samples.npz")}
        (folder / "job.json").write_text(json.dumps(words), encoding="utf-8")
        run = measured(python, TOOL, folder)
        if run.code:
            sys.exit(f"AIMET ended with {run.code}: {run.last_line}")
        found = json.loads((folder / "done.json").read_text(encoding="utf-8"))
        right = np.load(folder / "reported.npy").argmax(axis=1) == dataset.reported.labels
        spent = {"share": found["share"], "jobs": "its own", "cpu_s": run.cpu_s, "clock_s": run.clock_s}
        kept.write_text(json.dumps(_compared(_right(network.model, dataset), 100.0 * right) | spent))
    return _line(network.name, "AIMET", json.loads(kept.read_text()))


def _line(name: str, scored: str, cell: dict[str, Any]) -> str:
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
    return "| " + " | ".join((name, scored, *figures)) + " |"


def _measured(network: Network, folder: Path, report: dict[str, Any]) -> dict[str, Any]:
    """Gives what the emitted file gets right of the reported split, by its labels, whatever it was searched with."""
    dataset = _dataset(network)
    cost = report["cost"]
    share = cost["policy"]["energy_j"] / cost["baseline"]["energy_j"]
    return {"share": share} | _compared(*(_right(file, dataset) for file in (network.model, folder / "model.onnx")))


def _dataset(network: Network) -> data.Dataset:
    return data.load(str(network.data), Front.read(network.model).inputs({}), network.model, seed=0)


def _right(file: Path, dataset: data.Dataset) -> np.ndarray:
    """Gives 100 for each sample of the reported split that a file gets right, else 0."""
    model = Runtime(file)
    found = model.output(model.outputs[0], dataset.reported, RUN)
    return np.asarray(100.0 * (found.argmax(axis=1) == dataset.reported.labels))


def _compared(floating: np.ndarray, quantised: np.ndarray) -> dict[str, Any]:
    difference = quantised - floating
    return {
        "count": len(difference),
        "float": float(floating.mean()),
        "emitted": float(quantised.mean()),
        "difference": float(difference.mean()),
        "paired_standard_error": float(difference.std(ddof=1) / np.sqrt(len(difference))),
    }


if __name__ == "__main__":
    main()
