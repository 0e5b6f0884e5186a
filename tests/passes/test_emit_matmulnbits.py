"""Matrices in blocks of 2, 4 or 8 bits: packed as the operator reads them, equal in onnxruntime at its defaults."""

from __future__ import annotations

from functools import cache

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from haqc.passes.emit.matmulnbits import BLOCK_SIZES, best_block, packed_blocks
from haqc.passes.verify import kernels, verify
from tests.passes.small_graphs import EVERY_GRAPH, GRAPHS, Builder, Prepared, Quantised


@cache
def _prepared(name: str) -> Prepared:
    return Prepared.of(GRAPHS[name]())


def _quantised(name: str, bits: int) -> Quantised:
    return _prepared(name).quantise(_prepared(name).space.uniform(bits, 8))


def _products(model: ir.Model) -> list[ir.Node]:
    return [node for node in model.graph if node.op_type == "MatMulNBits"]


@pytest.mark.parametrize("name", EVERY_GRAPH)
def test_files_hold_at_random_policies(name: str) -> None:
    quantised = _prepared(name).quantise(_prepared(name).random_policy(len(name)))
    emitted = quantised.emit_as("matmulnbits").model
    onnx.checker.check_model(ir.to_proto(emitted))
    verification = verify(emitted, quantised.network.probe(quantised.inputs(16)))
    assert verification.ok, verification.first_difference


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("name", ["gemm", "tokens", "encoder"])
def test_files_hold_at_every_width(name: str, bits: int) -> None:
    quantised = _quantised(name, bits)
    emission = quantised.emit_as("matmulnbits")
    products = _products(emission.model)
    assert len(products) == {"gemm": 3, "tokens": 3, "encoder": 6}[name]
    assert {node.attributes["bits"].as_int() for node in products} == {next(size for size in (2, 4, 8) if size >= bits)}
    assert {node.attributes["accuracy_level"].as_int() for node in products} == {1}
    verification = verify(emission.model, quantised.network.probe(quantised.inputs(16)))
    assert verification.ok, verification.first_difference


@pytest.mark.parametrize("block", BLOCK_SIZES)
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_blocks_unpack_to_the_codes(bits: int, block: int) -> None:
    codes = np.random.default_rng(bits).integers(0, 1 << bits, (37, 5)).astype(np.uint8)
    packed = packed_blocks(codes, bits, block)
    assert packed.shape == (5, -(-37 // block), block * bits // 8)
    places = np.arange(0, 8, bits, dtype=np.uint8)
    unpacked = ((packed[..., None] >> places) & ((1 << bits) - 1)).reshape(5, -1)
    np.testing.assert_array_equal(unpacked[:, :37].T, codes)
    assert (unpacked[:, 37:] == 1 << (bits - 1)).all()


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_no_block_size_takes_fewer_bytes(bits: int) -> None:
    for depth in (1, 15, 16, 17, 100, 256, 300, 768, 4096):
        sizes = {size: -(-depth // size) * (size * bits // 8 + 4) for size in BLOCK_SIZES}
        assert sizes[best_block(depth, bits)] == min(sizes.values())


@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        ("residual", {"MatMulNBits multiplies matrices, and 'c1.node' is a Conv"}),
        ("table", {"its rows are looked up"}),
        ("tied_table", {"MatMulNBits multiplies matrices, and 'rows.node' is a Gather"}),
        ("scaled_gemm", {"MatMulNBits scales and transposes nothing, and 'g1.node' does"}),
        ("batched_weights", {"MatMulNBits takes one constant matrix on the right, and 'm1.node' reads another form"}),
        *((name, set()) for name in ("gemm", "tokens", "attention")),
    ],
)
def test_what_the_operator_does_not_take_is_listed(name: str, reasons: set[str]) -> None:
    found = _quantised(name, 4).emit_as("matmulnbits").fallbacks
    assert reasons <= {fallback.reason for fallback in found}
    assert bool(reasons) == bool(found)
    assert {(fallback.asked, fallback.stored) for fallback in found} <= {("4 bits", "8 bits")}
    assert _quantised(name, 8).emit_as("matmulnbits").fallbacks == ()  # 8 bits are 8 bits


def test_layers_keep_their_names_and_annotations() -> None:
    emitted = _quantised("gemm", 4).emit_as("matmulnbits").model
    assert {str(node.name): dict(node.metadata_props) for node in _products(emitted)} == {
        f"{name}.node": {"haqc.weight_bits": "4", "haqc.activation_bits": "8"} for name in ("g1", "g2", "y")
    }
    found = kernels(emitted, _prepared("gemm").graph)
    assert {(kernel.operator, kernel.reason) for kernel in found.values()} == {
        ("MatMulNBits", "MatMulNBits multiplies in float at accuracy level 1")
    }


def test_another_accuracy_level_does_not_hold() -> None:
    """Why the level stands in the file: at 4 the runtime quantises what the operator reads by a rule of its own."""
    b = Builder()
    x = b.relu(b.node("MatMul", ["x", b.weight("w1", 64, 96)], "m1"), "r1")
    b.node("MatMul", [x, b.weight("w2", 96, 64)], "y")
    prepared = Prepared.of(b.model({"x": (64,)}, {"y": (64,)}))
    quantised = prepared.quantise(prepared.space.uniform(4, 8))
    emitted = quantised.emit_as("matmulnbits").model
    probe = quantised.network.probe(quantised.inputs(16))
    assert verify(emitted, probe).ok
    for node in _products(emitted):
        node.attributes["accuracy_level"] = ir.AttrInt64("accuracy_level", 4)
    assert not verify(emitted, probe).ok
