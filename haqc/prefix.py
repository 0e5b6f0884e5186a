"""Runs policies at unchanged parameters: quantised weights are reused, and what the first layers gave where they agree.

A result does not depend on what is reused: the same steps on the same values give the same floats.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from haqc.data.split import Split
from haqc.graph import Graph
from haqc.mirror.inference import Inference
from haqc.mirror.module import Mirror
from haqc.mirror.quantised import QuantisedMirror
from haqc.mirror.stretch import Stretch, cuts
from haqc.recall import Recall

WEIGHT_BYTES = 1 << 27
"""Memory for quantised weights, per process."""

PREFIX_BYTES = 1 << 28
"""Memory for what the first layers gave, per process."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A tensor through which everything passes.

    Attributes:
        tensor: its name.
        operands: operands whose widths its value depends on.
    """

    tensor: str
    operands: tuple[str, ...]


class Prefixes:
    """The float network, with what is remembered of the policies that ran before."""

    def __init__(self, mirror: Mirror, graph: Graph, outputs: tuple[str, ...], split: Split, run: int) -> None:
        """Finds the tensors that are worth keeping.

        Args:
            mirror: the network; whenever something is run, its parameters are those it has now.
            graph: its layers.
            outputs: what is wanted of every run.
            split: the samples that every policy runs on.
            run: samples that run together at most.
        """
        self._mirror, self._outputs, self._split, self._run = mirror, outputs, split, run
        self._float = Inference(mirror, {}, {})
        self._weights, self._prefixes = Recall(WEIGHT_BYTES), Recall(PREFIX_BYTES)
        self._cuts = tuple(_worthwhile(mirror, graph, outputs, len(split)))

    def runs(self, network: QuantisedMirror) -> Iterator[tuple[np.ndarray, ...]]:
        """Yields the outputs for run after run of the samples, in order, shapes ``[samples, ...]``.

        Args:
            network: the mirror at a policy, as it was calibrated.
        """
        inference, widths = self._quantised(network), network.policy.widths
        for index, (inputs, count) in enumerate(self._split.runs(self._run)):
            given: dict[str, Tensor] = dict(zip(self._mirror.inputs, self._mirror.tensors(inputs), strict=True))
            missing: dict[str, Hashable] = {}
            for cut in self._cuts:
                key: Hashable = (index, cut.tensor, *(widths[operand] for operand in cut.operands))
                value = self._prefixes.get(key)
                if value is None:
                    missing[cut.tensor] = key
                else:  # nothing before it is needed
                    given[cut.tensor], missing = value, {}
            found = inference.run(given, tuple(dict.fromkeys((*self._outputs, *missing))))
            for tensor, key in missing.items():
                self._prefixes.put(key, found[tensor])
            yield tuple(found[tensor].cpu().numpy()[:count] for tensor in self._outputs)

    def _quantised(self, network: QuantisedMirror) -> Inference:
        """Gives the network at its policy; weights that were quantised before are taken as they are."""
        keys = {tensor: (tensor, network.policy.widths[tensor]) for tensor in network.weights}
        known = {tensor: value for tensor, key in keys.items() if (value := self._weights.get(key)) is not None}
        inference = self._float.varied(network.quantisers, known)
        for tensor in keys.keys() - known.keys():
            self._weights.put(keys[tensor], inference.stored[tensor])
        return inference


def _worthwhile(mirror: Mirror, graph: Graph, outputs: tuple[str, ...], samples: int) -> Iterator[Cut]:
    """Gives the first cuts whose values fit the memory twice over, those behind a layer that none before is behind."""
    left_bytes, before = PREFIX_BYTES // 2, 0
    for tensor in cuts(mirror, outputs[0]):
        inner = Stretch.of(mirror, mirror.inputs, tensor).inner
        layers = sum(layer.weight in inner for layer in graph.layers)
        if layers > before and tensor in graph.tensor_values:
            left_bytes -= 4 * samples * graph.tensor_values[tensor]
            if left_bytes < 0:
                return
            before = layers
            yield Cut(tensor, tuple(operand.tensor for operand in graph.operands if operand.tensor in inner))
