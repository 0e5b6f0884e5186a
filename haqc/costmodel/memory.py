"""Peak activation memory of a policy: the largest sum of live tensors over the schedule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from haqc.graph import FULL_BITS, Graph


@dataclass(frozen=True)
class Schedule:
    """When each stored activation tensor is live. Make one through :meth:`of`.

    A tensor is live from the operation that writes it to the last that reads it, both included. Graph inputs are live
    from the start, graph outputs to the end. Nothing is overwritten in place.

    Attributes:
        tensors: names of the stored tensors.
        values: elements of each for one batch.
        first, last: first and last operation, by its place in the schedule, during which each is live.
        length: number of operations, at least 1.
    """

    tensors: tuple[str, ...]
    values: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]
    length: int

    @classmethod
    def of(cls, graph: Graph, batch: int) -> Schedule:
        """Reads the lifetimes off a graph's operations, for one batch of ``batch`` inferences."""
        written: dict[str, int] = {}
        used: dict[str, int] = {}
        for place, operation in enumerate(graph.operations):
            for tensor in operation.writes:
                written.setdefault(tensor, place)
            for tensor in (*operation.reads, *operation.writes):
                used[tensor] = place
        end = max(len(graph.operations) - 1, 0)
        used.update(dict.fromkeys(graph.outputs, end))
        tensors = tuple(graph.tensor_values)
        return cls(
            tensors=tensors,
            values=np.array([graph.tensor_values[tensor] * batch for tensor in tensors], np.int64),
            first=np.array([0 if t in graph.inputs else written.get(t, 0) for t in tensors], np.int64),
            last=np.array([used.get(tensor, 0) for tensor in tensors], np.int64),
            length=end + 1,
        )

    def peak_bytes(self, widths: Mapping[str, int], other_bits: int = FULL_BITS) -> float:
        """Gives the peak for widths by tensor name; a tensor without a width has ``other_bits``."""
        bits = np.array([widths.get(tensor, other_bits) for tensor in self.tensors], np.int64)
        return float(self.peak_bytes_many(bits[:, None])[0])

    def peak_bytes_many(self, bits: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
        """Gives the peaks of many policies.

        Args:
            bits: widths, [tensor, policy], tensors in the order of :attr:`tensors`.

        Returns:
            Peak bytes, [policy]; each tensor is packed and rounded up to whole bytes.
        """
        stored = -(-self.values[:, None] * bits.astype(np.int64) // 8)
        change = np.zeros((self.length + 1, bits.shape[1]), np.int64)
        np.add.at(change, self.first, stored)
        np.subtract.at(change, self.last + 1, stored)
        peak: npt.NDArray[np.float64] = change.cumsum(axis=0).max(axis=0).astype(np.float64)
        return peak
