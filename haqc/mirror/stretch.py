"""Stretches of a mirror: the parts between two tensors through which everything passes, run on their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from haqc.mirror.module import Mirror, Quantiser
from haqc.mirror.step import Step


@dataclass(frozen=True)
class Stretch:
    """The steps that compute one tensor from others.

    Attributes:
        mirror: the mirror it is a part of.
        given: tensors it starts from: what the stretch before it gives, and the graph inputs that it reads.
        wanted: the tensor it computes.
        steps: what is run, in order.
        constants: names of the initialisers it reads.
    """

    mirror: Mirror
    given: tuple[str, ...]
    wanted: str
    steps: tuple[Step, ...]
    constants: tuple[str, ...]

    @classmethod
    def of(cls, mirror: Mirror, given: tuple[str, ...], wanted: str) -> Stretch:
        """Finds the steps that the wanted tensor needs once the given ones are known."""
        steps = _needed(mirror.steps, given, wanted)
        read = {wanted}.union(*(step.inputs for step in steps))
        constants = tuple(sorted(name for name in read if mirror.has(name)))
        return cls(mirror, tuple(name for name in given if name in read), wanted, steps, constants)

    @property
    def inner(self) -> frozenset[str]:
        """The tensors that its steps read: the given ones, the initialisers and what lies between."""
        return frozenset(name for step in self.steps for name in step.operands if name)

    @property
    def is_differentiable(self) -> bool:
        """Whether gradients pass from the wanted tensor to all its steps."""
        return not any(step.gap for step in self.steps)

    def start(self, known: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """Picks the given tensors, in their order."""
        return tuple(known[name] for name in self.given)

    def run(self, values: tuple[Tensor, ...], quantisers: Mapping[str, Quantiser]) -> Tensor:
        """Gives the wanted tensor, before its quantiser.

        Args:
            values: the given tensors, before their quantisers.
            quantisers: what every reader of a tensor sees in its place, by name.
        """
        known: dict[str, Tensor] = {}

        def write(name: str, tensor: Tensor) -> None:
            quantiser = quantisers.get(name)
            known[name] = tensor if quantiser is None or name == self.wanted else quantiser(tensor)

        for name in self.constants:
            write(name, self.mirror.value(name))
        for name, value in zip(self.given, values, strict=True):
            write(name, value)
        for step in self.steps:
            for name, tensor in zip(step.outputs, step.run(known), strict=False):
                if name and name not in self.given:
                    write(name, tensor)
        return known[self.wanted]


def divide(mirror: Mirror, last: str, layered: Iterable[str]) -> tuple[Stretch, ...]:
    """Divides the way to a tensor into stretches, as short as they can be.

    A stretch ends at a tensor through which alone everything later depends on the layers before it: behind a residual
    block, not inside. What follows from the graph inputs without any layer, as masks do, is computed again in every
    stretch that reads it. What reads none of the named initialisers joins the stretch before it, or after it at the
    start: an activation function belongs to its layer.

    Args:
        mirror: the mirror.
        last: the tensor at the end.
        layered: initialisers of which every stretch reads at least one.
    """
    wanted = set(layered)
    starts, ends, start = [mirror.inputs], [""], mirror.inputs
    is_layered = False
    for cut in (*_layered_cuts(mirror, last, wanted), last):
        if not wanted.isdisjoint(Stretch.of(mirror, start, cut).inner):
            if is_layered:
                starts.append(start)
                ends.append(cut)
            is_layered = True
        ends[-1] = cut
        start = (cut, *mirror.inputs)
    return tuple(Stretch.of(mirror, start, end) for start, end in zip(starts, ends, strict=True))


def _needed(steps: tuple[Step, ...], given: Iterable[str], wanted: str) -> tuple[Step, ...]:
    known, needed, kept = set(given), {wanted}, []
    for step in reversed(steps):
        if any(name in needed and name not in known for name in step.outputs):
            kept.append(step)
            needed.update(name for name in step.inputs if name)
    return tuple(reversed(kept))


def cuts(mirror: Mirror, last: str) -> list[str]:
    """Gives the tensors that alone are alive behind some step, in order, without the last."""
    steps = _needed(mirror.steps, mirror.inputs, last)
    last_use = {name: index for index, step in enumerate(steps) for name in step.inputs if name}
    moving, alive = set(mirror.inputs), set(mirror.inputs)
    found: list[str] = []
    for index, step in enumerate(steps):
        if not moving.isdisjoint(step.inputs):  # what comes of constants alone is computed wherever it is needed
            written = {name for name in step.outputs if name in last_use}
            moving |= written
            alive |= written
        alive = {name for name in alive if last_use.get(name, -1) > index}
        if len(alive) == 1 and (cut := next(iter(alive))) not in (*mirror.inputs, *found[-1:]):
            found.append(cut)
    return found


def _layered_cuts(mirror: Mirror, last: str, layered: Iterable[str]) -> list[str]:
    """Gives the tensors that alone are alive behind some step and follow from a layer, in order, without the last."""
    steps = _needed(mirror.steps, mirror.inputs, last)
    last_use = {name: index for index, step in enumerate(steps) for name in step.inputs if name}
    moving, trained = set(mirror.inputs), set(layered)  # what follows from the graph inputs, and from weights
    alive: set[str] = set()
    cuts: list[str] = []
    for index, step in enumerate(steps):
        written = {name for name in step.outputs if name in last_use}
        moves, is_trained = not moving.isdisjoint(step.operands), not trained.isdisjoint(step.operands)
        moving |= written if moves else set()
        trained |= written if is_trained else set()
        alive |= written if moves and is_trained else set()  # the rest is computed wherever it is needed
        alive = {name for name in alive if last_use[name] > index}
        if len(alive) == 1 and (cut := next(iter(alive))) not in cuts[-1:]:
            cuts.append(cut)
    return cuts


def carries_batch(mirror: Mirror, stretches: tuple[Stretch, ...], inputs: tuple[Tensor, ...]) -> bool:
    """Whether every stretch hands on floating-point numbers with one entry per sample along the first axis."""
    known = given = dict(zip(mirror.inputs, inputs, strict=True))
    with torch.no_grad():
        for stretch in stretches:
            value = stretch.run(stretch.start(known), {})
            if not isinstance(value, Tensor) or not value.is_floating_point():
                return False
            if value.ndim == 0 or len(value) != len(inputs[0]):
                return False
            known = {**given, stretch.wanted: value}
    return True
