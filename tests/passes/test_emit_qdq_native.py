"""Weights in types below a byte: as small as their containers, and equal in onnxruntime at its defaults."""

from __future__ import annotations

from functools import cache

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

from haqc import onnxfile
from haqc.errors import ModelError
from haqc.passes.clean import clean
from haqc.passes.emit.qdq_native import TWO_BIT_OPSET, container_bits
from haqc.passes.verify import verify
from haqc.runtime import Runtime
from tests.passes.small_graphs import EVERY_GRAPH, GRAPHS, Prepared, Quantised

TYPES = {2: ir.DataType.INT2, 4: ir.DataType.INT4, 8: ir.DataType.INT8}


@cache
def _prepared(name: str) -> Prepared:
    return Prepared.of(GRAPHS[name]())


def _quantised(name: str, seed: int) -> Quantised:
    prepared = _prepared(name)
    return prepared.quantise(prepared.random_policy(seed))


@pytest.mark.parametrize("opset", [21, TWO_BIT_OPSET])
@pytest.mark.parametrize("name", EVERY_GRAPH)
def test_files_hold_at_random_policies(name: str, opset: int) -> None:
    quantised = _quantised(name, len(name))
    emitted = quantised.emit_as("qdq-native", opset)
    verification = verify(emitted.model, quantised.network.probe(quantised.inputs(16)))
    assert verification.ok, verification.first_difference
    assert emitted.model.ir_version == (13 if opset == TWO_BIT_OPSET else 10)


@pytest.mark.parametrize("opset", [21, TWO_BIT_OPSET])
@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("name", ["residual", "depthwise", "tokens", "scaled_gemm", "table", "transposed"])
def test_files_hold_at_every_width(name: str, bits: int, opset: int) -> None:
    prepared = _prepared(name)
    quantised = prepared.quantise(prepared.space.uniform(bits, 8))
    verification = verify(quantised.emit_as("qdq-native", opset).model, quantised.network.probe(quantised.inputs(16)))
    assert verification.ok, verification.first_difference


@pytest.mark.parametrize("opset", [21, TWO_BIT_OPSET])
@pytest.mark.parametrize("name", ["residual", "vision_transformer", "table"])
def test_weights_take_their_containers_bits_and_no_more(name: str, opset: int) -> None:
    quantised = _quantised(name, 1)
    model = ir.to_proto(quantised.emit_as("qdq-native", opset).model)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for place, (weight, codes) in enumerate(quantised.codes.weights.items()):
        tensor, bits = stored[f"w{place}_codes"], container_bits(quantised.policy.widths[weight], opset)
        assert tensor.data_type == TYPES[bits]
        assert len(tensor.raw_data) == -(-codes.codes.size * bits // 8)
        np.testing.assert_array_equal(onnx.numpy_helper.to_array(tensor).astype(np.int8), codes.codes)


def test_what_would_fit_a_smaller_type_is_listed() -> None:
    prepared = _prepared("conv_relu")
    policy = prepared.space.policy(
        {c.operand.tensor: {"c1.w": 1, "c2.w": 2, "y.w": 3}.get(c.operand.tensor, 5) for c in prepared.space.free}
    )
    quantised = prepared.quantise(policy)
    found = quantised.emit_as("qdq-native").fallbacks
    assert [(fallback.tensor, fallback.asked, fallback.stored) for fallback in found] == [
        ("c1.w", "1 bit", "4 bits"),
        ("c2.w", "2 bits", "4 bits"),
    ]
    assert {fallback.reason for fallback in found} == {"INT2 needs opset 25, and the file has opset 21"}
    assert quantised.emit_as("qdq-native", TWO_BIT_OPSET).fallbacks == ()


def test_names_that_are_added_are_short() -> None:
    quantised = _quantised("residual", 0)
    before = {str(value.name) for node in quantised.prepared.model.graph for value in node.outputs}
    before |= {*quantised.prepared.model.graph.initializers}
    emitted = quantised.emit_as("qdq-native").model
    added = {str(value.name) for node in emitted.graph for value in node.outputs} | {*emitted.graph.initializers}
    assert max(map(len, added - before)) <= len("a10_dequantised")


@pytest.mark.parametrize("opset", [21, TWO_BIT_OPSET])
def test_the_float_graph_comes_back(opset: int) -> None:
    quantised = _quantised("depthwise", 3)
    again = clean(ir.from_proto(ir.to_proto(quantised.emit_as("qdq-native", opset).model)))
    assert [node.op_type for node in again.graph] == [node.op_type for node in quantised.prepared.model.graph]
    for weight, codes in quantised.codes.weights.items():
        scale = codes.scale.reshape([-1] + [1] * (codes.codes.ndim - 1))
        stored = [value.const_value.numpy() for value in again.graph.initializers.values() if value.const_value]
        expected = codes.codes * scale
        assert any(array.shape == expected.shape and np.array_equal(array, expected) for array in stored), weight


def test_without_the_reshape_two_bits_do_not_load() -> None:
    """Why there is a Reshape that changes nothing. If this fails, onnxruntime has learnt to read 2 bits there."""
    quantised = _prepared("conv_relu").quantise(_prepared("conv_relu").space.uniform(2, 8))
    model = quantised.emit_as("qdq-native", TWO_BIT_OPSET).model
    for node in [node for node in model.graph if node.op_type == "Reshape"]:
        for reader, place in list(node.outputs[0].uses()):
            reader.replace_input_with(place, node.inputs[0])
    Runtime(onnxfile.serialise(model), optimised=False)
    with pytest.raises(ModelError, match=f"{onnxruntime.__version__} refuses the model .*tensor\\(int2\\)"):
        Runtime(onnxfile.serialise(model))
