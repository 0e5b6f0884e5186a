"""How the widths of a policy reach the prices: what each layer writes at, and what operators beside the layers move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from haqc.costmodel.flat import Widths
from haqc.costmodel.network import Network
from haqc.costmodel.prices import Axes, Reals
from haqc.errors import PolicyError
from haqc.graph import FULL_BITS


@dataclass(frozen=True)
class Links:
    """The tensors between layers, by who decides their width.

    A layer writes its result at the width of the tensor that it writes: the operand width where the tensor has a
    quantiser (it has one for all that read it, so the largest over the consumers is that), else that of a tensor
    without one.

    Attributes:
        network: the operators beside the layers.
        axes: the widths that are priced.
    """

    network: Network
    axes: Axes

    def places(self, widths: Mapping[str, int]) -> tuple[int, ...]:
        """Gives, by layer, the place of its output width on the axis, for widths by tensor name.

        Raises:
            PolicyError: a layer would write at a width that the target lacks.
        """
        if len(self.axes.output_bits) == 1:
            return self._only_place
        found = []
        for layer, tensor in zip(self.network.graph.layers, self.network.written, strict=True):
            bits = self.bits(tensor, widths)
            if bits not in self.axes.output_bits:
                raise PolicyError(
                    f"layer '{layer.name}' would write '{tensor}' at {bits} bits; the target writes at "
                    f"{', '.join(map(str, self.axes.output_bits))}, so give that tensor one of these"
                )
            found.append(self.axes.output_bits.index(bits))
        return tuple(found)

    def places_many(self, weight_bits: Widths, activation_bits: Widths) -> Widths:
        """Gives the places of the output widths, [layer, policy], from the widths of operands, [layer, policy]."""
        if len(self.axes.output_bits) == 1:
            return weight_bits  # not read: there is only one place
        place_of = np.zeros(256, np.uint8)
        place_of[list(self.axes.output_bits)] = np.arange(len(self.axes.output_bits))
        found = np.empty_like(weight_bits)
        for place, tensor in enumerate(self.network.written):
            if tensor in self._readers:
                is_activation, reader = self._readers[tensor]
                found[place] = place_of[(activation_bits if is_activation else weight_bits)[reader]]
            else:
                found[place] = place_of[self.bits(tensor, {})]
        return found

    def rest(self, widths: Mapping[str, int]) -> tuple[float, float]:
        """Gives the joules and seconds of moving tensors that no layer reads as an operand."""
        streaming = self.network.streaming
        if streaming is None:
            return 0.0, 0.0
        bits = sum(values * self._stored(self.bits(tensor, widths)) for tensor, values in self.unread.items())
        return bits * streaming.energy_j_per_bit, bits / streaming.bits_per_s

    def add_streamed(self, energy_j: Reals, latency_s: Reals) -> None:
        """Adds what operators beside the layers move of each tensor to the price of the first layer that reads it.

        Args:
            energy_j, latency_s: [layer, weight, activation, output]; changed in place.
        """
        streaming = self.network.streaming
        if streaming is None:
            return
        for tensor, values in self.network.moved_values().items():
            if tensor not in self._readers:
                continue
            is_activation, reader = self._readers[tensor]
            axis = self.axes.activation_bits if is_activation else self.axes.weight_bits
            bits = np.array([values * self._stored(width) for width in axis], np.float64)
            bits = bits[:, None] if is_activation else bits[:, None, None]
            energy_j[reader] += bits * streaming.energy_j_per_bit
            latency_s[reader] += bits / streaming.bits_per_s

    @cached_property
    def _only_place(self) -> tuple[int, ...]:
        return (0,) * len(self.network.graph.layers)

    @cached_property
    def _readers(self) -> dict[str, tuple[bool, int]]:
        """The first layer that reads an activation as an operand, and whether as its data (else as its weights)."""
        graph = self.network.graph
        readers: dict[str, tuple[bool, int]] = {}
        for place, layer in enumerate(graph.layers):
            if not layer.float_reason:
                if not layer.data_reason:
                    readers.setdefault(layer.activation, (True, place))
                readers.setdefault(layer.weight, (False, place))
        return readers

    def place(self, bits: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Gives the places of output widths on their axis, for widths of any shape."""
        if len(self.axes.output_bits) == 1:
            return np.zeros((), np.int64)
        return np.searchsorted(np.array(self.axes.output_bits), bits)

    def moved(self, tensor: str, bits: int) -> tuple[float, float]:
        """Gives the joules and seconds of moving a tensor of :attr:`unread` at a width."""
        streaming = self.network.streaming
        if streaming is None:
            return 0.0, 0.0
        moved = self.unread[tensor] * self._stored(bits)
        return moved * streaming.energy_j_per_bit, moved / streaming.bits_per_s

    @cached_property
    def unread(self) -> dict[str, int]:
        """Elements of every tensor that operators beside the layers move and no layer reads, by tensor."""
        return {tensor: n for tensor, n in self.network.moved_values().items() if tensor not in self._readers}

    def bits(self, tensor: str, widths: Mapping[str, int]) -> int:
        """Gives the width at which a tensor is written, for widths by tensor name."""
        operand = self.network.graph.operand.get(tensor)
        if operand is None:
            return self.network.precision.unquantised_bits
        return widths.get(tensor, operand.fixed_bits or FULL_BITS)

    def _stored(self, bits: int) -> int:
        return self.network.precision.activation_container_bits(bits)
