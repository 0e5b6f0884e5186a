"""The price of every layer at every pair of widths, and of whole policies."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from haqc.budget import Cost
from haqc.costmodel.flat import FlatPrices
from haqc.costmodel.memory import Schedule
from haqc.errors import PolicyError
from haqc.graph import FULL_BITS, Graph, Layer
from haqc.policy import Bits, Policy

Integers = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LayerCost:
    """What one layer costs for one batch.

    Attributes:
        layer: the layer.
        bits: the widths it is priced at; 8/8 when it is kept in float.
        cycles: clock cycles.
        latency_s: time in seconds.
        energy_j: energy in joules; the sum of ``energy_parts_j``.
        weight_bytes: stored weights, packed; 0 where they were counted at an earlier layer.
        energy_parts_j: energy by part.
    """

    layer: Layer
    bits: Bits
    cycles: int
    latency_s: float
    energy_j: float
    weight_bytes: float
    energy_parts_j: Mapping[str, float]


@dataclass(frozen=True)
class CostTable:
    """Prices of a graph's layers on one target, for one batch. Made by :func:`haqc.costmodel.build_table`.

    Layers that are kept in float have the price of 8/8 in every cell: the hardware has no float.

    Attributes:
        graph: the priced graph.
        batch: inferences of one batch.
        mode: mode of the cost model.
        weight_bits, activation_bits, output_bits: the axes. ``output_bits`` has length 1 on hardware that writes at
            one width whatever reads it; this class knows no other hardware.
        cycles: clock cycles, int64 [layer, weight, activation, output].
        latency_s: seconds, like ``cycles``.
        energy_parts_j: joules by part, each like ``cycles``.
        weight_bytes: packed bytes of the stored weights, int64 [layer, weight].
    """

    graph: Graph
    batch: int
    mode: str
    weight_bits: tuple[int, ...]
    activation_bits: tuple[int, ...]
    output_bits: tuple[int, ...]
    cycles: Integers
    latency_s: Reals
    energy_parts_j: Mapping[str, Reals]
    weight_bytes: Integers

    def __post_init__(self) -> None:
        shape = (len(self.graph.layers), len(self.weight_bits), len(self.activation_bits), 1)
        for array in (self.cycles, self.latency_s, *self.energy_parts_j.values(), self.weight_bytes):
            if array.shape != shape[: array.ndim]:
                raise ValueError(f"a cost table of shape {shape} cannot hold an array of shape {array.shape}")
            array.flags.writeable = False

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names of the layers, in graph order."""
        return tuple(layer.name for layer in self.graph.layers)

    @cached_property
    def energy_j(self) -> Reals:
        """Joules, [layer, weight, activation, output]: the sum of the parts."""
        total = np.sum(list(self.energy_parts_j.values()), axis=0)
        total.flags.writeable = False
        return np.asarray(total, np.float64)

    @cached_property
    def schedule(self) -> Schedule:
        """Lifetimes of the activation tensors, for one batch."""
        return Schedule.of(self.graph, self.batch)

    def price(self, policy: Policy) -> Cost:
        """Prices a policy.

        Raises:
            PolicyError: the policy is of another graph, or has a width that the target lacks.
        """
        if policy.graph is not self.graph and policy.graph != self.graph:
            raise PolicyError(
                f"the policy is for model '{policy.graph.name}' and the prices are for '{self.graph.name}', or their "
                "layers differ; make the policy again for this model"
            )
        width = policy.widths.get
        pairs = [(width(layer.weight, FULL_BITS), width(layer.activation, FULL_BITS)) for layer in self.graph.layers]
        energy_j, latency_s, weight_bytes, _ = self._flat.total(pairs)
        if math.isnan(energy_j):
            raise self._refusal(pairs)
        return Cost(energy_j, latency_s, weight_bytes, self.schedule.peak_bytes(policy.widths))

    def price_many(
        self, weight_bits: npt.NDArray[np.uint8], activation_bits: npt.NDArray[np.uint8]
    ) -> dict[str, Reals]:
        """Prices many policies at once, to the last bit as :meth:`price` does; without peak memory.

        Args:
            weight_bits, activation_bits: widths, uint8 [layer, policy]; those of float layers do not matter.

        Returns:
            ``energy_j``, ``latency_s`` and ``weight_bytes``, each [policy].

        Raises:
            ValueError: the arrays are not uint8, or do not have one row per layer.
            PolicyError: a width is one that the target lacks.
        """
        for widths in (weight_bits, activation_bits):
            if widths.dtype != np.uint8 or widths.shape != (len(self.graph.layers), weight_bits.shape[-1]):
                raise ValueError(f"widths must be uint8 [layer, policy], not {widths.dtype} {widths.shape}")
        totals = self._flat.totals(weight_bits, activation_bits)
        wrong = np.flatnonzero(np.isnan(totals[:, 0]))
        if wrong.size:
            pairs = zip(weight_bits[:, wrong[0]].tolist(), activation_bits[:, wrong[0]].tolist(), strict=True)
            raise self._refusal(list(pairs))
        return {"energy_j": totals[:, 0].copy(), "latency_s": totals[:, 1].copy(), "weight_bytes": totals[:, 2].copy()}

    def layer_costs(self, policy: Policy) -> tuple[LayerCost, ...]:
        """Prices each layer of a policy, in graph order.

        Raises:
            PolicyError: like :meth:`price`.
        """
        self.price(policy)
        return tuple(self._layer_cost(place, layer, policy) for place, layer in enumerate(self.graph.layers))

    def _layer_cost(self, place: int, layer: Layer, policy: Policy) -> LayerCost:
        bits = Bits(FULL_BITS, FULL_BITS) if layer.float_reason else policy.bits(layer)
        # A float layer's price stands in every cell, so the first one does where 8 bits are no cell of their own.
        weight = 0 if layer.float_reason else self.weight_bits.index(bits.weight)
        activation = 0 if layer.float_reason else self.activation_bits.index(bits.activation)
        cell = (place, weight, activation, 0)
        return LayerCost(
            layer=layer,
            bits=bits,
            cycles=int(self.cycles[cell]),
            latency_s=float(self.latency_s[cell]),
            energy_j=float(self.energy_j[cell]),
            weight_bytes=float(self.weight_bytes[place, weight]),
            energy_parts_j={part: float(energy[cell]) for part, energy in self.energy_parts_j.items()},
        )

    @cached_property
    def _flat(self) -> FlatPrices:
        energy_j = self.energy_j[..., 0]
        return FlatPrices.lay_out(
            energy_j,
            self.latency_s[..., 0],
            np.broadcast_to(self.weight_bytes[..., None], energy_j.shape).astype(np.float64),
            weight_bits=self.weight_bits,
            activation_bits=self.activation_bits,
            fixed=np.array([bool(layer.float_reason) for layer in self.graph.layers]),
        )

    def _refusal(self, pairs: list[tuple[int, int]]) -> PolicyError:
        """Makes the error for the first layer whose widths the target lacks."""
        for layer, (weight, activation) in zip(self.graph.layers, pairs, strict=True):
            offered = weight in self.weight_bits and activation in self.activation_bits
            if not offered and not layer.float_reason:
                return PolicyError(
                    f"layer '{layer.name}' has {weight}/{activation} bits (weights/activations), and the target offers "
                    f"weights of {_listed(self.weight_bits)} and activations of {_listed(self.activation_bits)}; "
                    "choose among these"
                )
        return PolicyError("a layer that is kept in float has a width over 8 bits; give its operands 8")


def _listed(widths: tuple[int, ...]) -> str:
    return ", ".join(map(str, widths))
