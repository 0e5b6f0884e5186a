"""What all cells of a network share: the fine-tuned float network, grids, sensitivities, prices."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from benchmarks.allocators.cells import SHARES, Cell
from benchmarks.allocators.effort import IMAGES
from benchmarks.networks import Network
from benchmarks.uniform import Silent, Subject
from haqc import stages, targets
from haqc.budget import Budget, Demand
from haqc.enlarge import enlarge
from haqc.folder import OutputFolder
from haqc.passes.search.feasibility import cheapest
from haqc.policy import Policy
from haqc.preparation import grids, prepare
from haqc.problem import Problem
from haqc.train import Recipe
from haqc.workbench import Bench, Worker
from haqc.workers import WorkerPool


@dataclass(frozen=True)
class Ground:
    """A network, prepared once as a compile with labels prepares it.

    Attributes:
        network: the network and its data.
        out: where what was prepared is kept.
        length: training samples of a compile; ``None`` for as many as it takes.
    """

    network: Network
    out: Path
    length: int | None = None

    @cached_property
    def subject(self) -> Subject:
        """The network with its data and recipes."""
        return Subject(self.network, "labels", self.out, self.length)

    @cached_property
    def whole(self) -> Bench:
        """What a compile's jobs read.

        What is learned from is kept, for it takes long: both float networks run over all training images.
        """
        subject, folder = self.subject, OutputFolder(self.out / f"{self.network.name}-labels")
        file = folder.path / "teacher.npy"
        if not file.is_file():
            part = folder.path / "part.npy"
            np.save(part, subject.bench.teacher)
            part.replace(file)
            return subject.bench
        plan, run = subject.plan, subject.effort.run
        untaught = replace(plan, long=replace(plan.long, samples=0))
        bench = prepare(subject.request, subject.problem, subject.samples, untaught)
        train = enlarge(bench.train, subject.samples.search, subject.samples.runtime, run)
        bench = replace(bench, train=train, teacher=np.load(file), long=plan.long)
        start = folder.load_tuned("start")
        if start is not None:
            subject.mirror.load(start.state.parameters)
            bench = replace(bench, start=start.state.parameters)
        grid = grids(subject.request, subject.mirror, subject.problem.space, bench, subject.effort, folder)
        return replace(bench, calibration=grid)

    @cached_property
    def bench(self) -> Bench:
        """What scores read: some images of the search split."""
        bench = self.whole
        return replace(bench, judge=replace(bench.judge, split=bench.judge.split.take(slice(0, IMAGES))))

    def worker(self, recipe: Recipe) -> Worker:
        """Gives what scores policies, after a fine-tune by a recipe."""
        return Worker(replace(self.bench, short=recipe))

    @cached_property
    def sensitivity(self) -> dict[tuple[str, int], float]:
        """The output error of each operand alone at each width."""
        folder = OutputFolder(self.out / f"{self.network.name}-labels")
        with WorkerPool(1) as pool:
            pool.use(self.bench)
            effects = stages.measure_effects(self.subject.problem, self.bench, folder, pool, Silent())
        return {key: effect.output for key, effect in effects.items()}

    @property
    def float_accuracy(self) -> float:
        """Of the original float network, in percent of the search split."""
        return self.bench.judge.float_quality

    def priced(self, target: str) -> Problem:
        """Gives the space and the prices on a target, under no budget that binds."""
        request = replace(self.subject.request, target=target)
        plain = self.subject.problem
        return Problem.of(request, plain.model, plain.graph, targets.load(target))

    def stated(self, cell: Cell) -> Policy:
        """Gives the uniform policy whose cost is the budget of a cell."""
        return self.priced(cell.target).space.uniform(int(cell.level[1]), int(cell.level[3]))

    def problem(self, cell: Cell) -> Problem:
        """Gives the space, the prices and the budget of a cell."""
        problem = self.priced(cell.target)
        full = problem.baseline.value(cell.metric)
        if cell.is_uniform:
            share = problem.table.price(self.stated(cell)).value(cell.metric) / full
        elif cell.is_headline:
            share = float(cell.level)
        else:
            floor = cheapest(problem.space, problem.table.price, lambda cost: cost.value(cell.metric))
            least = problem.table.price(floor).value(cell.metric) / full
            share = least + SHARES[cell.level] * (1.0 - least)
        demand = Demand(cell.metric, share * (1 + 1e-12), True, f"{cell.metric}={share:.4f}")
        return replace(problem, budget=Budget.resolve((demand,), problem.baseline, problem.table.batch))
