"""Compiles the real networks of ``../shared/data`` at the budgets whose figures the README claims.

    python benchmarks/networks.py [--out build/networks] [--only resnet8] [--only cloud] [--seed 1]

Prints one line per compile, as Markdown: network, target, budget, what the budget came to, the float network, the float
network fine-tuned by the same recipe, the emitted file (all on the reported split), the difference with its paired
standard error, who found the policy, the mean bits, and the seconds. A finished compile is not run again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"

FASHION = """format = "idx"
path = "{path}"
scale = 0.00392156862745098
mean = 0.2860
std = 0.3530
"""


@dataclass(frozen=True, slots=True)
class Network:
    """A network and its data."""

    name: str
    model: Path
    data: Path


@dataclass(frozen=True, slots=True)
class Cell:
    """One compile."""

    network: Network
    target: str
    budget: str
    seed: int = 0

    @property
    def name(self) -> str:
        """Name of its folder."""
        seed = f"-seed{self.seed}" if self.seed else ""
        return f"{self.network.name}-{self.target}-{self.budget.replace('=', '-')}{seed}"


def real_networks(out: Path) -> tuple[Network, ...]:
    """Gives the networks, and writes what describes their data into a folder."""
    if not SHARED.is_dir():
        sys.exit(f"{SHARED} is not there; this benchmark needs the shared data")
    out.mkdir(parents=True, exist_ok=True)
    description = out / "fashion.toml"
    description.write_text(FASHION.format(path=SHARED / "fashion-mnist"))
    return (
        Network("resnet8", SHARED / "resnet8-cifar10" / "resnet8.onnx", SHARED / "resnet8-cifar10" / "cifar10.npz"),
        Network("fashion", SHARED / "fashion-mobilenet" / "fashion_mobilenet.onnx", description),
    )


def main() -> None:
    """Runs the cells that are asked for, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path("build/networks"))
    parser.add_argument("--only", action="append", default=[], help="run only cells whose name contains this (and all)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    networks = real_networks(arguments.out)
    budgets = (("edge", "energy=0.5"), ("cloud", "latency=0.51"), ("edge", "latency=0.51"), ("cloud", "size=0.5"))
    titles = (
        "network",
        "target",
        "budget",
        "reached",
        "float",
        "float fine-tuned",
        "emitted",
        "difference",
        "found by",
        "bits",
        "s",
    )
    print("| " + " | ".join(titles) + " |")
    print("|" + "---|" * len(titles))
    for network in networks:
        for target, budget in budgets:
            cell = Cell(network, target, budget, arguments.seed)
            if all(word in cell.name for word in arguments.only):
                print(_row(cell, _compiled(cell, arguments.out / cell.name)), flush=True)


def _compiled(cell: Cell, folder: Path) -> dict[str, Any]:
    report = folder / "report.json"
    if not report.is_file():
        command = ["compile", cell.network.model, "--data", cell.network.data, "--target", cell.target]
        command += ["--budget", cell.budget, "--seed", cell.seed, "--out", folder, "--resume", "--quiet"]
        subprocess.run([sys.executable, "-m", "haqc", *map(str, command)], check=True)
    content: dict[str, Any] = json.loads(report.read_text())
    return content


def _row(cell: Cell, report: dict[str, Any]) -> str:
    accuracy, layers = report["accuracy"], report["layers"]
    limit = report["cost"]["budget"][0]
    field = {"energy": "energy_j", "latency": "latency_s", "size": "weight_bytes"}[limit["metric"]]
    before = report["cost"]["baseline"][field]
    finder = next(entry["name"] for entry in report["allocators"] if entry["emitted"])
    macs = sum(layer["macs"] for layer in layers)
    bits = [sum(layer["macs"] * layer[kind] for layer in layers) / macs for kind in ("weight_bits", "activation_bits")]
    cells = (
        cell.network.name,
        cell.target,
        cell.budget,
        f"{limit['value'] / before:.4f}",
        f"{accuracy['float']:.2f}",
        f"{accuracy['float_finetuned']:.2f}",
        f"{accuracy['emitted']:.2f}",
        f"{accuracy['difference']:+.2f} ± {accuracy['paired_standard_error']:.2f}",
        finder,
        f"{bits[0]:.2f}/{bits[1]:.2f}",
        f"{report['seconds']['total']:.0f}",
    )
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
