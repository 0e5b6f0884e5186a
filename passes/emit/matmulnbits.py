"""Emits the weights of matrix products as onnxruntime's MatMulNBits takes them: blocks of 2, 4 or 8 bits, packed.

The operator (domain com.microsoft) multiplies in float: its ``accuracy_level`` is 1, which stands in the file, for at
4 it would quantise what it reads once more, by a rule of its own, and no longer give what the mirror gives. Quantisers
of activations stay where the policy has them. Everything else is as in QCDQ.
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
from haqc.passes.emit.quantisers import QuantiserWriter
from haqc.policy import Policy

DOMAIN = "com.microsoft"
ACCURACY_LEVEL = 1
"""Float arithmetic."""

BLOCK_SIZES = (256, 128, 64, 32, 16)
"""Numbers with one scale that the operator takes, along what is summed over."""

_BITS = (2, 4, 8)


def emit_matmulnbits(model: ir.Model, policy: Policy, codes: NetworkCodes, annotations: Mapping[str, Any]) -> Emission:
    """Gives a copy of a cleaned float model with MatMulNBits for its products with constant matrices.

    Args:
        model: the cleaned model; it is not changed.
        policy: widths, for the annotations on the nodes.
        codes: what the quantised mirror stores.
        annotations: JSON for the model's metadata (policy, target, cost, provenance).

    Returns:
        the model, and the weights below 8 bits that the operator does not take, which are int8 codes.

    Raises:
        ModelError: the model's operators need an IR version that runtimes do not read.
    """
    emitted = model.clone()
    annotate(emitted, policy, annotations)
    writer = _BlockWriter(emitted)
    writer.write(model, policy, codes)
    emitted.opset_imports.setdefault(DOMAIN, 1)
    finish(emitted, annotations)
    return Emission(emitted, fallbacks=tuple(writer.fallbacks))


def packed_blocks(codes: np.ndarray, bits: int, block: int) -> np.ndarray:
    """Packs unsigned codes, shape ``[K, N]``, into bytes, shape ``[N, blocks, block * bits / 8]``, low bits first.

    What fills the last block up is the code of zero.
    """
    depth, columns = codes.shape
    blocks, each = -(-depth // block), 8 // bits
    filled = np.full((columns, blocks * block), 1 << (bits - 1), np.uint8)
    filled[:, :depth] = codes.T
    parts = filled.reshape(columns, blocks, block // each, each) << (bits * np.arange(each, dtype=np.uint8))
    packed: np.ndarray = np.bitwise_or.reduce(parts, axis=-1).astype(np.uint8)
    return packed


def best_block(depth: int, bits: int) -> int:
    """Gives the block size that takes the fewest bytes for so many numbers in a column, with its scales.

    >>> best_block(20, 4), best_block(768, 4), best_block(300, 4)
    (32, 256, 64)
    """
    return min(BLOCK_SIZES, key=lambda block: -(-depth // block) * (block * bits // 8 + 4))


class _BlockWriter(QuantiserWriter):
    """Writes blocks where the operator takes them, and notes where it does not."""

    def __init__(self, model: ir.Model) -> None:
        super().__init__(model)
        self.fallbacks: list[Fallback] = []

    def quantise_weight(self, name: str, weight: WeightCodes, stem: str) -> None:
        """Replaces the products with a float matrix; other weights become int8 codes."""
        readers = [use.node for use in self.graph.initializers[name].uses()]
        reason = next((reason for node in readers if (reason := _obstacle(node, name, weight))), "")
        if reason:
            self._fall_back(name, weight, reason)
            super().quantise_weight(name, weight, stem)
            return
        packed, scale = self._blocks(weight, stem)
        for node in readers:
            self._replace(node, packed, scale, weight)
        self.drop(name)

    def quantise_table(self, name: str, weight: WeightCodes, stem: str) -> None:
        """Replaces a float table by int8 codes."""
        self._fall_back(name, weight, "its rows are looked up")
        super().quantise_table(name, weight, stem)

    def _fall_back(self, name: str, weight: WeightCodes, reason: str) -> None:
        if weight.bits < 8:
            asked = "1 bit" if weight.bits == 1 else f"{weight.bits} bits"
            self.fallbacks.append(Fallback(name, asked, "8 bits", reason))

    def _blocks(self, weight: WeightCodes, stem: str) -> tuple[ir.Value, ir.Value]:
        bits = _container(weight)
        codes = (weight.codes.T if weight.axis == 0 else weight.codes).astype(np.int16) + (1 << (bits - 1))
        depth, columns = codes.shape
        block = best_block(depth, bits)
        scale = np.broadcast_to(weight.scale.reshape(-1, 1), (columns, -(-depth // block)))
        packed = packed_blocks(codes.astype(np.uint8), bits, block)
        return self.constant(f"{stem}_packed", packed), self.constant(f"{stem}_scale", np.ascontiguousarray(scale))

    def _replace(self, node: ir.Node, packed: ir.Value, scale: ir.Value, weight: WeightCodes) -> None:
        """Puts the operator, and an Add for a bias, in a node's place; the operator has the node's name."""
        depth, columns = weight.codes.shape[:: -1 if weight.axis == 0 else 1]
        numbers = {
            "K": depth,
            "N": columns,
            "bits": _container(weight),
            "block_size": best_block(depth, _container(weight)),
        }
        attributes = {name: ir.AttrInt64(name, n) for name, n in {**numbers, "accuracy_level": ACCURACY_LEVEL}.items()}
        product = ir.Node(
            DOMAIN, "MatMulNBits", [node.inputs[0], packed, scale], list(attributes.values()), name=node.name,
            metadata_props=dict(node.metadata_props),
        )  # fmt: skip
        new, last = [product], product
        if len(node.inputs) > 2 and node.inputs[2] is not None:
            product.outputs[0].name = self.unique(f"{node.name}_product")
            product.outputs[0].type, product.outputs[0].shape = node.outputs[0].type, node.outputs[0].shape
            last = ir.node("Add", [product.outputs[0], node.inputs[2]], name=self.unique(f"{node.name}_biased"))
            new.append(last)
        given = node.outputs[0]
        ir.convenience.replace_nodes_and_values(self.graph, node, [node], new, [given], [last.outputs[0]])
        self.values[str(given.name)] = last.outputs[0]
        self.nodes[str(node.name)] = product


def _container(weight: WeightCodes) -> int:
    return next(bits for bits in _BITS if bits >= weight.bits)


def _obstacle(node: ir.Node, name: str, weight: WeightCodes) -> str:
    """Says why a reader of a weight cannot be the operator; empty where it can."""
    place = node.inputs[1] if len(node.inputs) > 1 else None
    if node.op_type not in ("MatMul", "Gemm"):
        return f"MatMulNBits multiplies matrices, and '{node.name}' is a {node.op_type}"
    if place is None or place.name != name or weight.codes.ndim != 2:
        return f"MatMulNBits takes one constant matrix on the right, and '{node.name}' reads another form"
    forms = {name: node.attributes.get_int(name, 0) != 0 for name in ("transA", "transB")}
    is_scaled = any(node.attributes.get_float(factor, 1.0) != 1.0 for factor in ("alpha", "beta"))
    if node.op_type == "Gemm" and (forms["transA"] or is_scaled):
        return f"MatMulNBits scales and transposes nothing, and '{node.name}' does"
    across = 0 if forms["transB"] else 1
    return "" if weight.axis == across else f"'{node.name}' has scales along what it sums over"
