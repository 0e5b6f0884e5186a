"""The case of a compile: the model, its data and the hardware, read and checked, before anything is computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir

from haqc import data, targets
from haqc.clock import Clock
from haqc.content import Content
from haqc.data import Dataset
from haqc.device import chosen, require_compiler
from haqc.earliertrials import EarlierTrials
from haqc.effort import Effort
from haqc.equality import require_equal
from haqc.fingerprint import fingerprint_of
from haqc.frontend import Front, shapes_of
from haqc.learnedagent import LearnedAgent
from haqc.madeup import make_up
from haqc.metrics import Metric, named
from haqc.mirror import Mirror, from_onnx
from haqc.passes.clean import remarks
from haqc.plan import Plan
from haqc.problem import Problem
from haqc.request import Request
from haqc.samples import Samples
from haqc.smoothing import equalised, smoothed
from haqc.target import Target
from haqc.ui import Ui


@dataclass(frozen=True)
class Case:
    """What is asked, of which model, on which hardware, with which data, and what is planned for it.

    Attributes:
        request: what was asked for.
        device: torch's name of what networks run on.
        problem: the model at its shapes, the space of policies, their prices and the budget.
        mirror: the model in torch, which computes what onnxruntime does.
        samples: the data and what networks are judged by.
        plan: counts and recipes.
        agent: what the agent of the search starts with; ``None`` where it knows nothing.
        earlier: trials of other compiles.
        fingerprint: everything that trials depend on.
    """

    request: Request
    device: str
    problem: Problem
    mirror: Mirror
    samples: Samples
    plan: Plan
    agent: LearnedAgent | None
    earlier: tuple[EarlierTrials, ...]
    fingerprint: Mapping[str, Any]

    @classmethod
    def read(
        cls, request: Request, clock: Clock, ui: Ui, require: Callable[[Problem], None] = lambda problem: None
    ) -> Case:
        """Reads and checks everything; nothing is written.

        Args:
            request: what is asked.
            clock: told how long the parts take.
            ui: told what happens.
            require: called as soon as the problem is known, before a network runs; refuses what it does not fit.

        Raises:
            HaqcError: a mistake of the user (2), a budget out of reach (3), or a mirror that differs (4).
        """
        with clock.part("parse"):
            device = chosen(request.device)
            if request.torch_compile:
                require_compiler(device)
            agent = None if request.agent_from is None else LearnedAgent.read(request.agent_from)
            earlier = tuple(EarlierTrials.read(folder) for folder in request.trials_from)
            target = targets.load(request.target)
            front = Front.read(request.model)
            for sentence in remarks(front.model):
                ui.say(sentence)
        with clock.part("data"):
            description = data.describe(request.data, request.model)
            metric = _metric(request, description)
            dataset = None if description is None else _load(request, front, metric)
        with clock.part("parse"):
            shapes = dict(request.shapes) if dataset is None else shapes_of(dataset, front.model)
            bound = front.bound(shapes)
            problem = _problem(request, front, bound, target)
            require(problem)
            effort = Effort.of(problem.graph, sum(len(choice.widths) for choice in problem.space.free))
            mirror = from_onnx(problem.model)
        with clock.part("data"):
            reference = Content.of(front.model) if front.is_quantised else request.model
            if dataset is None:
                dataset = make_up(front, bound, mirror, reference, effort, request.seed, request.shapes)
            samples = Samples.judge(dataset, reference, front.model, effort, metric, ui)
            even = equalised(front, mirror, problem.graph) if request.equalise else None
            if request.weights == "linear" and request.quantiser == "lsq":
                even = smoothed(even or front, mirror, dataset.train, effort) or even
            if even is not None:
                front = even
                problem = _problem(request, front, front.bound(shapes), target)
                mirror = from_onnx(problem.model)
            require_equal(mirror, front, samples.runtime, dataset.train)
        plan = Plan.of(request, effort, dataset, has_targets=samples.has_targets)
        if plan.long.samples:
            mirror.require_gradients(mirror.layer_parameters(problem.graph), samples.logits)
        fingerprint = fingerprint_of(request, problem, samples, plan, device, agent, earlier)
        for each in earlier:
            each.require_same(fingerprint)
        return cls(request, device, problem, mirror, samples, plan, agent, earlier, fingerprint)


def _metric(request: Request, description: data.Description | None) -> Metric | None:
    """Gives the metric that the command line names, else that of the description, else none."""
    name = request.metric if request.metric is not None or description is None else description.metric
    return None if name is None else named(name)


def _problem(request: Request, front: Front, bound: ir.Model, target: Target) -> Problem:
    graph = front.graph(bound, request.keep_float)
    return Problem.of(request, front.model, graph, target, front.graph(bound) if request.keep_float else None)


def _load(request: Request, front: Front, metric: Metric | None) -> Dataset:
    specs, group = front.inputs(request.shapes), 1 if metric is None else metric.traits.group
    return data.load(request.data, specs, request.model, seed=request.seed, group=group)
