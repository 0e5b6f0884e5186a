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
    for place, (name, book) in enumerate(codes.codebooks.items()):
        writer.replace_weight(name, book, f"w{place}")
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

    def replace_weight(self, name: str, book: CodebookCodes, short: str) -> None:
        """Puts indices, a codebook and what unpacks them in the place of a float weight.

        Args:
            name: the weight.
            book: what it becomes.
            short: begins the names of all that is new but the unpacked weight; in a small file long ones take room.
        """
        readers = list(self.graph.initializers[name].uses())
        self.drop(name)
        if name not in self.graph.initializers and name not in self.nodes:
            self.taken.discard(name)
        centroids = self.constant(f"{short}_codebook", book.centroids)
        looked_up = self._step("Gather", [centroids, self._indices(short, book)], f"{short}_row")
        shape = self.constant(f"{short}_shape", np.array(book.indices.shape, np.int64))
        result = self.node("Reshape", [looked_up, shape], name, ir.DataType.FLOAT, ir.Shape(book.indices.shape))
        reshape = result.producer()
        assert reshape is not None
        reshape.metadata_props[UNPACKED_KEY] = name
        for node, place in readers:
            node.replace_input_with(place, result)

    def _indices(self, short: str, book: CodebookCodes) -> ir.Value:
        """Writes the packed indices and unpacks them to int32, shape ``[1, n]``.

        Each byte is shifted left until one bit is the highest, then right until it is the lowest: eight bits of a byte
        beside each other. What fills the last byte up is cut off, and the planes are summed by their powers of two.
        """
        count, bits = book.indices.size, book.bits
        stored = self.constant(f"{short}_packed", pack(book.indices, bits).reshape(-1, 1))
        high = self._step("BitShift", [stored, self.places], f"{short}_high", _direction("LEFT"))
        low = self._step("BitShift", [high, self.lowest], f"{short}_low", _direction("RIGHT"))
        line = self._step("Reshape", [low, self.flat], f"{short}_line")
        end = self.constant(f"{short}_end", np.array([count * bits], np.int64))
        cut = self._step("Slice", [line, self.first, end], f"{short}_cut")
        planes = self.constant(f"{short}_planes", np.array([bits, count], np.int64))
        plane = self._step("Reshape", [cut, planes], f"{short}_bits")
        powers = self.constant(f"{short}_powers", (1 << np.arange(bits)).astype(np.uint8).reshape(1, -1))
        return self._step("MatMulInteger", [powers, plane], f"{short}_indices")

    def _step(self, op: str, inputs: list[ir.Value], output: str, *attributes: ir.Attr) -> ir.Value:
        """Adds a node whose result has a type that follows from its inputs and need not be stored."""
        return self.node(op, inputs, output, None, None, list(attributes))


def _direction(way: str) -> ir.Attr:
    return ir.AttrString("direction", way)
