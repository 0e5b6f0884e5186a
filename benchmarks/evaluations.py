"""Counts evaluations of policies a minute and core: without a fine-tune, and with one on 1,000 images.

    python -m benchmarks.evaluations [--rounds 12] [--only resnet8] [--torch-compile]

A policy is scored on 500 images by a worker, as a search does it; the plain loop builds the mirror anew for every
policy and quantises weights with every batch. Seconds are of the processor, and both loops take turns in one process;
the quickest round of each counts, for whatever else the machine does only slows them. The policies are drawn at
random, which gives the worker little to reuse; the last column scores policies that differ in the last layers only.
With ``--torch-compile``, scores by the compiled graph are compared with the others instead.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.networks import real_networks
from haqc import data, targets
from haqc.content import Content
from haqc.frontend import Front, shapes_of
from haqc.judge import Judge
from haqc.metrics import named
from haqc.mirror import from_onnx
from haqc.mirror.quantised import QuantisedMirror
from haqc.passes.calibrate import calibrate
from haqc.policy import Policy, Space
from haqc.preparation import Batches
from haqc.reconstruct import Fitting
from haqc.scored import before_softmax, scored_output
from haqc.train import Recipe, fine_tune, outputs
from haqc.workbench import Bench, Worker

IMAGES = 500
TRAINED_ON = 1_000
BATCH = 250
"""Samples of a run of the plain loop."""

LARGEST_RUN_VALUES = 1 << 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--only", help="resnet8 or fashion")
    parser.add_argument("--torch-compile", action="store_true", help="compare scores by the compiled graph")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.torch_compile:
        print("| network | compiled in, s | ms | without, ms | ratio | scores that are equal |")
        print("|---|---|---|---|---|---|")
    else:
        print("| network | fine-tune | ms | a minute | plain loop, ms | ratio | last layers only, ms |")
        print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for network in real_networks(Path(folder)):
            if arguments.only in (None, network.name):
                bench, space = prepared(network.model, str(network.data))
                if arguments.torch_compile:
                    compiled_row(network.name, bench, space, arguments.rounds)
                    continue
                for samples in (0, TRAINED_ON):
                    rounds = arguments.rounds if not samples else max(3, arguments.rounds // 4)
                    row(network.name, replace(bench, short=replace(bench.short, samples=samples)), space, rounds)


def prepared(path: Path, source: str) -> tuple[Bench, Space]:
    """Gives what an evaluation reads, and the policies; grids come from 512 training images."""
    front = Front.read(path)
    dataset = data.load(source, front.inputs({}), path, seed=0)
    graph = front.graph(front.bound(shapes_of(dataset, front.model)))
    space = Space.of(graph, targets.load("edge").precision, min_bits=2)
    mirror = from_onnx(front.model)
    calibration = calibrate(mirror, space, Batches(dataset.train.take(slice(0, 512)), 64))
    logits = str(before_softmax(scored_output(front.model)).name)
    train, search = dataset.train.take(slice(0, 5_000)), dataset.search.take(slice(0, IMAGES))
    bench = Bench(
        model=Content.of(front.model),
        graph=graph,
        calibration=calibration,
        logits=logits,
        judge=Judge(named("top-1"), (logits,), search, None, 100.0),
        train=train,
        teacher=outputs(mirror, logits, train, 64),
        probe=train.take(slice(0, 128)),
        run=min(BATCH, LARGEST_RUN_VALUES // max(graph.tensor_values.values())),
        short=Recipe(0, batch=16, relative_rate=0.002, step_rate=0.003),
        middle=Recipe(0),
        long=Recipe(0),
        fitting=Fitting(0),
        closing=Recipe(0),
        brief=Fitting(0),
        seed=0,
    )
    return bench, space


def row(name: str, bench: Bench, space: Space, rounds: int) -> None:
    """Prints one line of the table."""
    worker, generator = Worker(bench), np.random.default_rng(0)

    def drawn(base: dict[str, int], count: int) -> Policy:
        """Draws the last widths anew."""
        new = {c.operand.tensor: int(generator.choice(c.widths)) for c in space.free[len(space.free) - count :]}
        return space.policy({**base, **new})

    start = {choice.operand.tensor: 4 for choice in space.free}
    quick, plain, late = [], [], []
    for index in range(rounds + 1):  # the first round builds what the others reuse
        policy = drawn(start, len(space.free))
        scored, seconds = timed(partial(by_worker, worker, policy))
        expected, plain_seconds = timed(partial(plainly, bench, policy))
        assert abs(scored - expected) <= (0.4 if not bench.short.samples else 3), (scored, expected)
        near = drawn(start, 4)
        _, late_seconds = timed(partial(by_worker, worker, near))
        if index:
            quick.append(seconds)
            plain.append(plain_seconds)
            late.append(late_seconds)
    each, loop, reused = (1e3 * min(times) for times in (quick, plain, late))
    print(
        f"| {name} | {bench.short.samples or 'none'} | {each:.0f} | {60e3 / each:.0f} | {loop:.0f} | {loop / each:.2f} "
        f"| {reused:.0f} |",
        flush=True,
    )


def compiled_row(name: str, bench: Bench, space: Space, rounds: int) -> None:
    """Prints one line of the table of compiled graphs; whoever compiles is a child process, and counts."""
    graph, usual, generator = Worker(replace(bench, torch_compile=True)), Worker(bench), np.random.default_rng(0)
    spent, others, equal, first = [], [], 0, 0.0
    for index in range(rounds + 1):  # the first round compiles, and builds what the others reuse
        policy = space.policy({c.operand.tensor: int(generator.choice(c.widths)) for c in space.free})
        before = time.process_time() + resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        score, seconds = timed(partial(by_worker, graph, policy))
        after = time.process_time() + resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        expected, other_seconds = timed(partial(by_worker, usual, policy))
        if index:
            spent.append(seconds)
            others.append(other_seconds)
            equal += score == expected
        else:
            first = after - before
    each, other = (1e3 * min(times) for times in (spent, others))
    cells = name, f"{first:.0f}", f"{each:.0f}", f"{other:.0f}", f"{other / each:.2f}", f"{equal} of {rounds}"
    print("| " + " | ".join(cells) + " |", flush=True)


def by_worker(worker: Worker, policy: Policy) -> float:
    """Scores a policy as a search does."""
    return worker.score(dict(policy.widths), ignore).accuracy


def plainly(bench: Bench, policy: Policy) -> float:
    """Scores a policy with everything built anew."""
    mirror = from_onnx(bench.model.model())
    network = QuantisedMirror(mirror, policy, bench.calibration)
    torch.manual_seed(bench.seed)
    fine_tune(
        network,
        bench.graph,
        bench.logits,
        bench.train,
        bench.teacher,
        bench.judge.metric,
        bench.short,
        bench.seed,
        ignore,
    )
    parts = []
    with torch.no_grad():
        for inputs, count in bench.judge.split.runs(BATCH):
            (part,) = network.run(tuple(map(torch.from_numpy, inputs)), (bench.logits,))
            parts.append((part.numpy()[:count],))
    return bench.judge.quality(parts)


def timed(call: Callable[[], float]) -> tuple[float, float]:
    """Gives a result and the seconds of the processor that it took."""
    started = time.process_time()
    return call(), time.process_time() - started


def ignore(samples: int) -> None:
    """Takes progress and does nothing."""


if __name__ == "__main__":
    main()
