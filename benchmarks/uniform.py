"""Measures uniform widths on the real networks of ``../shared/data``, with and without training.

    python -m benchmarks.uniform [--out build/uniform] [--only resnet8] [--only W4A4] [--samples 600000] [--seed 1]

First and last layers are at 8/8, as by default, and so is what only sums and poolings read. Each cell is what
``haqc compile`` gives a policy, without a search: *calibrated* alone, *reconstructed* (what a compile without training
does), fine-tuned with *labels*, or by *distilled* outputs alone (``--label-share 0``). Figures are of the emitted file
in onnxruntime on the reported split, which chose nothing. The reference is DESIGN's: the better of the float network
and the float network fine-tuned by the same recipe, which is trained once for all cells of a network. A cell that is
done is read from its file; ``--print`` measures nothing.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import markdown
from benchmarks.kept import kept
from benchmarks.networks import Network, real_networks
from haqc import data, onnxfile, targets
from haqc.budget import Demand
from haqc.effort import Effort
from haqc.folder import OutputFolder
from haqc.frontend import Front, shapes_of
from haqc.mirror import Mirror, from_onnx
from haqc.mirror.quantised import QuantisedMirror
from haqc.passes.emit import emit_qcdq
from haqc.plan import CLOSING_FACTOR, Plan
from haqc.policy import Policy
from haqc.preparation import grids, prepare, start_at
from haqc.problem import Problem
from haqc.request import Request
from haqc.runtime import Runtime
from haqc.samples import Samples
from haqc.train import outputs
from haqc.tuned import Tuned
from haqc.workbench import Bench, Worker

WIDTHS = ("W8A8", "W6A6", "W4A8", "W4A4", "W3A3", "W2A4")
WAYS = ("calibrated", "reconstructed", "unlabelled", "labels", "distilled")
RECONSTRUCT = 9_600
"""Samples on which each stretch of networks of this size is fitted."""

TITLES = ("network", "widths", "way", "reference", "emitted", "difference", "search split", "CPU s")


class Silent:
    """Says nothing and shows nothing."""

    def say(self, text: str) -> None:
        """Drops a line."""

    def task(self, name: str, total: int) -> Silent:
        """Gives a bar that is not shown."""
        return self

    def advance(self, count: int = 1, note: str = "") -> None:
        """Drops progress."""


@dataclass(frozen=True)
class Subject:
    """A network, trained in one way.

    Attributes:
        network: the network and its data.
        way: one of :data:`WAYS`.
        out: where float networks are kept.
        length: training samples of each network, the float one too; ``None`` for as many as a compile takes.
        seed: of the order of the samples, and whatever else is drawn.
    """

    network: Network
    way: str
    out: Path
    length: int | None = None
    seed: int = 0

    @cached_property
    def request(self) -> Request:
        """What a compile would be asked."""
        share = {"labels": None, "distilled": 0.0}.get(self.way)
        trains = self.way in ("labels", "distilled")
        demands = (Demand.parse("energy=1.0"),)
        source = str(self.network.data)
        request = Request(self.network.model, "edge", demands, self.out, data=source, label_share=share, seed=self.seed)
        if self.way == "unlabelled":  # what a compile does where there are no labels
            length = CLOSING_FACTOR * RECONSTRUCT if self.length is None else self.length
            return replace(request, finetune=0, final_finetune=length, label_share=0.0)
        return (
            replace(request, final_finetune=self.length) if trains else replace(request, finetune=0, final_finetune=0)
        )

    @cached_property
    def problem(self) -> Problem:
        """The layers, and the widths that they may have."""
        front = Front.read(self.network.model)
        graph = front.graph(front.bound(shapes_of(self.dataset, front.model)))
        return Problem.of(self.request, front.model, graph, targets.load("edge"))

    @cached_property
    def dataset(self) -> data.Dataset:
        """The data."""
        specs = Front.read(self.network.model).inputs({})
        return data.load(self.request.data, specs, self.network.model, seed=self.request.seed)

    @cached_property
    def plan(self) -> Plan:
        """The recipes."""
        return Plan.of(self.request, self.effort, self.dataset, has_targets=self.samples.has_targets)

    @cached_property
    def effort(self) -> Effort:
        """The counts."""
        return Effort.of(self.problem.graph, sum(len(choice.widths) for choice in self.problem.space.free))

    @cached_property
    def samples(self) -> Samples:
        """The data and how they are scored."""
        return Samples.judge(self.dataset, self.network.model, self.problem.model, self.effort, None, Silent())

    @cached_property
    def mirror(self) -> Mirror:
        """The network in torch."""
        return from_onnx(self.problem.model)

    @cached_property
    def bench(self) -> Bench:
        """What the jobs read: at the fine-tuned float network, where there is one."""
        bench = prepare(self.request, self.problem, self.samples, self.plan)
        if self.plan.start.samples:
            bench = start_at(bench, self.mirror, self._kept("start", replace(bench, long=self.plan.start)))
        folder = OutputFolder(self.out / f"{self.network.name}-{self.way}")
        grid = grids(self.request, self.mirror, self.problem.space, bench, self.effort, folder)
        return replace(bench, calibration=grid)

    @cached_property
    def reference(self) -> np.ndarray:
        """What the better float network gets right of the reported split, shape ``[N]``."""
        right = [self._right(self.samples.runtime)]
        if self.way == "labels":
            tuned = self._kept("float", self.bench)
            mirror = from_onnx(self.problem.model)
            mirror.load(tuned.state.parameters)
            found = outputs(mirror, self.samples.logits, self.dataset.reported, self.effort.run)
            right.append(found.argmax(axis=1) == self.dataset.reported.labels)
        return max(right, key=np.mean)

    def measure(self, widths: str) -> dict[str, Any]:
        """Gives the content of one cell."""
        bench, policy = self.bench, self.problem.space.uniform(int(widths[1]), int(widths[3]))
        begun_s = time.process_time()
        network = QuantisedMirror(self.mirror, policy, bench.calibration)
        tuned = self._tuned(policy)
        if tuned is not None:
            network.load(tuned.state)
        spent_s = time.process_time() - begun_s
        model = emit_qcdq(self.problem.model, policy, network.codes(), {})
        right = self._right(Runtime(onnxfile.serialise(model)))
        emitted, reference = 100.0 * right, 100.0 * self.reference
        difference = emitted - reference
        return {
            "network": self.network.name,
            "widths": widths,
            "way": self.way,
            "reference": float(reference.mean()),
            "emitted": float(emitted.mean()),
            "difference": float(difference.mean()),
            "paired_standard_error": float(difference.std(ddof=1) / np.sqrt(len(difference))),
            "search": None if tuned is None else tuned.accuracy,
            "search_float": self.samples.search.float_value,
            "cpu_s": spent_s,
            "wrong": np.flatnonzero(~right).tolist(),
        }

    def _tuned(self, policy: Policy) -> Tuned | None:
        """Gives what training makes of a policy, as a compile does."""
        worker, arguments = Worker(self.bench), (dict(policy.widths), lambda samples: None)
        match self.way:
            case "calibrated":
                return None
            case "reconstructed" | "unlabelled":
                return worker.shift(*arguments).beside(worker.recover(*arguments))
            case _:
                return worker.tune(*arguments)

    def _right(self, model: Runtime) -> np.ndarray:
        found = model.output(self.samples.search.outputs[0], self.dataset.reported, self.effort.run)
        return np.asarray(found.argmax(axis=1) == self.dataset.reported.labels)

    def _kept(self, name: str, bench: Bench) -> Tuned:
        """Gives a float network trained before, or trains it."""
        folder = OutputFolder(self.out / f"{self.network.name}-{self.way}")
        folder.state.mkdir(parents=True, exist_ok=True)
        kept = folder.load_tuned(name)
        if kept is None:
            begun_s = time.process_time()
            kept = Worker(bench).tune_float(lambda samples: None)
            folder.save_tuned(name, kept)
            folder.save_table(f"{name}.json", [[time.process_time() - begun_s, kept.accuracy]])
        return kept


def main() -> None:
    """Measures the cells that are asked for, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path("build/uniform"))
    parser.add_argument("--only", action="append", default=[], help="only cells whose name contains this (and all)")
    parser.add_argument("--samples", type=int, help="training samples of each network; kept in a folder of their own")
    parser.add_argument("--seed", type=int, default=0, help="those but 0 are kept in a folder of their own")
    parser.add_argument("--print", action="store_true", help="measure nothing; print what was measured")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    out = arguments.out if arguments.samples is None else arguments.out / str(arguments.samples)
    out = out / f"seed{arguments.seed}" if arguments.seed else out
    print(markdown.head(TITLES))
    for network in real_networks(out):
        for way in WAYS:
            subject = Subject(network, way, out, arguments.samples, arguments.seed)
            for widths in WIDTHS:
                name = f"{network.name}-{widths}-{way}"
                if all(word in name for word in arguments.only):
                    print(_row(network.name, widths, way, _cell(subject, widths, name, arguments.print)), flush=True)


def _cell(subject: Subject, widths: str, name: str, is_given: bool) -> dict[str, Any] | None:
    file = subject.out / f"{name}.json"
    if is_given and not file.is_file():
        return None
    content: dict[str, Any] = kept(file, lambda: subject.measure(widths))
    return content


def _row(network: str, widths: str, way: str, cell: dict[str, Any] | None) -> str:
    if cell is None:
        return f"| {network} | {widths} | {way} |" + " not measured |" * (len(TITLES) - 3)
    search = "" if cell["search"] is None else f"{cell['search']:.2f} ({cell['search_float']:.2f})"
    figures = (
        f"{cell['reference']:.2f}",
        f"{cell['emitted']:.2f}",
        f"{cell['difference']:+.2f} ± {cell['paired_standard_error']:.2f}",
        search,
        f"{cell['cpu_s']:.0f}",
    )
    return "| " + " | ".join((network, widths, way, *figures)) + " |"


if __name__ == "__main__":
    main()
