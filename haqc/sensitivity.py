"""What quantising one operand alone does: to the layers that read it, to the network's output, and to its accuracy.

The float network runs once over the samples and what it computes is kept; for every operand and width only what lies
behind the operand is run again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from haqc.calibration import Calibration
from haqc.data.split import Split
from haqc.effect import Share
from haqc.graph import Graph, Layer
from haqc.metrics import Metric
from haqc.mirror.codebook import CodebookQuantiser
from haqc.mirror.inference import Inference
from haqc.mirror.module import Mirror, Quantiser
from haqc.mirror.quantised import ActivationQuantiser, WeightQuantiser

KEPT_VALUES = 1 << 26
"""Values of the float network that are kept at most; what is left out is computed again when it is needed."""


@dataclass(frozen=True, slots=True)
class _Reader:
    """A layer: what it gives, what it reads and computes, and the sum of the squares of what it gives in float."""

    output: str
    reads: frozenset[str]
    computes: frozenset[str]
    square: float


class Exact:
    """The float network on one run of samples, and what becomes of it when one operand is quantised."""

    def __init__(
        self, mirror: Mirror, graph: Graph, calibration: Calibration, logits: str, split: Split, metric: Metric
    ) -> None:
        """Runs the float network.

        Args:
            mirror: the network.
            graph: its layers.
            calibration: grids of every operand at every width that is asked for.
            logits: the output.
            split: the samples, no more than one run takes.
            metric: says whether the output is a row of classes, and whether labels tell the right one.
        """
        self._mirror, self._graph, self._calibration, self._logits = mirror, graph, calibration, logits
        ((inputs, self._count),) = split.runs(max(1, len(split)))
        self._metric, self._labels = metric, split.labels if metric.traits.needs_labels else None
        self._network = Inference(mirror, {}, {})
        given: dict[str, Any] = dict(zip(mirror.inputs, mirror.tensors(inputs), strict=True))
        self._computed = frozenset(name for step in mirror.steps for name in step.outputs)
        wanted = dict.fromkeys([*_kept(graph, self._computed, len(inputs[0])), logits])
        self._known_readers: dict[str, _Reader] = {}
        self._values = given | self._network.run(given, tuple(wanted))

    @property
    def logits(self) -> np.ndarray:
        """The float network's output, shape ``[N, ...]``."""
        return self._array(self._values[self._logits])

    def share(self, tensor: str, bits: int, spread: float) -> Share:
        """Quantises an operand, and those that share its width.

        Args:
            tensor: the operand.
            bits: its width.
            spread: what squared errors of the output are relative to, over all samples.
        """
        names = self._graph.sharing(tensor)
        network = self._network.varied({name: self._quantiser(name, bits) for name in names}, {})
        later = self._network.downstream(names)
        known = {name: value for name, value in self._values.items() if name not in later}
        readers = self._readers(names)
        found = network.run(known, tuple(dict.fromkeys((self._logits, *(reader.output for reader in readers)))))
        errors = []
        for reader in readers:
            output = found[reader.output]
            if not later.isdisjoint(reader.reads):  # its data are not exact any more
                exact = {name: value for name, value in self._values.items() if name not in reader.computes}
                output = network.run(exact, (reader.output,))[reader.output]
            errors.append(_squares(output - self._exact(reader.output)))
        logits = self._array(found[self._logits])
        return Share(
            output=float(np.square(logits - self.logits, dtype=np.float64).sum()) / spread,
            layer_error=sum(errors),
            layer_square=sum(reader.square for reader in readers),
            lost=self._lost(logits),
        )

    def _readers(self, names: Iterable[str]) -> list[_Reader]:
        """Gives the layers that read some operands, and whose output the mirror computes."""
        wanted = set(names)
        return [
            self._reader(layer)
            for layer in self._graph.quantised_layers
            if not wanted.isdisjoint((layer.weight, layer.activation)) and layer.output in self._computed
        ]

    def _reader(self, layer: Layer) -> _Reader:
        if layer.name not in self._known_readers:
            nodes = set(layer.nodes)
            steps = [step for step in self._mirror.steps if step.name in nodes]
            computes = frozenset(name for step in steps for name in step.outputs)
            reads = frozenset(name for step in steps for name in step.inputs).difference(computes)
            square = _squares(self._exact(layer.output))
            self._known_readers[layer.name] = _Reader(layer.output, reads, computes, square)
        return self._known_readers[layer.name]

    def _exact(self, name: str) -> Tensor:
        """Gives a tensor of the float network, kept or computed again."""
        value: Tensor = self._network.run(self._values, (name,))[name]
        return value

    def _lost(self, found: np.ndarray) -> float | None:
        """Gives how many samples are right no more, less those that are now."""
        exact = self.logits
        if exact.ndim != 2 or self._metric.class_axis(self._labels, exact.shape) != 1:
            return None
        right = exact.argmax(axis=1) if self._labels is None else self._labels.reshape(-1)
        return float((exact.argmax(axis=1) == right).sum()) - float((found.argmax(axis=1) == right).sum())

    def _quantiser(self, tensor: str, bits: int) -> Quantiser:
        calibration = self._calibration
        if (tensor, bits) in calibration.codebooks:
            weight = self._mirror.value(tensor)
            return CodebookQuantiser(calibration.codebooks[tensor, bits], weight, bits).to(self._mirror.device)
        if (tensor, bits) in calibration.weights:
            return WeightQuantiser(calibration.weights[tensor, bits], bits).to(self._mirror.device)
        return ActivationQuantiser(calibration.activations[tensor, bits], bits).to(self._mirror.device)

    def _array(self, value: Tensor) -> np.ndarray:
        array: np.ndarray = value.cpu().numpy()
        return array[: self._count]


def spread(logits: np.ndarray) -> float:
    """Gives the squared distance of outputs ``[N, ...]`` from their mean; 1 where they are all the same."""
    return float(np.square(logits - logits.mean(axis=0), dtype=np.float64).sum()) or 1.0


def parts(split: Split, run: int) -> int:
    """Gives the number of runs that some samples take."""
    return -(-len(split) // (split.samples_per_run or run))


def part(split: Split, run: int, index: int) -> Split:
    """Gives the samples of one of these runs."""
    size = split.samples_per_run or run
    return split.take(slice(index * size, (index + 1) * size))


def _squares(tensor: Tensor) -> float:
    return float(torch.linalg.vector_norm(tensor, dtype=torch.float64) ** 2)


def _kept(graph: Graph, computed: Collection[str], samples: int) -> list[str]:
    """Chooses what to keep of the float network: all that is stored between layers, or evenly spaced tensors of it."""
    sizes = {name: size for name, size in graph.tensor_values.items() if name in computed}
    stride = max(1, -(-sum(sizes.values()) * samples // KEPT_VALUES))
    return list(sizes)[::stride]
