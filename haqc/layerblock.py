"""What a report says of every layer: widths, prices at them and at 8/8, what they lose, and what stood next to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from haqc.alternatives import Alternatives
from haqc.costmodel.pricelist import PriceList
from haqc.costmodel.table import LayerCost
from haqc.effect import Effect
from haqc.graph import Graph, Layer
from haqc.policy import Policy, Space
from haqc.pricing import figure, share


@dataclass(frozen=True)
class LayerBlock:
    """The layers of one policy.

    Attributes:
        graph: the model.
        table: its prices.
        space: which widths were free, and why others were not.
        policy: the widths.
        effects: what each free operand alone does at each width, by (tensor, bits).
        alternatives: the neighbours of the policy.
        kernels: what onnxruntime runs for each layer, by its name.
    """

    graph: Graph
    table: PriceList
    space: Space
    policy: Policy
    effects: Mapping[tuple[str, int], Effect]
    alternatives: Alternatives
    kernels: Mapping[str, Mapping[str, Any]]

    def to_json(self) -> list[dict[str, Any]]:
        """Gives the block ``layers``, in graph order."""
        after, before = self.table.layer_costs(self.policy), self.table.baseline_layers
        total = self.table.price(self.policy)
        reasons = {choice.operand.tensor: choice.reason for choice in self.space.choices}
        return [
            {
                "name": now.layer.name,
                "op": now.layer.op,
                "kind": now.layer.kind,
                "weight_bits": now.bits.weight,
                "activation_bits": now.bits.activation,
                "macs": now.layer.macs,
                "cycles": figure(now.cycles),
                "latency_s": figure(now.latency_s),
                "energy_j": figure(now.energy_j),
                "weight_bytes": now.weight_bytes,
                **_parts(now),
                "latency_share": share(now.latency_s, total.latency_s),
                "energy_share": share(now.energy_j, total.energy_j),
                "baseline": {
                    "latency_s": figure(was.latency_s),
                    "energy_j": figure(was.energy_j),
                    "weight_bytes": was.weight_bytes,
                    **_parts(was),
                },
                "output_error": self._output_error(now.layer),
                "sensitivity": self._sensitivity(now.layer),
                "alternatives": self.alternatives.of(now.layer),
                "reason": now.layer.float_reason or reasons.get(now.layer.weight, ""),
                "runtime": dict(self.kernels[now.layer.name]),
            }
            | ({"float": now.layer.float_reason} if now.layer.float_reason else {})
            | ({"float_data": now.layer.data_reason} if now.layer.data_reason else {})
            for now, was in zip(after, before, strict=True)
        ]

    def _output_error(self, layer: Layer) -> float | None:
        """Gives the errors of what is searched of a layer's operands, summed; none where nothing is."""
        widths = [(self.graph.leader(t), self.policy.widths.get(t, 0)) for t in (layer.weight, layer.activation)]
        errors = [self.effects[key].output for key in widths if key in self.effects]
        return sum(errors) if errors else None

    def _sensitivity(self, layer: Layer) -> dict[str, list[dict[str, Any]]]:
        """Gives what each width of a layer's operands would cost, weights and activations apart."""
        return {
            kind: [
                {"bits": bits, "output_error": e.output, "layer_error": e.layer, "lost": e.lost}
                for (name, bits), e in self.effects.items()
                if name == self.graph.leader(tensor)
            ]
            for kind, tensor in (("weight", layer.weight), ("activation", layer.activation))
        }


def _parts(row: LayerCost) -> dict[str, Any]:
    """Gives where a layer's energy goes, what it moves, and what binds it; all empty where that is not priced."""
    return {
        "energy_parts_j": dict(row.energy_parts_j),
        "moved_bytes": dict(row.moved_bytes),
        "bound": row.bound if row.moved_bytes else None,
    }
