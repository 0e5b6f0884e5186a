"""Emits QDQ whose weights take the fewest bits that ONNX has a type for: 2 at opset 25, 4, or 8.

Activations are those of QCDQ, for they are not stored. A sub-byte weight has no integer kernel: onnxruntime and
OpenVINO dequantise it and compute in float, so such a file is small, not quick. What onnxruntime would not load at its
defaults is written in a form that it loads:

* A DequantizeLinear of 2 bits fuses with the layer behind it to an integer operator that takes no such type. A Reshape
  to the shape that the weights have stands in between and keeps them apart.
* Gather takes no type below a byte, so a table of which rows are read is dequantised whole, and then read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx_ir as ir

from haqc.codes import NetworkCodes, WeightCodes
from haqc.formats import Fallback
from haqc.passes.emit.emission import Emission
from haqc.passes.emit.note import annotate, finish
from haqc.passes.emit.quantisers import QuantiserWriter, shaped_scale
from haqc.policy import Policy

TWO_BIT_OPSET = 25
"""The first opset with a type of 2 bits."""

_TYPES: Mapping[int, ir.DataType] = {2: ir.DataType.INT2, 4: ir.DataType.INT4, 8: ir.DataType.INT8}
"""The signed types, by their bits."""


def emit_qdq_native(model: ir.Model, policy: Policy, codes: NetworkCodes, annotations: Mapping[str, Any]) -> Emission:
    """Gives a copy of a cleaned float model with the network's codes in the smallest types of its opset.

    The names of what is added are short: in a small file long ones take room.

    Args:
        model: the cleaned model; it is not changed. 2 bits are stored from opset 25 on.
        policy: widths, for the annotations on the nodes.
        codes: what the quantised mirror stores.
        annotations: JSON for the model's metadata (policy, target, cost, provenance).

    Returns:
        the model, and the weights that would fit a smaller type than they are stored in.

    Raises:
        ModelError: the model's operators need an IR version that runtimes do not read.
    """
    emitted = model.clone()
    annotate(emitted, policy, annotations)
    _NativeWriter(emitted).write(model, policy, codes)
    finish(emitted, annotations)
    has_two = emitted.opset_imports[""] >= TWO_BIT_OPSET
    reason = f"INT2 needs opset {TWO_BIT_OPSET}, and the file has opset {emitted.opset_imports['']}"
    small = {} if has_two else {name: weight.bits for name, weight in codes.weights.items() if weight.bits <= 2}
    return Emission(
        emitted,
        fallbacks=tuple(Fallback(name, _in_words(bits), _in_words(4), reason) for name, bits in small.items()),
    )


def container_bits(bits: int, opset: int) -> int:
    """Gives the bits of the smallest signed type of an opset that holds codes of some width.

    >>> container_bits(2, 21), container_bits(2, 25), container_bits(3, 25), container_bits(5, 25)
    (4, 2, 4, 8)
    """
    return next(size for size in _TYPES if size >= bits and (size > 2 or opset >= TWO_BIT_OPSET))


def _in_words(bits: int) -> str:
    return "1 bit" if bits == 1 else f"{bits} bits"


class _NativeWriter(QuantiserWriter):
    """Writes weights in types below a byte."""

    def __init__(self, model: ir.Model) -> None:
        super().__init__(model)
        self.opset = model.opset_imports[""]
        self.same: dict[int, ir.Value] = {}  # the shape that changes nothing, by rank

    def stem(self, name: str, kind: str, place: int) -> str:
        """Gives a short name."""
        return f"{kind}{place}"

    def quantise_weight(self, name: str, weight: WeightCodes, stem: str) -> None:
        """Replaces float weights by codes of the smallest type; a zero point that is left out is zero."""
        size = container_bits(weight.bits, self.opset)
        if size == 8:
            super().quantise_weight(name, weight, stem)
            return
        self.dequantise_constant(
            name, stem, weight.codes.astype(_TYPES[size].numpy()), shaped_scale(weight), None, weight.axis,
            self._kept_apart if size == 2 else lambda result: result,
        )  # fmt: skip

    def quantise_table(self, name: str, weight: WeightCodes, stem: str) -> None:
        """Replaces a float table; codes below a byte cannot be looked up."""
        if container_bits(weight.bits, self.opset) == 8:
            super().quantise_table(name, weight, stem)
        else:
            self.quantise_weight(name, weight, stem)

    def _kept_apart(self, value: ir.Value) -> ir.Value:
        """Puts a Reshape behind a value that gives it the shape it has."""
        assert value.shape is not None
        rank = len(value.shape)
        if rank not in self.same:
            self.same[rank] = self.constant(f"same_{rank}", np.zeros(rank, np.int64))
        return self.node("Reshape", [value, self.same[rank]], f"{value.name}_apart", ir.DataType.FLOAT, value.shape)
