"""Fine-tunes a mirror, float or quantised, and runs it over data.

The recipe follows LSQ (Esser et al., ICLR 2020) with distillation from the float network (Hinton et al., 2015). The
learning rate of every tensor is relative to its own root mean square: a network that reads raw pixels has kernels a
hundred times smaller than one that reads normalised ones, and one absolute rate wrecks the former.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from haqc.data.split import Split
from haqc.errors import DataError, ModelError
from haqc.graph import Graph
from haqc.metrics import Metric
from haqc.mirror.inference import Inference
from haqc.mirror.module import Mirror
from haqc.mirror.quantised import QuantisedMirror

_SMALLEST_RMS = 1e-4
"""Root mean square assumed for tensors that are (nearly) zero, such as fresh biases."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to fine-tune.

    Attributes:
        samples: training samples seen in all, counted with repetition; 0 trains nothing.
        batch: samples per step.
        relative_rate: Adam's learning rate for weights and biases, as a share of each tensor's root mean square.
        step_rate: Adam's learning rate for the logarithms of the quantisation steps.
        second_decay: Adam's decay of the mean squared gradient. Its memory must be short beside the training: a network
            at two bits begins with gradients so large that, remembered, they would hold all later steps small.
        warmup_steps: steps over which the rates rise; at most a tenth of all.
        clip_norm: bound on the norm of the whole gradient.
        temperature: softening of both distributions in the distillation loss.
        label_share: share of the labels' loss; the rest is distillation. Without labels all is distillation.
        checkpoints: how often, at equal distances and lastly at the end, the caller may look at the network.
    """

    samples: int
    batch: int = 64
    relative_rate: float = 0.01
    step_rate: float = 0.002
    second_decay: float = 0.99
    warmup_steps: int = 50
    clip_norm: float = 5.0
    temperature: float = 2.0
    label_share: float = 0.8
    checkpoints: int = 0

    @property
    def steps(self) -> int:
        """Optimiser steps."""
        return math.ceil(self.samples / self.batch)


def fine_tune(
    network: Mirror | QuantisedMirror,
    graph: Graph,
    logits: str,
    split: Split,
    teacher: np.ndarray,
    metric: Metric,
    recipe: Recipe,
    seed: int,
    advance: Callable[[int], None] = lambda samples: None,
    checkpoint: Callable[[], None] = lambda: None,
) -> None:
    """Trains the layers' weights and biases, and the quantisation steps if there are any, in place.

    Args:
        network: the mirror to train.
        graph: its graph.
        logits: tensor the losses are computed on (the input of a final Softmax).
        split: the training split.
        teacher: logits of a float network on that split, shape ``[N, ...]``.
        metric: says what the labels are, and whether the logits classify.
        recipe: how long and how fast.
        seed: of the order of the samples.
        advance: called with the number of samples after each step.
        checkpoint: called as often as the recipe says.

    Raises:
        DataError: the loss became NaN or infinite.
        ModelError: no gradient passes from the logits to anything that is trained.
    """
    if recipe.samples <= 0:
        return
    recipe = _fitted(recipe, split)
    mirror = network.mirror if isinstance(network, QuantisedMirror) else network
    weights = [mirror.value(name) for name in mirror.layer_parameters(graph)]
    groups = [{"params": [p], "lr": recipe.relative_rate * _rms(p)} for p in weights]
    if isinstance(network, QuantisedMirror):
        steps = [p for p in network.steps.parameters() if p.requires_grad]
        groups += [{"params": steps, "lr": recipe.step_rate}] if steps else []
        centroids = [book.centroids for book in network.codebooks.values()]
        groups += [{"params": [p], "lr": recipe.relative_rate * _rms(p)} for p in centroids]
        weights = [*weights, *steps, *centroids]
    optimiser = torch.optim.Adam(groups, betas=(0.9, recipe.second_decay))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, recipe))
    looks = {round(recipe.steps * (look + 1) / recipe.checkpoints) for look in range(recipe.checkpoints)}
    for step, index in enumerate(_order(len(split), recipe, seed), 1):
        inputs = split.inputs(index)
        (student,) = network.run(mirror.tensors(inputs), (logits,))
        labels, shape = None if split.labels is None else split.labels[index], tuple(student.shape)
        aim = Aim(metric.targets(inputs, labels, shape), metric.class_axis(labels, shape))
        loss = _loss(student, torch.from_numpy(teacher[index]).to(student.device), aim, recipe)
        if not torch.isfinite(loss):
            raise DataError("the loss became infinite or NaN while fine-tuning; check the data's scaling")
        if not loss.requires_grad:
            raise ModelError(
                f"no gradient passes from '{logits}' to the layers, so nothing can be trained; cut off what rounds or "
                "chooses at the model's end, or compile without training: --finetune 0"
            )
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(weights, recipe.clip_norm)
        optimiser.step()
        schedule.step()
        advance(len(index))
        if step in looks:
            checkpoint()


def outputs(
    network: Mirror | QuantisedMirror,
    tensor: str,
    split: Split,
    batch: int = 250,
    advance: Callable[[int], None] = lambda samples: None,
) -> np.ndarray:
    """Gives one tensor over a whole split, shape ``[N, ...]``; tells the number of samples after each run."""
    parts = []
    for (part,) in runs(network, (tensor,), split, batch):
        parts.append(part)
        advance(len(part))
    return np.concatenate(parts)


def runs(
    network: Mirror | QuantisedMirror, tensors: tuple[str, ...], split: Split, batch: int
) -> Iterator[tuple[np.ndarray, ...]]:
    """Yields some tensors for at most ``batch`` samples after the other, in order, shapes ``[samples, ...]``."""
    mirror = network.mirror if isinstance(network, QuantisedMirror) else network
    inference = Inference(mirror, network.quantisers, {})
    for inputs, count in split.runs(batch):
        given = dict(zip(mirror.inputs, mirror.tensors(inputs), strict=True))
        found = inference.run(given, tensors)
        yield tuple(found[tensor].cpu().numpy()[:count] for tensor in tensors)


def _fitted(recipe: Recipe, split: Split) -> Recipe:
    """Gives a recipe whose batches the model takes."""
    each = split.samples_per_run
    if each is None:
        return replace(recipe, batch=min(recipe.batch, len(split)))
    return replace(recipe, batch=each, samples=-(-recipe.samples // each) * each)


@dataclass(frozen=True, slots=True, eq=False)
class Aim:
    """What a batch's outputs should be, beside those of the float network.

    Attributes:
        targets: class numbers, negative where none counts, or values; ``None`` where there are none.
        class_axis: axis of the scores of classes, ``None`` where the outputs are no such scores.
    """

    targets: np.ndarray | None
    class_axis: int | None


def _loss(student: Tensor, teacher: Tensor, aim: Aim, recipe: Recipe) -> Tensor:
    soft = _distillation(student, teacher, aim.class_axis, recipe.temperature)
    if aim.targets is None or not recipe.label_share:
        return soft
    hard = _label_loss(student, torch.from_numpy(aim.targets).to(student.device), aim.class_axis)
    return recipe.label_share * hard + (1 - recipe.label_share) * soft


def _distillation(student: Tensor, teacher: Tensor, axis: int | None, temperature: float) -> Tensor:
    """Gives the divergence of the softened classes, the mean over all places, or a share of the values' mean square."""
    if axis is None:
        return functional.mse_loss(student, teacher) / (teacher.square().mean() + 1e-12)
    divergence = functional.kl_div(
        functional.log_softmax(student / temperature, dim=axis),
        functional.log_softmax(teacher / temperature, dim=axis),
        reduction="sum",
        log_target=True,
    )
    return divergence * (temperature**2 * student.shape[axis] / student.numel())


def _label_loss(student: Tensor, targets: Tensor, axis: int | None) -> Tensor:
    """Gives the cross entropy of class numbers, those below 0 left out, or values' squared error."""
    if axis is None:
        return functional.mse_loss(student, targets) / (targets.square().mean() + 1e-12)
    summed = functional.cross_entropy(student.movedim(axis, 1), targets.clamp(min=-1), ignore_index=-1, reduction="sum")
    return summed / (targets >= 0).sum().clamp(min=1)


def _rate(step: int, recipe: Recipe) -> float:
    warmup = max(1, min(recipe.warmup_steps, recipe.steps // 10))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, recipe.steps - warmup)))


def _order(count: int, recipe: Recipe, seed: int) -> Iterator[np.ndarray]:
    """Gives the indices of each batch: a fresh permutation every epoch, batches running on across epochs."""
    generator = np.random.default_rng(seed)
    pool = np.empty(0, np.int64)
    left = recipe.samples
    while left > 0:
        size = min(recipe.batch, left)
        while len(pool) < size:
            pool = np.concatenate([pool, generator.permutation(count)])
        yield pool[:size]
        pool, left = pool[size:], left - size


def _rms(parameter: Tensor) -> float:
    return max(float(parameter.detach().square().mean().sqrt()), _SMALLEST_RMS)
