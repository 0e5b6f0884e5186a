"""A Clip in front of a quantiser, and what of it is left once the quantiser has taken it over.

Quantising is monotone, so clipping and then quantising gives the codes of quantising and then clipping the codes, each
bound quantised: exactly the same, at every width and scale. Most often nothing is left, because the quantiser's range
lies within the bounds. onnxruntime itself compares a float Clip with the range of the whole byte, and so leaves a Conv
with a Relu6 and less than 8 bits behind it in float.
"""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from haqc.codes import ActivationCodes
from haqc.onnxfile import CLIPS_KEY
from haqc.quant import activation_range


@dataclass(frozen=True, slots=True)
class FoldableClip:
    """A Clip with constant bounds that only a quantiser reads, and that alone reads what it clips."""

    node: ir.Node
    source: ir.Value
    low: np.float32 | None
    high: np.float32 | None

    @classmethod
    def of(cls, value: ir.Value, quantised: Container[str]) -> FoldableClip | None:
        """Gives the Clip that writes a value; ``None`` where there is none, or somebody else needs it.

        Args:
            value: what is quantised.
            quantised: names of all tensors with a quantiser; a quantiser on both sides of a Clip keeps it, for at its
                defaults onnxruntime makes one of two quantisers that follow each other.
        """
        node = value.producer()
        source = node.inputs[0] if node is not None and node.op_type == "Clip" and not node.domain else None
        if node is None or source is None or value.is_graph_output() or source.is_graph_output():
            return None
        maker = source.producer()
        if maker is None or maker.op_type == "DequantizeLinear" or source.name in quantised or len(source.uses()) != 1:
            return None
        bounds: list[np.float32 | None] = [None, None]
        for place, bound in enumerate(node.inputs[1:3]):
            if bound is not None:
                if bound.const_value is None or bound.const_value.size != 1:
                    return None
                bounds[place] = np.float32(bound.const_value.numpy().reshape(()))
        low, high = bounds
        if not all(bound is None or np.isfinite(bound) for bound in bounds):
            return None
        return None if low is not None and high is not None and low > high else cls(node, source, low, high)

    def code_range(self, activation: ActivationCodes) -> tuple[int, int]:
        """Gives the lowest and the highest code that are left of a quantiser's."""
        low, high = activation_range(activation.bits)
        first = low if self.low is None else _code(self.low, activation)
        last = high if self.high is None else _code(self.high, activation)
        return min(max(low, first), high), max(min(high, last), low)


def _code(bound: np.float32, activation: ActivationCodes) -> int:
    """Rounds as QuantizeLinear does, without its saturation."""
    return int(np.rint(bound / np.float32(activation.scale))) + activation.zero_point


def record(model: ir.Model, clips: Mapping[str, FoldableClip]) -> None:
    """Notes in a model's metadata which tensors were clipped in float, and where, so that they can be again."""
    if clips:
        bounds = {name: [None if b is None else float(b) for b in (c.low, c.high)] for name, c in clips.items()}
        model.metadata_props[CLIPS_KEY] = json.dumps(bounds, ensure_ascii=False, separators=(",", ":"))
