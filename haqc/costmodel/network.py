"""What a network moves beside its layers: element-wise operators, pooling, and operators that have no model.

An operator that is no layer reads its tensors and writes its result, each at its width, through the memory that the
hardware declares (:class:`haqc.hardware.Streaming`); its arithmetic is not counted. Where the hardware fuses an
element-wise operator into the one before, the intermediate tensor is neither written nor read, and the one before
writes the fused result. What hardware declares no memory for, and what does more than stream, is listed as not
modelled with its share of the bytes, so that nothing is priced at zero in silence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from haqc.graph import Graph, Operation
from haqc.hardware import Streaming
from haqc.precision import Precision

STREAMED = frozenset(
    {"Add", "Sub", "Mul", "Div", "Min", "Max", "Sum", "Mean", "Neg", "Abs", "Relu", "Clip", "LeakyRelu", "PRelu",
     "ThresholdedRelu", "HardSigmoid", "HardSwish", "Concat", "Split", "Slice", "Pad", "Cast", "DepthToSpace",
     "SpaceToDepth", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "ReduceMax",
     "ReduceSum"}
)  # fmt: skip
"""Operators whose cost is that of their traffic; all others do arithmetic that streaming hides."""


@dataclass(frozen=True, slots=True)
class Passage:
    """One operator that is no layer, with the tensors that it really moves.

    Attributes:
        operation: the operator.
        moved: tensors read from or written to memory, one entry each time.
        is_fused: whether it runs while the operator before it writes.
    """

    operation: Operation
    moved: tuple[str, ...]
    is_fused: bool


@dataclass(frozen=True, slots=True)
class OperationCost:
    """What one operator that is no layer costs for one batch.

    Attributes:
        name, op: the ONNX node and its operator.
        moved_bytes: bytes read and written.
        latency_s, energy_j: seconds and joules of moving them; 0 where the hardware declares no memory for it.
        is_modelled: whether that is its whole cost.
    """

    name: str
    op: str
    moved_bytes: float
    latency_s: float
    energy_j: float
    is_modelled: bool


@dataclass(frozen=True, slots=True)
class Unmodelled:
    """Operators whose cost is not, or not wholly, in the total.

    Attributes:
        operators: by ONNX operator: how many there are, the bytes that they move, and whether these bytes are priced.
        moved_bytes: bytes that the whole network moves, layers and all operators together.
    """

    operators: tuple[tuple[str, int, float, bool], ...]
    moved_bytes: float

    @classmethod
    def of(cls, costs: Sequence[OperationCost], layer_bytes: float) -> Unmodelled:
        """Gathers them from the costs of operators and the bytes that the layers move, the most bytes first."""
        found: dict[str, tuple[int, float, bool]] = {}
        for cost in costs:
            if not cost.is_modelled:
                count, moved, _ = found.get(cost.op, (0, 0.0, False))
                found[cost.op] = count + 1, moved + cost.moved_bytes, cost.latency_s > 0
        ranked = sorted(found.items(), key=lambda item: (-item[1][1], item[0]))
        total = layer_bytes + sum(cost.moved_bytes for cost in costs)
        return cls(tuple((op, *figures) for op, figures in ranked), total)

    def to_json(self) -> dict[str, Any]:
        """Gives the block ``not_modelled`` of ``haqc cost --format json``."""
        whole = self.moved_bytes or 1.0
        return {
            "share_of_bytes": sum(moved for _, _, moved, _ in self.operators) / whole,
            "operators": [
                {
                    "op": op,
                    "count": count,
                    "moved_bytes": moved,
                    "share_of_bytes": moved / whole,
                    "priced": "traffic" if is_priced else "nothing",
                }
                for op, count, moved, is_priced in self.operators
            ],
        }


@dataclass(frozen=True)
class Network:
    """The operators of a graph beside its layers, on one kind of hardware.

    Attributes:
        graph: the graph.
        precision: widths and containers.
        batch: inferences of one batch.
        streaming: the memory that these operators use; ``None`` where they are only listed.
    """

    graph: Graph
    precision: Precision
    batch: int
    streaming: Streaming | None

    @cached_property
    def written(self) -> tuple[str, ...]:
        """The tensor that each layer writes to memory: its own result, or that of what is fused behind it."""
        return tuple(self._fused_result(layer.output) for layer in self.graph.layers)

    @cached_property
    def passages(self) -> tuple[Passage, ...]:
        """The operators that are no layers, in the order of the schedule."""
        found = []
        for operation in self.graph.operations:
            if operation.layer is not None:
                continue
            fused = [tensor for tensor in operation.reads if self._merged.get(tensor) in operation.writes]
            reads = [tensor for tensor in operation.reads if tensor not in fused]
            writes = [] if fused else [self._fused_result(tensor) for tensor in operation.writes]
            found.append(Passage(operation, (*reads, *writes), bool(fused)))
        return tuple(found)

    def costs(self, widths: Mapping[str, int]) -> tuple[OperationCost, ...]:
        """Prices each operator beside the layers, for widths by tensor name."""
        return tuple(self._cost(passage, widths) for passage in self.passages)

    def moved_values(self) -> dict[str, int]:
        """Gives how many elements of each tensor these operators move for one batch, over all of them."""
        total: dict[str, int] = {}
        for passage in self.passages:
            for tensor in passage.moved:
                total[tensor] = total.get(tensor, 0) + self._values(tensor)
        return total

    def stored_bits(self, tensor: str, widths: Mapping[str, int]) -> int:
        """Gives the width at which one element of an activation tensor is stored."""
        return self.precision.activation_container_bits(widths.get(tensor, self.precision.unquantised_bits))

    def _cost(self, passage: Passage, widths: Mapping[str, int]) -> OperationCost:
        bits = sum(self._values(tensor) * self.stored_bits(tensor, widths) for tensor in passage.moved)
        operation, streaming = passage.operation, self.streaming
        return OperationCost(
            name=operation.name,
            op=operation.op,
            moved_bytes=bits / 8,
            latency_s=0.0 if streaming is None else bits / streaming.bits_per_s,
            energy_j=0.0 if streaming is None else bits * streaming.energy_j_per_bit,
            is_modelled=streaming is not None
            and (passage.is_fused or operation.op in STREAMED)
            and self.graph.unknown_tensors.isdisjoint(passage.moved),
        )

    def _values(self, tensor: str) -> int:
        # What was computed from constants alone is no stored activation, and what is not known is listed apart.
        return self.graph.tensor_values.get(tensor, 0) * self.batch

    @cached_property
    def _merged(self) -> dict[str, str]:
        """The result of the fused operator that takes the place of a tensor, by that tensor."""
        return {} if self.streaming is None else dict(self._merges(self.streaming.fused))

    def _merges(self, fused: frozenset[str]) -> Iterator[tuple[str, str]]:
        readers: dict[str, int] = dict.fromkeys(self.graph.outputs, 1)
        for operation in self.graph.operations:
            for tensor in operation.reads:
                readers[tensor] = readers.get(tensor, 0) + 1
        written: dict[str, int] = {}
        for place, operation in enumerate(self.graph.operations):
            if operation.layer is None and operation.op in fused and len(operation.writes) == 1:
                values = self.graph.tensor_values.get(operation.writes[0])
                mergeable = [
                    tensor
                    for tensor in operation.reads
                    if tensor in written and readers[tensor] == 1 and self.graph.tensor_values.get(tensor) == values
                ]
                if mergeable:  # with two, the operands of the earlier producer are there when the later one writes
                    yield max(mergeable, key=lambda tensor: written[tensor]), operation.writes[0]
            written.update(dict.fromkeys(operation.writes, place))

    def _fused_result(self, tensor: str) -> str:
        while tensor in self._merged:
            tensor = self._merged[tensor]
        return tensor
