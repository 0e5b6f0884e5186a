"""The price of every layer at every combination of widths, and of whole policies."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from haqc.budget import Cost
from haqc.costmodel.flat import FlatPrices, Widths
from haqc.costmodel.links import Links
from haqc.costmodel.memory import Schedule
from haqc.costmodel.network import Network, OperationCost
from haqc.costmodel.prices import BOUNDS, Axes, Bound, Integers, Prices, Reals
from haqc.costmodel.storage import Storage
from haqc.costmodel.terms import terms_of
from haqc.errors import PolicyError
from haqc.graph import FULL_BITS, Graph, Layer
from haqc.policy import Bits, Policy, Space, baseline
from haqc.target import Target
from haqc.terms import Terms


@dataclass(frozen=True, slots=True)
class LayerCost:
    """What one layer costs for one batch.

    Attributes:
        layer: the layer.
        bits: the widths it is priced at; 8/8 when it is kept in float.
        output_bits: the width its result is written at.
        cycles: clock cycles.
        latency_s: time in seconds.
        energy_j: energy in joules; the sum of ``energy_parts_j``.
        energy_parts_j: energy by part: ``compute``, ``on_chip``, ``off_chip``, ``leakage``.
        moved_bytes: off-chip traffic: ``activations``, ``weights``, ``outputs``.
        bound: what it is bound by.
        weight_bytes: stored weights, packed; 0 where they were counted at an earlier layer.
        container_bytes: the same in the chip's containers.
        metadata_bytes: scales and zero points of the operands it is the first to read.
    """

    layer: Layer
    bits: Bits
    output_bits: int
    cycles: int | float
    latency_s: float
    energy_j: float
    energy_parts_j: Mapping[str, float]
    moved_bytes: Mapping[str, float]
    bound: Bound
    weight_bytes: float
    container_bytes: float
    metadata_bytes: float


@dataclass(frozen=True)
class CostTable:
    """Prices of a graph's layers on one target, for one batch. Made by :func:`haqc.costmodel.build_table`.

    Arrays are [layer, weight, activation, output]. On hardware without float, layers that are kept in float have the
    price of 8/8 in every cell. Times and energies of pairs that the target does not allow are infinite.

    Attributes:
        graph: the priced graph.
        target: the chip.
        batch: inferences of one batch.
        mode: mode of the cost model.
        axes: the widths.
        prices: what the kind of hardware answered.
        whole: prices of the graph in which nothing is kept in float by the user's word, for the baseline; ``None``
            where nothing is.
    """

    graph: Graph
    target: Target
    batch: int
    mode: str
    axes: Axes
    prices: Prices
    whole: CostTable | None = None

    def __post_init__(self) -> None:
        prices, shape = self.prices, self.shape
        if prices.cycles.shape != shape:
            raise ValueError(f"a cost table of shape {shape} cannot hold cycles of shape {prices.cycles.shape}")
        others = (prices.compute_cycles, prices.memory_cycles)
        for array in (*others, *prices.energy.parts.values(), *prices.moved_bits.parts.values()):
            if len(array.shape) != 4 or any(n not in (1, whole) for n, whole in zip(array.shape, shape, strict=True)):
                raise ValueError(f"a cost table of shape {shape} cannot hold an array of shape {array.shape}")

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Layers, and widths of weights, activations and outputs."""
        return len(self.graph.layers), *self.axes.lengths

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names of the layers, in graph order."""
        return tuple(layer.name for layer in self.graph.layers)

    @cached_property
    def allowed(self) -> npt.NDArray[np.bool_]:
        """Which pairs of widths the target allows, [weight, activation]."""
        allows = self.target.precision.allows
        return np.array([[allows(w, a) for a in self.axes.activation_bits] for w in self.axes.weight_bits])

    @cached_property
    def cycles(self) -> Integers | Reals:
        """Clock cycles; those of pairs that are not allowed mean nothing."""
        return self._settled(self.prices.cycles)

    @cached_property
    def latency_s(self) -> Reals:
        """Seconds."""
        return self._only_allowed(self.cycles / self.target.hardware.clock_hz)

    @cached_property
    def energy_parts_j(self) -> dict[str, Reals]:
        """Joules by part."""
        return {part: self._settled(array) for part, array in self.prices.energy.parts.items()}

    @cached_property
    def energy_j(self) -> Reals:
        """Joules: the sum of the parts."""
        return self._only_allowed(np.sum(list(self.energy_parts_j.values()), axis=0))

    @cached_property
    def moved_bits(self) -> dict[str, Reals]:
        """Off-chip traffic in bits, by operand."""
        return {part: self._settled(array) for part, array in self.prices.moved_bits.parts.items()}

    @cached_property
    def bounds(self) -> npt.NDArray[np.int8]:
        """What binds each cell, as places in :data:`haqc.costmodel.prices.BOUNDS`."""
        return self._settled(self.prices.bounds())

    @cached_property
    def storage(self) -> Storage:
        """Bytes of parameters, by layer and weight width."""
        return Storage.of(self.graph, self.target.precision)

    @cached_property
    def schedule(self) -> Schedule:
        """Lifetimes of the activation tensors, for one batch."""
        return Schedule.of(self.graph, self.batch)

    @cached_property
    def network(self) -> Network:
        """The operators beside the layers."""
        streaming = self.target.hardware.streaming(self.mode)
        return Network(self.graph, self.target.precision, self.batch, streaming)

    def price(self, policy: Policy) -> Cost:
        """Prices a policy.

        Raises:
            PolicyError: the policy is of another graph, or has widths that the target lacks.
        """
        if policy.graph is not self.graph and policy.graph != self.graph:
            raise PolicyError(
                f"the policy is for model '{policy.graph.name}' and the prices are for '{self.graph.name}', or their "
                "layers differ; make the policy again for this model"
            )
        width = policy.widths.get
        pairs = [(width(layer.weight, FULL_BITS), width(layer.activation, FULL_BITS)) for layer in self.graph.layers]
        energy_j, latency_s, weight_bytes, _ = self._flat.total(pairs, self._links.places(policy.widths))
        if math.isnan(energy_j):
            raise self._refusal(pairs)
        rest_j, rest_s = self._links.rest(policy.widths)
        return Cost(energy_j + rest_j, latency_s + rest_s, weight_bytes, self.peak_activation_bytes(policy.widths))

    def peak_activation_bytes(self, widths: Mapping[str, int]) -> float:
        """Gives the peak activation memory of widths by tensor name, each tensor in its container."""
        precision = self.target.precision
        if precision.activation_container != "exact":
            widths = {tensor: precision.activation_container_bits(bits) for tensor, bits in widths.items()}
        return self.schedule.peak_bytes(widths, precision.unquantised_bits)

    def terms(self, space: Space) -> Terms:
        """Gives the cost of every policy of a space of this graph as a sum, see :class:`haqc.terms.Terms`."""
        return terms_of(space, self._flat, self._links, self.schedule, self.target.precision)

    def price_many(self, weight_bits: Widths, activation_bits: Widths) -> dict[str, Reals]:
        """Prices many policies at once, to the last bit as :meth:`price` does; without peak memory.

        Args:
            weight_bits, activation_bits: widths, uint8 [layer, policy]; those of float layers do not matter. What no
                layer reads has its own width.

        Returns:
            ``energy_j``, ``latency_s`` and ``weight_bytes``, each [policy].

        Raises:
            ValueError: the arrays are not uint8, or do not have one row per layer.
            PolicyError: a pair of widths is one that the target lacks.
        """
        for widths in (weight_bits, activation_bits):
            if widths.dtype != np.uint8 or widths.shape != (len(self.graph.layers), weight_bits.shape[-1]):
                raise ValueError(f"widths must be uint8 [layer, policy], not {widths.dtype} {widths.shape}")
        written = self._links.places_many(weight_bits, activation_bits)
        totals = self._flat.totals(weight_bits, activation_bits, written)
        wrong = np.flatnonzero(np.isnan(totals[:, 0]))
        if wrong.size:
            pairs = zip(weight_bits[:, wrong[0]].tolist(), activation_bits[:, wrong[0]].tolist(), strict=True)
            raise self._refusal(list(pairs))
        rest_j, rest_s = self._links.rest({})
        return {
            "energy_j": totals[:, 0] + rest_j,
            "latency_s": totals[:, 1] + rest_s,
            "weight_bytes": totals[:, 2].copy(),
        }

    def layer_costs(self, policy: Policy) -> tuple[LayerCost, ...]:
        """Prices each layer of a policy, in graph order.

        Raises:
            PolicyError: like :meth:`price`.
        """
        self.price(policy)
        places = self._links.places(policy.widths)
        return tuple(
            self._layer_cost(place, layer, policy, written)
            for place, (layer, written) in enumerate(zip(self.graph.layers, places, strict=True))
        )

    @cached_property
    def baseline(self) -> Cost:
        """What budget fractions refer to: the model at 8/8."""
        if self.whole is not None:
            return self.whole.baseline
        return self.price(baseline(self.graph))

    @cached_property
    def baseline_layers(self) -> tuple[LayerCost, ...]:
        """The layers at 8/8, in graph order."""
        if self.whole is not None:
            return self.whole.baseline_layers
        return self.layer_costs(baseline(self.graph))

    def operation_costs(self, policy: Policy) -> tuple[OperationCost, ...]:
        """Prices each operator that is no layer, in the order of the schedule."""
        return self.network.costs(policy.widths)

    def _layer_cost(self, place: int, layer: Layer, policy: Policy, written: int) -> LayerCost:
        bits = Bits(FULL_BITS, FULL_BITS) if layer.float_reason else policy.bits(layer)
        # A float layer's price stands in every cell, so the first one does where 8 bits are no cell of their own.
        weight = 0 if layer.float_reason else self.axes.weight_bits.index(bits.weight)
        activation = 0 if layer.float_reason else self.axes.activation_bits.index(bits.activation)
        cell = (place, weight, activation, written)
        return LayerCost(
            layer=layer,
            bits=bits,
            output_bits=self.axes.output_bits[written],
            cycles=self.cycles[cell].item(),
            latency_s=float(self.latency_s[cell]),
            energy_j=float(self.energy_j[cell]),
            energy_parts_j={part: float(energy[cell]) for part, energy in self.energy_parts_j.items()},
            moved_bytes={part: float(moved[cell]) / 8 for part, moved in self.moved_bits.items()},
            bound=BOUNDS[self.bounds[cell]],
            weight_bytes=float(self.storage.packed_bytes[place, weight]),
            container_bytes=float(self.storage.container_bytes[place, weight]),
            metadata_bytes=float(self.storage.metadata_bytes[place]),
        )

    def _settled(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Gives an array its full shape; where there is no float, a float layer has the price of 8/8 in each cell."""
        full = np.broadcast_to(array, self.shape).copy()
        if not self.target.precision.has_float:
            weight = self.axes.weight_bits.index(FULL_BITS)
            activation = self.axes.activation_bits.index(FULL_BITS)
            full[self._floating] = full[self._floating][:, weight, activation][:, None, None]
        full.flags.writeable = False
        return full

    def _only_allowed(self, array: Reals) -> Reals:
        """Makes pairs that are not allowed infinite."""
        forbidden = ~self.allowed[None] & ~self._floating[:, None, None]
        only = np.where(forbidden[..., None], np.inf, array)
        only.flags.writeable = False
        return only

    @cached_property
    def _floating(self) -> npt.NDArray[np.bool_]:
        return np.array([bool(layer.float_reason) for layer in self.graph.layers], np.bool_)

    @cached_property
    def _links(self) -> Links:
        return Links(self.network, self.axes)

    @cached_property
    def _flat(self) -> FlatPrices:
        energy_j, latency_s = self.energy_j.copy(), self.latency_s.copy()
        self._links.add_streamed(energy_j, latency_s)
        weight_bytes = np.broadcast_to(self.storage.packed_bytes[..., None, None], self.shape)
        return FlatPrices.lay_out(
            np.stack((energy_j, latency_s, weight_bytes.astype(np.float64)), axis=-1),
            weight_bits=self.axes.weight_bits,
            activation_bits=self.axes.activation_bits,
            allowed=self.allowed,
            fixed=self._floating,
        )

    def _refusal(self, pairs: list[tuple[int, int]]) -> PolicyError:
        """Makes the error for the first layer whose widths the target lacks."""
        for layer, (weight, activation) in zip(self.graph.layers, pairs, strict=True):
            if not layer.float_reason and not self.target.precision.allows(weight, activation):
                return PolicyError(
                    f"layer '{layer.name}' has {weight}/{activation} bits (weights/activations), and the target "
                    f"'{self.target.name}' offers {self.target.precision.describe()}; choose among these"
                )
        return PolicyError("a layer that is kept in float has a width over 8 bits; give its operands 8")
