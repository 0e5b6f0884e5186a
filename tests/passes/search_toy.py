"""Searches whose answers are known: small chains of layers with closed-form costs and accuracies."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from haqc.budget import Budget, Cost, Limit, Metric
from haqc.graph import Graph, Layer, Operand, Operation
from haqc.policy import Bits, Policy, Space
from haqc.precision import Precision
from haqc.score import Score
from haqc.terms import FIGURES, Axis, Moment, Terms, gather

FLOAT_ACCURACY = 90.0


def chain(count: int, seed: int = 0) -> Graph:
    """Layers ``l0..``, where ``l<i>`` reads ``t<i>`` and ``w<i>`` and writes ``t<i+1>``."""
    draw = np.random.default_rng(seed)
    channels = [int(c) for c in draw.integers(4, 64, count + 1)]
    sides = sorted((int(s) for s in draw.integers(4, 32, count + 1)), reverse=True)
    layers, operands, operations = [], [], []
    for i in range(count):
        is_depthwise = i % 3 == 1
        if is_depthwise:
            channels[i + 1] = channels[i]
        groups = channels[i] if is_depthwise else 1
        reduction, columns = 9 * channels[i] // groups, channels[i + 1] // groups
        layers.append(
            Layer(
                name=f"l{i}",
                op="Conv",
                nodes=(f"l{i}",),
                activation=f"t{i}",
                weight=f"w{i}",
                output=f"t{i + 1}",
                in_channels=channels[i],
                out_channels=channels[i + 1],
                kernel=(3, 3),
                stride=(1, 1),
                groups=groups,
                rows=sides[i + 1] ** 2,
                reduction=reduction,
                columns=columns,
                weight_values=groups * reduction * columns,
                bias_values=channels[i + 1],
                feature_size=sides[i] ** 2,
            )
        )
        operands.append(Operand(f"w{i}", "weight", (f"l{i}",), groups * reduction * columns))
        operands.append(Operand(f"t{i}", "activation", (f"l{i}",), channels[i] * sides[i] ** 2))
        operations.append(Operation(f"l{i}", "Conv", (f"t{i}",), (f"t{i + 1}",), f"l{i}"))
    return Graph(
        name="toy",
        layers=tuple(layers),
        operands=tuple(operands),
        operations=tuple(operations),
        tensor_values={f"t{i}": channels[i] * sides[i] ** 2 for i in range(count + 1)},
        inputs=("t0",),
        outputs=(f"t{count}",),
        last_layers=(f"l{count - 1}",),
    )


def price(policy: Policy) -> Cost:
    """Energy as products of widths, latency as the slowest of three streams, packed sizes, and the peak of tensors."""
    energy = latency = size = peak = 0.0
    for layer, bits in zip(policy.graph.layers, policy.layer_bits, strict=True):
        read = policy.graph.tensor_values[layer.activation]
        written = policy.graph.tensor_values[layer.output]
        energy += layer.macs * bits.weight * bits.activation * 1e-12
        latency += max(
            layer.macs * bits.weight * bits.activation / 6e3, read * bits.activation, layer.weight_values * bits.weight
        )
        size += layer.weight_values * bits.weight / 8
        peak = max(peak, read * bits.activation / 8 + written * policy.widths.get(layer.output, 8) / 8)
    return Cost(energy, latency * 1e-9, size, peak)


def terms(space: Space, price: Callable[[Policy], Cost] = price) -> Terms:
    """The same price as a sum, read off the policies that differ from the widest in one layer."""
    graph, widest = space.graph, space.widest
    parts = []
    moments = []
    for layer in graph.layers:
        axis = Axis.of(space, (layer.weight, layer.activation))
        alone = replace(graph, layers=(layer,), operations=())
        costs = np.full((*axis.shape, FIGURES), np.inf)
        for place in np.ndindex(*axis.shape):
            chosen = {t: space.free_widths[t][i] for t, i in zip(axis.tensors, place, strict=True)}
            widths = {**widest.widths, **chosen}
            bits = Bits(widths[layer.weight], widths[layer.activation])
            if space.precision.allows(bits.weight, bits.activation):
                cost = price(Policy(alone, widths))
                costs[place] = cost.energy_j, cost.latency_s, cost.weight_bytes
        parts.append((axis.tensors, costs))
        constant, stored = 0.0, {}
        for tensor in (layer.activation, layer.output):
            if tensor in space.free_widths:
                stored[tensor] = graph.tensor_values[tensor] * np.array(space.free_widths[tensor]) / 8
            else:
                constant += graph.tensor_values[tensor] * widest.widths.get(tensor, 8) / 8
        moments.append(Moment(constant, stored))
    return gather(space, parts, moments)


def same(accuracy: float) -> Score:
    """What a policy scores whose accuracy is all there is to say."""
    return Score(accuracy, accuracy)


@dataclass(frozen=True)
class Toy:
    """A space with accuracies that fall by an error per operand and by an interaction of neighbouring ones."""

    space: Space
    error: dict[str, float]
    interaction: float = 0.0

    def accuracy(self, policy: Policy) -> float:
        """In percent."""
        tensors = [choice.operand.tensor for choice in self.space.free]
        lost = [self.lost(tensor, policy.widths[tensor]) for tensor in tensors]
        pairs = sum(math.sqrt(a * b) for a, b in itertools.pairwise(lost))
        return float(FLOAT_ACCURACY - sum(lost) - self.interaction * pairs)

    def lost(self, tensor: str, width: int) -> float:
        """Points that one operand alone costs."""
        return self.error[tensor] * math.pow(2.0, 2 - width)

    def evaluate(self, policies: Sequence[Policy]) -> list[Score]:
        return [same(self.accuracy(policy)) for policy in policies]

    @property
    def sensitivity(self) -> dict[tuple[str, int], float]:
        return {(c.operand.tensor, b): self.lost(c.operand.tensor, b) for c in self.space.free for b in c.widths}


def toy(
    count: int,
    seed: int = 0,
    *,
    weights: tuple[int, ...] = (2, 3, 4, 5, 6, 7, 8),
    activations: tuple[int, ...] = (2, 3, 4, 5, 6, 7, 8),
    pairs: frozenset[tuple[int, int]] | None = None,
    interaction: float = 0.0,
) -> Toy:
    """A chain with the default pins, and errors that go with what a layer is, as they do in networks.

    Data is more sensitive than weights, depthwise layers more than others, early ones more than late ones; and there
    is a part that nothing explains.
    """
    space = Space.of(chain(count, seed), Precision(weights, activations, pairs))
    draw = np.random.default_rng(seed + 1)
    error = {}
    for choice in space.choices:
        layer = space.graph.layer[choice.operand.layers[0]]
        place = space.graph.layers.index(layer) / count
        explained = 0.8 * layer.is_depthwise + 0.5 * (choice.operand.kind == "activation") - place
        error[choice.operand.tensor] = float(10 ** (explained + 0.3 * draw.standard_normal()))
    return Toy(space, error, interaction)


def within(space: Space, **fractions: float) -> Budget:
    """A budget so far from the cost of the narrowest policy (0) to that of the widest (1)."""
    least, most = price(space.narrowest), price(space.widest)
    limits = [
        Limit(metric, least.value(metric) + f * (most.value(metric) - least.value(metric)), f"{metric}={f}")
        for metric, f in _metrics(fractions)
    ]
    return Budget(tuple(limits))


def optimum(toy: Toy, budget: Budget) -> float:
    """The best accuracy within a budget, by trying everything."""
    tensors = [choice.operand.tensor for choice in toy.space.free]
    found = []
    for widths in itertools.product(*(choice.widths for choice in toy.space.free)):
        policy = toy.space.policy(dict(zip(tensors, widths, strict=True)))
        if budget.allows(price(policy)):
            found.append(toy.accuracy(policy))
    return max(found)


def _metrics(fractions: dict[str, float]) -> list[tuple[Metric, float]]:
    known: tuple[Metric, ...] = ("energy", "latency", "size", "memory")
    return [(metric, fractions[metric]) for metric in known if metric in fractions]
