"""Emits weights as packed indices and codebooks, for every width from 1 to 8; activations stay float.

A weight tensor of ``n`` numbers at ``b`` bits is one uint8 initialiser of ``ceil(n * b / 8)`` bytes (the bit planes of
:mod:`haqc.packing`) and one float32 initialiser, its codebook. Standard operators unpack them; all they read is
constant, so a runtime that folds constants, as onnxruntime does at its defaults, does so once, when it loads the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx_ir as ir

from haqc.codes import CodebookCodes, NetworkCodes
from haqc.onnxfile import UNPACKED_KEY
from haqc.packing import MAX_BITS, pack
from haqc.passes.emit.note import annotate, finish
from haqc.passes.emit.writer import GraphWriter
from haqc.policy import Policy


def emit_codebooks(model: ir.Model, policy: Policy, codes: NetworkCodes, annotations: Mapping[str, Any]) -> ir.Model:
    """Gives a copy of a cleaned float model with packed indices and codebooks in place of its float weights.

    The unpacked weights have the names that the float weights had, unless one is an output of the graph, which stays
    float and stored. The node that gives one has that name among its properties, under :data:`UNPACKED_KEY`.

    Args:
        model: the cleaned model; it is not changed.
        policy: widths, for the annotations on the nodes.
        codes: what the quantised mirror stores; no activations and no biases.
        annotations: JSON for the model's metadata (policy, target, cost, provenance).

    Raises:
        ModelError: the model's operators need an IR version that runtimes do not read.
    """
    emitted = model.clone()
    annotate(emitted, policy, annotations)
    writer = _Writer(emitted)
    for name, array in codes.floats.items():
        writer.replace_constant(name, array)
    for name, book in codes.codebooks.items():
        writer.replace_weight(name, book)
    finish(emitted, annotations)
    return emitted


class _Writer(GraphWriter):
    """Replaces weights in one graph."""

    def __init__(self, model: ir.Model) -> None:
        super().__init__(model)
        self.places = self.constant("haqc_bits", np.arange(MAX_BITS, dtype=np.uint8))
        self.lowest = self.constant("haqc_lowest", np.array(MAX_BITS - 1, np.uint8))
        self.flat = self.constant("haqc_flat", np.array([-1], np.int64))
        self.first = self.constant("haqc_first", np.array([0], np.int64))

    def replace_weight(self, name: str, book: CodebookCodes) -> None:
        """Puts indices, a codebook and what unpacks them in the place of a float weight."""
        readers = list(self.graph.initializers[name].uses())
        self.drop(name)
        if name not in self.graph.initializers and name not in self.nodes:
            self.taken.discard(name)
        centroids = self.constant(f"{name}_codebook", book.centroids)
        row = ir.Shape((1, book.indices.size))
        looked_up = self.node("Gather", [centroids, self._indices(name, book)], f"{name}_row", ir.DataType.FLOAT, row)
        shape = self.constant(f"{name}_shape", np.array(book.indices.shape, np.int64))
        result = self.node("Reshape", [looked_up, shape], name, ir.DataType.FLOAT, ir.Shape(book.indices.shape))
        reshape = result.producer()
        assert reshape is not None
        reshape.metadata_props[UNPACKED_KEY] = name
        for node, place in readers:
            node.replace_input_with(place, result)

    def _indices(self, name: str, book: CodebookCodes) -> ir.Value:
        """Writes the packed indices and unpacks them to int32, shape ``[1, n]``.

        Each byte is shifted left until one bit is the highest, then right until it is the lowest: eight bits of a byte
        beside each other. What fills the last byte up is cut off, and the planes are summed by their powers of two.
        """
        count, bits = book.indices.size, book.bits
        packed = pack(book.indices, bits)
        byte = ir.DataType.UINT8
        stored = self.constant(f"{name}_packed", packed.reshape(-1, 1))
        eight = ir.Shape((packed.size, MAX_BITS))
        high = self.node("BitShift", [stored, self.places], f"{name}_high", byte, eight, [_direction("LEFT")])
        low = self.node("BitShift", [high, self.lowest], f"{name}_low", byte, eight, [_direction("RIGHT")])
        line = self.node("Reshape", [low, self.flat], f"{name}_line", byte, ir.Shape((packed.size * MAX_BITS,)))
        end = self.constant(f"{name}_end", np.array([count * bits], np.int64))
        cut = self.node("Slice", [line, self.first, end], f"{name}_cut", byte, ir.Shape((count * bits,)))
        planes = self.constant(f"{name}_planes", np.array([bits, count], np.int64))
        plane = self.node("Reshape", [cut, planes], f"{name}_bits", byte, ir.Shape((bits, count)))
        powers = self.constant(f"{name}_powers", (1 << np.arange(bits)).astype(np.uint8).reshape(1, -1))
        return self.node("MatMulInteger", [powers, plane], f"{name}_indices", ir.DataType.INT32, ir.Shape((1, count)))


def _direction(way: str) -> ir.Attr:
    return ir.AttrString("direction", way)
