"""What to compile, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from haqc.budget import Demand, Goal, Metric
from haqc.calibration import QuantiserName, Ranges
from haqc.dimensions import Shape
from haqc.errors import BudgetError, PolicyError
from haqc.formats import FormatName, settled
from haqc.policy import Bits
from haqc.sweeping import Sweep

Weights = Literal["linear", "kmeans"]
WEIGHTS: tuple[Weights, ...] = get_args(Weights)
"""How weights are quantised: on an even grid, as codes and scales; or anywhere, as indices and a codebook."""

DeviceChoice = Literal["cpu", "cuda", "auto"]
"""Where jobs run networks: on the processor, on a graphics processor, or on one where there is one."""

AllocatorName = Literal["uniform", "greedy", "integer", "random", "evolution", "ddpg", "haq"]
ALLOCATORS: tuple[AllocatorName, ...] = get_args(AllocatorName)
USUAL: tuple[AllocatorName, ...] = ("uniform", "greedy", "integer", "random", "ddpg")
"""Who proposes policies, if nothing else is asked for."""


@dataclass(frozen=True)
class Request:
    """One compile as it is asked for.

    Attributes:
        model: the ONNX file.
        target: built-in name or path of a target file.
        demands: the budget; none where a cost is minimised and nothing else bounded.
        out: output folder.
        minimise: what is made as small as the quality allows, instead of a budget of it.
        sweep: the budgets of one more metric, for :func:`haqc.sweeper.sweep_model`.
        data: what ``--data`` names, or ``None``.
        metric: name of the metric, or ``package.module:function``; ``None`` for what fits the data and the output.
        shapes: shapes of inputs for one sample, by name, where the data do not say them.
        mode: mode of the cost model, or ``None`` for the target's default.
        seed: of everything random.
        jobs: worker processes; the result does not depend on it. ``None`` for one a processor, or one in all where they
            share a graphics processor.
        device: where they run networks.
        torch_compile: whether scores come from a graph that torch compiles.
        finetune: training samples of the short fine-tune in the search; ``None`` picks up to 1,000 with labels, as the
            model's size allows, and 0 without.
        final_finetune: training samples (with repetition) of the winner's fine-tune; ``None`` picks up to 300,000
            with labels, as the model's size and the number of samples allow, and 0 when ``finetune`` is 0. Without
            labels these are of the distillation behind its reconstruction, twice as many as there by default, and
            none without data.
        reconstruct: training samples (with repetition) on which each stretch of a winner that is not fine-tuned is
            fitted to the float network; ``None`` picks up to 9,600, as the model's size allows.
        label_share: share of the labels' loss in every fine-tune, the rest being distillation; ``None`` for the usual.
        evaluations: policies that each allocator may have evaluated.
        seconds: what the search may take; ``None`` for as long as it takes.
        allocators: who proposes policies, in this order.
        min_bits: narrowest width searched.
        pins: widths by layer name or pattern.
        default_pins: whether the first layers and the last ones are pinned at 8/8.
        at_least: narrowest widths by layer name or pattern.
        same_bits: patterns of layer names; the layers that one matches have equal widths.
        keep_float: names or patterns of layers that stay in float.
        weights: how weights are quantised; with ``kmeans`` activations stay in float, and only size is priced.
        quantiser: whose quantiser, ``lsq`` or ``haq``.
        ranges: how the ranges of activations are chosen; ``None`` for the quantiser's own way.
        equalise: whether the ranges of neighbouring layers' weights are evened out before anything else.
        formats: what is written, see :func:`haqc.formats.settled`; none for the usual one.
        opset: the least opset of the emitted files; ``None`` for the model's own, or 21.
        agent_from: folder of a compile whose agent the search starts with; ``None`` for one that knows nothing.
        trials_from: folders of compiles of the same model, for other targets or budgets, whose trials the search knows.
        resume, force: what to do with a folder that is not empty.

    Raises:
        BudgetError: a budget is of something that is not priced, or of what is minimised; or there is nothing to hold.
        PolicyError: options of quantisation contradict each other or the formats, or the quantiser lacks a width that
            is asked for.
    """

    model: Path
    target: str
    demands: tuple[Demand, ...]
    out: Path
    minimise: Goal | None = None
    sweep: Sweep | None = None
    data: str | None = None
    metric: str | None = None
    shapes: Mapping[str, Shape] = field(default_factory=dict)
    mode: str | None = None
    seed: int = 0
    jobs: int | None = None
    device: DeviceChoice = "cpu"
    torch_compile: bool = False
    finetune: int | None = None
    final_finetune: int | None = None
    reconstruct: int | None = None
    label_share: float | None = None
    evaluations: int = 48
    seconds: float | None = None
    allocators: tuple[AllocatorName, ...] = USUAL
    min_bits: int = 2
    pins: Mapping[str, Bits] = field(default_factory=dict)
    default_pins: bool = True
    at_least: Mapping[str, Bits] = field(default_factory=dict)
    same_bits: tuple[str, ...] = ()
    keep_float: tuple[str, ...] = ()
    weights: Weights = "linear"
    quantiser: QuantiserName = "lsq"
    ranges: Ranges | None = None
    equalise: bool = False
    formats: tuple[FormatName, ...] = ()
    opset: int | None = None
    agent_from: Path | None = None
    trials_from: tuple[Path, ...] = ()
    resume: bool = False
    force: bool = False

    def __post_init__(self) -> None:
        if self.agent_from is not None and "ddpg" not in self.allocators:
            raise PolicyError(
                f"--agent-from '{self.agent_from}' is where the allocator 'ddpg' starts, and only "
                f"{', '.join(self.allocators)} propose; add --allocator ddpg, or leave --agent-from out"
            )
        settled(self.formats, is_codebook=self.weights == "kmeans")
        self._check_costs()
        if self.weights == "kmeans" and (self.quantiser != "lsq" or self.ranges is not None):
            raise PolicyError(
                "--weights kmeans leaves activations in float and has codebooks of its own, so --quantizer and "
                "--ranges have nothing to choose; leave them out"
            )
        if self.quantiser == "haq" and self.ranges is not None:
            raise PolicyError("--quantizer haq has its own ranges; leave --ranges out, or --quantizer haq")
        if (
            self.quantiser == "haq"
            and min(self.min_bits, *(min(b.weight, b.activation) for b in self.pins.values()), 8) < 2
        ):
            raise PolicyError("--quantizer haq has no 1-bit grid; give --min-bits 2 and pins of at least 2 bits")

    def _check_costs(self) -> None:
        """Refuses budgets that contradict each other or the way weights are quantised."""
        chosen: list[tuple[Metric, str]] = []  # those whose bounds haqc chooses
        if self.minimise is not None:
            chosen.append((self.minimise.metric, f"--minimise {self.minimise.metric}"))
        if self.sweep is not None:
            chosen.append((self.sweep.metric, f"a sweep of {self.sweep.metric}"))
        asked = [*((demand.metric, f"budget '{demand.text}'") for demand in self.demands), *chosen]
        if not asked:
            raise BudgetError(
                "there is nothing to fit; give --budget METRIC=VALUE, for example energy=0.5, or --minimise METRIC "
                "--max-drop POINTS"
            )
        for metric, words in chosen:
            twice = next((demand for demand in self.demands if demand.metric == metric), None)
            if twice is not None:
                raise BudgetError(f"budget '{twice.text}' and {words} contradict each other; leave one of them out")
        unpriced = next((words for metric, words in asked if metric != "size"), None)
        if self.weights == "kmeans" and unpriced is not None:
            raise BudgetError(
                f"{unpriced} needs quantised activations, and with codebooks they stay in float, where only size is "
                "priced; give --budget size=VALUE, or leave --weights kmeans out"
            )

    @property
    def settled_formats(self) -> tuple[FormatName, ...]:
        """The formats to write, that of ``model.onnx`` first."""
        return settled(self.formats, is_codebook=self.weights == "kmeans")
