"""Quantises two real networks by other tools, each in its own environment, and scores what comes out.

    python -m benchmarks.peers --aimet VENV/bin/python --nncf VENV/bin/python [--out build/peers] [--only resnet8]

where the environments have ``aimet-onnx==2.42.0`` and ``nncf==3.4.0 onnx onnxruntime``; onnxruntime's own quantiser
runs in this one. Every tool gets the same 512 training samples to calibrate with. Where a tool has several methods,
the search split chooses, as its user would; the reported split is read by the chosen one. AIMET is run twice: as it
comes, which quantises everything at the stated width, and with the widths of tensors that haqc pins at 8 bits. What
was done is kept, and not done again. Beside each stands haqc without training at the same widths, from the cells that
``python -m benchmarks.uniform --only reconstructed`` measured, and the difference with its paired standard error.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.networks import Network, real_networks
from haqc import data
from haqc.frontend import Front
from haqc.policy import Space
from haqc.precision import Precision

CELLS = ((8, 8), (6, 6), (4, 8), (4, 4), (3, 3), (2, 4))
CALIBRATION = 512
SEARCH = 2_000
TOOLS = Path(__file__).parent / "tools"
ROUNDING_WEIGHTS = 4
"""AIMET's learned rounding and its search of weight ranges take minutes; they run where weights have so few bits."""


@dataclass(frozen=True, slots=True)
class Run:
    """One tool, one of its methods, at one pair of widths."""

    tool: str
    recipe: str
    weights: int
    activations: int
    pinned: bool = False

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"{self.tool}-{self.recipe}-W{self.weights}A{self.activations}{'-pinned' if self.pinned else ''}"

    @property
    def row(self) -> str:
        """What stands in the table, whatever method was chosen."""
        return f"{self.tool}{', pins of haqc' if self.pinned else ''}"


def runs() -> Iterator[Run]:
    """Gives everything to run for one network."""
    for recipe in ("minmax", "entropy", "percentile"):
        yield Run("onnxruntime_static", recipe, 8, 8)
    for recipe in ("performance", "mixed"):
        yield Run("nncf_quantize", recipe, 8, 8)
    for weights, activations in CELLS:
        for pinned in (False, True):
            for recipe in ("min_max", "tf_enhanced", "tf_enhanced+cle"):
                yield Run("aimet", recipe, weights, activations, pinned)
            if weights <= ROUNDING_WEIGHTS:
                for recipe in ("seqmse", "adaround"):
                    yield Run("aimet", recipe, weights, activations, pinned)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("build/peers"))
    parser.add_argument("--aimet", type=Path, help="Python of the environment that has AIMET")
    parser.add_argument("--nncf", type=Path, help="Python of the environment that has NNCF")
    parser.add_argument("--uniform", type=Path, default=Path("build/uniform"), help="cells of benchmarks.uniform")
    parser.add_argument("--only", choices=("resnet8", "fashion"))
    parser.add_argument("--match", default="", help="run only what has this in its name, for example aimet or W4A4")
    arguments = parser.parse_args()
    pythons = {"aimet": arguments.aimet, "nncf_quantize": arguments.nncf, "onnxruntime_static": Path(sys.executable)}
    for network in real_networks(arguments.out):
        if arguments.only in (None, network.name):
            _network(network, arguments.out.resolve() / network.name, pythons, arguments.match, arguments.uniform)


def _network(network: Network, folder: Path, pythons: dict[str, Path | None], match: str, uniform: Path) -> None:
    front = Front.read(network.model)
    dataset = data.load(str(network.data), front.inputs(), network.model)
    search, reported = dataset.search.take(slice(0, SEARCH)), dataset.reported
    assert search.labels is not None
    assert reported.labels is not None
    samples = folder / "samples.npz"
    if not samples.exists():
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(
            samples,
            calibration=dataset.train.inputs(slice(0, CALIBRATION))[0],
            search=search.inputs(slice(0, SEARCH))[0],
            reported=reported.inputs(slice(0, len(reported)))[0],
        )
    job = {"model": str(network.model), "data": str(samples), "input": front.model.graph.inputs[0].name}
    rows: dict[tuple[str, int, int], list[tuple[float, Path, Run]]] = {}
    for run in runs():
        if match not in run.name:
            continue
        widths = _widths(front, run) if run.pinned else {}
        words = {"weights": run.weights, "activations": run.activations, "recipe": run.recipe, "widths": widths}
        where = folder / run.name
        if _done(pythons[run.tool], run, where, job | words):
            correct = np.load(where / "search.npy").argmax(axis=1) == search.labels
            rows.setdefault((run.row, run.weights, run.activations), []).append((correct.mean(), where, run))
    print(f"\n{network.name}\n\n| tool | widths | method | top-1 % | of | version | CPU s | haqc % | haqc ahead by |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for (row, weights, activations), found in rows.items():
        _, where, run = max(found, key=lambda one: one[0])
        correct = np.load(where / "reported.npy").argmax(axis=1) == reported.labels
        done = json.loads((where / "done.json").read_text(encoding="utf-8"))
        print(
            f"| {row} | W{weights}A{activations} | {run.recipe} | {100 * correct.mean():.2f} | {done['ran']} "
            f"| {done['version']} | {done['cpu_s']:.0f} "
            f"| {_ahead(uniform / f'{network.name}-W{weights}A{activations}-reconstructed.json', correct)} |"
        )


def _ahead(cell: Path, correct: np.ndarray) -> str:
    """Gives what haqc gets right of the reported split, and how much more that is, with its paired standard error."""
    if not cell.is_file():
        return "not measured |"
    own = np.ones(len(correct))
    own[json.loads(cell.read_text(encoding="utf-8"))["wrong"]] = 0
    difference = 100 * (own - correct)
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    return f"{100 * own.mean():.2f} | {difference.mean():+.2f} ± {error:.2f}"


def _done(python: Path | None, run: Run, where: Path, job: dict[str, Any]) -> bool:
    """Runs a tool in its environment unless it was run before; gives whether there is a result."""
    if (where / "done.json").exists():
        return True
    if python is None or (where / "failed.txt").exists():
        return False
    where.mkdir(parents=True, exist_ok=True)
    (where / "job.json").write_text(json.dumps(job), encoding="utf-8")
    done = subprocess.run(
        [python, TOOLS / f"{run.tool}.py", where], capture_output=True, text=True, check=False, env=_environment()
    )
    print(f"{where.parent.name}, {run.name}: {'done' if done.returncode == 0 else 'failed'}", flush=True)
    if done.returncode:
        (where / "failed.txt").write_text(done.stdout + done.stderr, encoding="utf-8")
    return done.returncode == 0


def _environment() -> dict[str, str]:
    return {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PATH": "/usr/bin:/bin", "HOME": str(Path.home())}


def _widths(front: Front, run: Run) -> dict[str, int]:
    """Gives the width of every tensor that haqc quantises in a uniform policy; no other one is quantised."""
    every = tuple(range(1, 9))
    space = Space.of(front.graph(front.bound()), Precision(every, every))
    wanted = {"weight": run.weights, "activation": run.activations}
    return {
        choice.operand.tensor: wanted[choice.operand.kind] if wanted[choice.operand.kind] in choice.widths else 8
        for choice in space.choices
    }


if __name__ == "__main__":
    main()
