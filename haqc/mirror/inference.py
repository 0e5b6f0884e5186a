"""A mirror whose parameters and quantisers stay as they are: what depends on them alone is computed once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from haqc.mirror.module import Mirror, Quantiser
from haqc.mirror.step import Step

_GROWTH = 2
"""A result that is computed once may be this many times as large as what it is computed from."""


class Inference:
    """Runs a mirror without gradients, or only the part of it that what is known already leaves open.

    The same steps on the same values give the same floats, whatever part is run: nothing depends on where a value
    comes from.
    """

    def __init__(self, mirror: Mirror, quantisers: Mapping[str, Quantiser], stored: Mapping[str, Tensor]) -> None:
        """Quantises what is stored, and runs what depends on nothing else.

        Args:
            mirror: the mirror; its parameters must not change afterwards.
            quantisers: what every reader of a tensor sees in its place, by name. Those with a method ``fixed`` give
                their form for steps that stay.
            stored: what is known already of initialisers, as their readers see them, and of what depends on nothing
                else, by name.
        """
        self._mirror = mirror
        self._quantisers = {name: _fixed(quantiser) for name, quantiser in quantisers.items()}
        kernels = mirror.kernels
        with torch.inference_mode():
            self._values: dict[str, Any] = {
                name: stored[name]
                if name in stored
                else _laid_out(self._seen(name, mirror.value(name)), name in kernels)
                for name in mirror.stored
            }
            self._results: dict[str, Any] = {}
            self._steps = tuple(step for step in mirror.steps if not self._ran(step))
        self._plans: dict[tuple[frozenset[str], tuple[str, ...]], tuple[Step, ...]] = {}

    @property
    def stored(self) -> Mapping[str, Any]:
        """The initialisers as their readers see them, by name."""
        return {name: self._values[name] for name in self._mirror.stored}

    @torch.inference_mode()
    def run(self, given: Mapping[str, Any], wanted: tuple[str, ...]) -> dict[str, Any]:
        """Gives the tensors that are wanted, before their quantisers.

        Args:
            given: the graph's inputs, and any other tensors that are known, before their quantisers, by name.
            wanted: names of tensors that a step computes, or that are given.
        """
        values = dict(self._values)
        sources = (self._values, self._results, given)
        kept = {name: source[name] for source in sources for name in wanted if name in source}
        for name, value in given.items():
            values[name] = self._seen(name, value)
        for step in self._plan(frozenset(given), wanted):
            for name, value in zip(step.outputs, step.run(values), strict=False):
                if name and name not in given:
                    if name in wanted:
                        kept[name] = value
                    values[name] = self._seen(name, value)
            for name in step.dead:
                del values[name]
        return kept

    def downstream(self, names: Collection[str]) -> frozenset[str]:
        """Gives what is computed from some tensors, directly or not; of these tensors, those that others lead to."""
        sources, reached = set(names), set[str]()
        for step in self._mirror.steps:
            if not sources.isdisjoint(step.inputs):
                outputs = {name for name in step.outputs if name}
                sources |= outputs
                reached |= outputs
        return frozenset(reached)

    def varied(self, quantisers: Mapping[str, Quantiser], known: Mapping[str, Tensor]) -> Inference:
        """Gives the network with other quantisers, those of this one left out.

        What is stored and none of the two quantises is shared.

        Args:
            quantisers: the other quantisers.
            known: initialisers that were quantised by them before, by name.
        """
        changed = {*self._quantisers, *quantisers}
        changed |= self.downstream(changed)
        kept = {name: value for name, value in self._values.items() if name not in changed}
        return Inference(self._mirror, quantisers, {**kept, **known})

    def _seen(self, name: str, value: Any) -> Any:
        quantiser = self._quantisers.get(name)
        return value if quantiser is None else quantiser(value)

    def _ran(self, step: Step) -> bool:
        """Runs a step that reads nothing but what is known, unless its results are much larger than that."""
        inputs = [name for name in step.inputs if name]
        if all(name in self._values for name in step.outputs if name):
            return True
        if not inputs or not all(name in self._values for name in inputs):
            return False
        results = dict(zip(step.outputs, step.run(self._values), strict=False))
        if _size(results.values()) > _GROWTH * _size(self._values[name] for name in inputs):
            return False
        self._results.update({name: value for name, value in results.items() if name})
        self._values.update({name: self._seen(name, value) for name, value in results.items() if name})
        return True

    def _plan(self, given: frozenset[str], wanted: tuple[str, ...]) -> tuple[Step, ...]:
        """Gives the steps that are left to run, each with what nobody reads after it."""
        key = given, wanted
        if key not in self._plans:
            needed, read, steps = set(wanted), set(wanted), list[Step]()
            for step in reversed(self._steps):
                if any(name in needed and name not in given for name in step.outputs):
                    names = {name for name in (*step.inputs, *step.outputs) if name}
                    dead = names - read - self._values.keys()
                    read |= names
                    needed.update(name for name in step.inputs if name)
                    steps.append(replace(step, dead=tuple(sorted(dead))))
            self._plans[key] = tuple(reversed(steps))
        return self._plans[key]


def _fixed(quantiser: Quantiser) -> Quantiser:
    make = getattr(quantiser, "fixed", None)
    return quantiser if make is None else make()


def _laid_out(value: Any, is_kernel: bool) -> Any:
    """Gives kernels with their channels last: convolutions then keep their data so, which spares copies."""
    return value.contiguous(memory_format=torch.channels_last) if is_kernel and value.ndim == 4 else value


def _size(values: Any) -> int:
    return sum(value.numel() if isinstance(value, Tensor) else 1 for value in values)
