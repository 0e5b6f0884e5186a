"""What haqc sees in a model: the result of ``haqc inspect``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Ends = Literal["cost", "compile"]
"""The first command that an obstacle ends; what ends ``cost`` ends ``compile`` as well."""

DEFAULT_DOMAIN = "ai.onnx"
"""How ONNX's own operators are called where their domain, the empty string, would not be seen."""


@dataclass(frozen=True, slots=True)
class Source:
    """The file as it was given.

    Attributes:
        name: its stem, the model's name.
        file: its path as it was given.
        file_bytes: its size.
        external: names of files with external data, and the bytes of each.
        ir_version: version of the file format.
        opsets: version of each operator set that it names.
        producer: program and version that wrote it; empty when it does not say.
        operators: how many nodes it has of each operator, by (domain, operator), bodies of loops included.
        functions: functions of its own.
    """

    name: str
    file: str
    file_bytes: int
    external: tuple[tuple[str, int], ...]
    ir_version: int
    opsets: Mapping[str, int]
    producer: str
    operators: Mapping[tuple[str, str], int]
    functions: int

    @property
    def nodes(self) -> int:
        """Nodes of the file."""
        return sum(self.operators.values())

    def to_json(self) -> dict[str, Any]:
        """Gives the block ``model`` of ``haqc inspect --json``."""
        return {
            "name": self.name,
            "file": self.file,
            "file_bytes": self.file_bytes,
            "external": [{"file": name, "bytes": size} for name, size in self.external],
            "ir_version": self.ir_version,
            "opsets": {domain or DEFAULT_DOMAIN: version for domain, version in self.opsets.items()},
            "producer": self.producer,
            "nodes": self.nodes,
            "functions": self.functions,
        }


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of the model.

    Attributes:
        name: its name.
        type: its element type, in ONNX's words; empty when the file does not say.
        shape: its extents: a number, a symbol, or ``None`` for one without a name; ``None`` when the rank is unknown.
        bound: the shape it is priced at, for one sample; ``None`` where that is not known.
        option: the option that would bind what is open, with lengths for example; empty when nothing has to be bound.
    """

    name: str
    type: str
    shape: tuple[int | str | None, ...] | None
    bound: tuple[int, ...] | None = None
    option: str = ""

    def to_json(self) -> dict[str, Any]:
        """Gives an entry of ``inputs`` or ``outputs``."""
        return {
            "name": self.name,
            "type": self.type or None,
            "shape": None if self.shape is None else list(self.shape),
            "bound": None if self.bound is None else list(self.bound),
            "option": self.option or None,
        }


@dataclass(frozen=True, slots=True)
class SeenLayer:
    """A compute layer: ``groups`` products of ``rows x reduction`` by ``reduction x columns``.

    Attributes:
        name: the ONNX node.
        op: its operator.
        kind: a word such as ``conv`` or ``depthwise``.
        groups, rows, reduction, columns: the product's extents; ``None`` where a shape is not known.
        macs: multiply-accumulates of one inference; ``None`` where a shape is not known.
        weights: stored weights; 0 where they were counted at a layer that shares them.
        float_reason: why it stays in float; empty when it is quantised.
    """

    name: str
    op: str
    kind: str
    groups: int
    rows: int | None
    reduction: int | None
    columns: int | None
    macs: int | None
    weights: int
    float_reason: str = ""

    def to_json(self, macs: int, weights: int) -> dict[str, Any]:
        """Gives an entry of ``layers``; the model's totals make its shares."""
        return {
            "name": self.name,
            "op": self.op,
            "kind": self.kind,
            "groups": self.groups,
            "rows": self.rows,
            "reduction": self.reduction,
            "columns": self.columns,
            "macs": self.macs,
            "macs_share": None if self.macs is None else self.macs / (macs or 1),
            "weights": self.weights,
            "weights_share": self.weights / (weights or 1),
        } | ({"float": self.float_reason} if self.float_reason else {})


@dataclass(frozen=True, slots=True)
class Agreement:
    """Layers that share a decision.

    Attributes:
        about: ``weights`` or ``data``: what they share the width of.
        tensors: the tensors that have one width.
        layers: the layers that read them.
        reason: why they must agree.
    """

    about: str
    tensors: tuple[str, ...]
    layers: tuple[str, ...]
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Gives an entry of ``groups``."""
        return {
            "about": self.about,
            "tensors": list(self.tensors),
            "layers": list(self.layers),
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Fixed:
    """Something whose width is not searched.

    Attributes:
        name: the node, or the tensor.
        op: the node's operator; empty for a tensor.
        bits: its width; ``None`` for float.
        reason: why.
    """

    name: str
    op: str
    bits: int | None
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Gives an entry of ``fixed``."""
        return {"name": self.name, "op": self.op, "bits": self.bits, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class OperatorUse:
    """An operator of the cleaned model.

    Attributes:
        domain: its domain; empty for ONNX's own.
        op: its name.
        count: nodes.
        cost: ``layer`` (priced by its products), ``traffic`` (by the bytes it moves), ``listed`` (as not modelled),
            ``free`` (fused, seen through, or constant), or empty when the model was not priced.
        mirrored: whether it can be run and trained in torch.
        quantised: nodes that are quantised.
    """

    domain: str
    op: str
    count: int
    cost: str
    mirrored: bool
    quantised: int

    def to_json(self) -> dict[str, Any]:
        """Gives an entry of ``operators``."""
        return {
            "op": self.op,
            "domain": self.domain or DEFAULT_DOMAIN,
            "count": self.count,
            "cost": self.cost or None,
            "mirror": self.mirrored,
            "quantised": self.quantised,
        }


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something that is in the way.

    Attributes:
        ends: the first command that it ends.
        reason: what it is and what to do, as one sentence.
    """

    ends: Ends
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Gives an entry of ``verdict.obstacles``."""
        return {"ends": self.ends, "reason": self.reason}


@dataclass(frozen=True)
class Inspection:
    """What haqc sees in a model.

    Attributes:
        source: the file.
        remarks: what clean-up did that a reader should know.
        inputs, outputs: of the model.
        layers: compute layers in graph order.
        agreements: layers that share a decision.
        fixed: what stays in float or at a fixed width, with the reason.
        operators: the operators, the most frequent first.
        obstacles: what is in the way of pricing or compiling it.
        prices: the block ``cost`` of the report: what it costs at 8/8 on a target; ``None`` without one.
    """

    source: Source
    remarks: tuple[str, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    layers: tuple[SeenLayer, ...]
    agreements: tuple[Agreement, ...]
    fixed: tuple[Fixed, ...]
    operators: tuple[OperatorUse, ...]
    obstacles: tuple[Obstacle, ...]
    prices: Mapping[str, Any] | None = None

    @property
    def macs(self) -> int | None:
        """Multiply-accumulates of one inference; ``None`` where a shape is not known."""
        known = [layer.macs for layer in self.layers if layer.macs is not None]
        return sum(known) if len(known) == len(self.layers) else None

    @property
    def weights(self) -> int:
        """Stored weights of all layers."""
        return sum(layer.weights for layer in self.layers)

    @property
    def can_cost(self) -> bool:
        """Whether ``haqc cost`` takes the model."""
        return all(obstacle.ends != "cost" for obstacle in self.obstacles)

    @property
    def can_compile(self) -> bool:
        """Whether ``haqc compile`` takes the model, as far as can be seen without running it."""
        return not self.obstacles

    def to_json(self) -> dict[str, Any]:
        """Gives what ``haqc inspect --json`` prints (``docs/inspect.md``)."""
        macs, weights = self.macs, self.weights
        return {
            "model": self.source.to_json(),
            "remarks": list(self.remarks),
            "inputs": [port.to_json() for port in self.inputs],
            "outputs": [port.to_json() for port in self.outputs],
            "total": {"layers": len(self.layers), "macs": macs, "weights": weights},
            "layers": [layer.to_json(macs or 0, weights) for layer in self.layers],
            "groups": [agreement.to_json() for agreement in self.agreements],
            "fixed": [entry.to_json() for entry in self.fixed],
            "operators": [use.to_json() for use in self.operators],
            "verdict": {
                "cost": self.can_cost,
                "compile": self.can_compile,
                "obstacles": [obstacle.to_json() for obstacle in self.obstacles],
            },
        } | ({} if self.prices is None else {"cost": dict(self.prices)})
