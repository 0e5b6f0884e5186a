"""What one evaluation needs, and the evaluations themselves: score a policy, tune a policy, tune the float network.

A bench travels to worker processes, so it holds plain values; the mirror is built where it is used. Every job is a
function of the bench and its arguments alone, whatever ran before it and wherever it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

from haqc import sensitivity
from haqc.calibration import Calibration
from haqc.content import Content
from haqc.data.split import Split
from haqc.distil import Lessons, distil
from haqc.effect import Share
from haqc.effort import TRAINING_FACTOR
from haqc.graph import Graph
from haqc.judge import Judge
from haqc.mirror import Mirror, from_onnx
from haqc.mirror.quantised import QuantisedMirror, State
from haqc.policy import Policy
from haqc.prefix import Prefixes
from haqc.reconstruct import Fitting, correct, level, reconstruct, stretches
from haqc.recovery import Reconstruction
from haqc.score import Score
from haqc.sensitivity import Exact
from haqc.train import Recipe, fine_tune, outputs, runs
from haqc.tuned import Attempts, Best, Tuned

if TYPE_CHECKING:
    from haqc.fused import Fused

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Bench:
    """Everything an evaluation reads.

    Attributes:
        model: the cleaned model, serialised.
        graph: its layer IR.
        calibration: grids of all operands, at these parameters.
        logits: tensor that is trained (the input of a final Softmax).
        judge: what networks are judged by, and the part of the search split they are judged on.
        train: the training split.
        teacher: logits on it that are learned from, shape ``[N, ...]``; empty when nothing is trained.
        probe: a few training samples for sensitivities.
        run: samples that run forward together at most.
        short, middle, long: recipes for the search, for its finalists, and for the winner.
        fitting, closing: of a winner that is not fine-tuned: how its stretches are fitted, and how the whole network is
            distilled behind that.
        brief: how the stretches of its finalists are fitted.
        seed: of everything random in a job.
        start: the parameters every job begins with, by initialiser, where they are not the model's own.
        device: torch's name of what networks run on.
        torch_compile: whether scores come from a graph that torch compiles.
    """

    model: Content
    graph: Graph
    calibration: Calibration
    logits: str
    judge: Judge
    train: Split
    teacher: np.ndarray
    probe: Split
    run: int
    short: Recipe
    middle: Recipe
    long: Recipe
    fitting: Fitting
    closing: Recipe
    brief: Fitting
    seed: int
    start: Mapping[str, np.ndarray] = field(default_factory=dict)
    device: str = "cpu"
    torch_compile: bool = False

    def parts(self, mirror: Mirror) -> int:
        """Gives the number of stretches that every sample of a reconstruction passes."""
        weights = [operand.tensor for operand in self.graph.operands if operand.kind == "weight"]
        return len(stretches(mirror, self.logits, weights, self.train))


class Worker:
    """Runs jobs on a bench. The mirror is built once; every job starts from the bench's parameters."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._exact: tuple[int, Exact] | None = None

    @cached_property
    def mirror(self) -> Mirror:
        """The mirror; jobs change its parameters and set them back."""
        return from_onnx(self.bench.model.model()).to(self.bench.device)

    @cached_property
    def _start(self) -> dict[str, np.ndarray]:
        return parameters(self.mirror, self.bench.graph) | dict(self.bench.start)

    def score(self, widths: Mapping[str, int], advance: Advance) -> Score:
        """Gives what a policy scores on the search split after the short fine-tune."""
        if not self.bench.short.samples and not self.bench.torch_compile:
            return self.bench.judge.score(self._prefixes.runs(self._quantised(widths)))
        return self._score_after(self.bench.short, widths, advance)

    def rescore(self, widths: Mapping[str, int], advance: Advance) -> Score:
        """Gives what a finalist scores on the search split after the middle fine-tune, or the brief reconstruction."""
        bench = self.bench
        if not bench.brief.samples:
            return self._score_after(bench.middle, widths, advance)
        network = self._quantised(widths)
        reconstruct(network, self._start, bench.logits, bench.train, bench.brief, bench.seed, advance)
        return bench.judge.score(self._runs(network))

    def tune(self, widths: Mapping[str, int], advance: Advance) -> Tuned:
        """Gives a policy's network after the long fine-tune."""
        network = self._quantised(widths)
        accuracy = self._tune(network, self.bench.long, advance)
        return Tuned(network.state(), accuracy)

    def shift(self, widths: Mapping[str, int], advance: Advance) -> Tuned:
        """Gives a policy's network with the biases that score best on the search split, or as it was."""
        bench, network = self.bench, self._quantised(widths)
        attempts, learned = Attempts(network, self._quality), (network, self._start, bench.logits, bench.train)
        level(*learned)
        attempts.offer("levelled biases")
        network.load(attempts.plain)
        correct(*learned)
        attempts.offer("corrected biases")
        level(*learned)
        attempts.offer("corrected, then levelled biases")
        return attempts.tuned(Reconstruction())

    def recover(self, widths: Mapping[str, int], advance: Advance) -> Tuned:
        """Gives a policy's network reconstructed, and distilled, as scores best on the search split, or as it was."""
        bench, network = self.bench, self._quantised(widths)
        attempts, parts, lessons = Attempts(network, self._quality), bench.parts(self.mirror), None
        if bench.closing.samples:
            lessons = Lessons.of(
                *(self.mirror, bench.logits, bench.train, bench.closing.samples, bench.run),  # the float network still
                advance=lambda samples: advance(samples * parts // TRAINING_FACTOR),
            )
        done = reconstruct(network, self._start, bench.logits, bench.train, bench.fitting, bench.seed, advance)
        attempts.offer("reconstructed")
        if lessons is not None:
            distil(
                *(network, lessons, bench.judge.metric, bench.closing, bench.seed),
                advance=lambda samples: advance(samples * parts),  # each passes all stretches
                checkpoint=lambda: attempts.offer("reconstructed, then distilled"),
            )
        return attempts.tuned(done)

    def tune_float(self, advance: Advance) -> Tuned:
        """Gives the float network after the same long fine-tune."""
        self._reset()
        accuracy = self._tune(self.mirror, self.bench.long, advance)
        return Tuned(self._state(self.mirror), accuracy)

    def shares(self, tensor: str, widths: tuple[int, ...], part: int, advance: Advance) -> tuple[Share, ...]:
        """Gives what one run of the probe adds to the effects of quantising an operand alone, for each width."""
        self._reset()
        bench = self.bench
        if self._exact is None or self._exact[0] != part:
            self._exact = None  # before the next one is made: both need memory
            samples = sensitivity.part(bench.probe, bench.run, part)
            fixed = bench.graph, bench.calibration, bench.logits, samples, bench.judge.metric
            self._exact = part, Exact(self.mirror, *fixed)
        shares = tuple(self._exact[1].share(tensor, bits, self._spread) for bits in widths)
        advance(len(widths))
        return shares

    @cached_property
    def _prefixes(self) -> Prefixes:
        bench, judge = self.bench, self.bench.judge
        return Prefixes(self.mirror, bench.graph, judge.outputs, judge.split, bench.run)

    @cached_property
    def _fused(self) -> Fused:
        from haqc.fused import Fused  # noqa: PLC0415 (torch's compiler takes seconds to load)

        judge = self.bench.judge
        return Fused(self.mirror, judge.outputs, judge.split, self.bench.run)

    @cached_property
    def _spread(self) -> float:
        return sensitivity.spread(outputs(self.mirror, self.bench.logits, self.bench.probe, self.bench.run))

    def _quantised(self, widths: Mapping[str, int]) -> QuantisedMirror:
        self._reset()
        self._exact = None
        return QuantisedMirror(self.mirror, Policy(self.bench.graph, widths), self.bench.calibration)

    def _reset(self) -> None:
        self.mirror.load(self._start)
        self.mirror.quantisers = {}

    def _score_after(self, recipe: Recipe, widths: Mapping[str, int], advance: Advance) -> Score:
        network = self._quantised(widths)
        self._train(network, recipe, advance)
        return self.bench.judge.score(self._runs(network))

    def _tune(self, network: Mirror | QuantisedMirror, recipe: Recipe, advance: Advance) -> float:
        """Trains, goes back to the best checkpoint, and gives its quality."""
        kept = self._train(network, recipe, advance)
        return self._quality(network) if kept.state is None else kept.score

    def _train(self, network: Mirror | QuantisedMirror, recipe: Recipe, advance: Advance) -> Best:
        """Trains, goes back to the best checkpoint, the start among them, and gives it where there are any."""
        bench, kept = self.bench, Best()

        def look() -> None:
            kept.offer(self._quality(network), lambda: self._state(network))

        torch.manual_seed(bench.seed)
        if recipe.samples and recipe.checkpoints:
            look()
        fine_tune(
            *(network, bench.graph, bench.logits, bench.train, bench.teacher, bench.judge.metric, recipe),
            bench.seed,
            advance=advance,
            checkpoint=look,
        )
        if kept.state is None:
            return kept
        if isinstance(network, QuantisedMirror):
            network.load(kept.state)
        else:
            network.load(kept.state.parameters)
        return kept

    def _quality(self, network: Mirror | QuantisedMirror) -> float:
        return self.bench.judge.quality(self._runs(network))

    def _runs(self, network: Mirror | QuantisedMirror) -> Iterator[tuple[np.ndarray, ...]]:
        judge = self.bench.judge
        if self.bench.torch_compile and isinstance(network, QuantisedMirror):
            return self._fused.runs(network)
        return runs(network, judge.outputs, judge.split, self.bench.run)

    def _state(self, network: Mirror | QuantisedMirror) -> State:
        if isinstance(network, QuantisedMirror):
            return network.state()
        return State(parameters(network, self.bench.graph), {})


def parameters(mirror: Mirror, graph: Graph) -> dict[str, np.ndarray]:
    """Gives copies of what training changes in a float network."""
    return {name: mirror.value(name).detach().cpu().numpy().copy() for name in mirror.layer_parameters(graph)}
