"""The emitted file: what stands in it, its versions, its annotations, its bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from haqc import onnxfile
from haqc.errors import ModelError
from haqc.passes.emit.qcdq import emit_qcdq
from haqc.quant import activation_range, weight_range
from tests.passes.small_graphs import ANNOTATIONS, EVERY_GRAPH, GRAPHS, Prepared, Quantised, conv_relu


@pytest.fixture(scope="module", params=EVERY_GRAPH)
def quantised(request: pytest.FixtureRequest) -> Quantised:
    prepared = Prepared.of(GRAPHS[request.param]())
    return prepared.quantise(prepared.random_policy(len(request.param)))


@pytest.fixture(scope="module")
def proto(quantised: Quantised) -> ModelProto:
    return ir.to_proto(quantised.emit())


def _constants(proto: ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}


def _nodes(proto: ModelProto, op: str) -> dict[str, NodeProto]:
    """Nodes of one operator by what they read."""
    return {node.input[0]: node for node in proto.graph.node if node.op_type == op}


def test_the_checker_passes(proto: ModelProto) -> None:
    onnx.checker.check_model(proto, full_check=True)


def test_every_activation_is_quantised_clipped_and_dequantised(quantised: Quantised, proto: ModelProto) -> None:
    constants, quantise = _constants(proto), _nodes(proto, "QuantizeLinear")
    clip, dequantise, pooled = (_nodes(proto, op) for op in ("Clip", "DequantizeLinear", "MaxPool"))
    assert {*quantise} == {*quantised.codes.activations}
    for tensor, stored in quantised.codes.activations.items():
        (_, scale, zero_point), codes = quantise[tensor].input, quantise[tensor].output[0]
        assert (constants[scale].dtype, constants[scale].shape) == (np.float32, ())
        assert (constants[zero_point].dtype, constants[zero_point].shape) == (np.uint8, ())
        assert constants[scale] == stored.scale
        assert constants[zero_point] == stored.zero_point
        if quantised.policy.widths[tensor] < 8:
            low, high = (constants[name] for name in clip[codes].input[1:])
            assert low.dtype == high.dtype == np.uint8
            assert (low, high) == activation_range(quantised.policy.widths[tensor])
            codes = clip[codes].output[0]
        if codes in pooled:  # a MaxPool between quantisers works on codes
            codes = pooled[codes].output[0]
        assert list(dequantise[codes].input) == [codes, scale, zero_point]


def test_nothing_reads_a_quantised_tensor_but_its_quantiser(quantised: Quantised, proto: ModelProto) -> None:
    readers = {(name, node.op_type) for node in proto.graph.node for name in node.input}
    for tensor in quantised.codes.activations:
        assert {op for name, op in readers if name == tensor} == {"QuantizeLinear"}


def test_weights_are_codes_of_their_width(quantised: Quantised, proto: ModelProto) -> None:
    constants, dequantise = _constants(proto), _nodes(proto, "DequantizeLinear")
    axes = {layer.weight: layer.weight_axis for layer in quantised.prepared.graph.layers}
    rows = {node.input[0]: node.output[0] for node in proto.graph.node if node.op_type == "Gather"}
    for tensor, stored in quantised.codes.weights.items():
        codes = constants[f"{tensor}_codes"]
        is_table = f"{tensor}_codes" in rows  # whose rows are dequantised once they are looked up
        node = dequantise[rows[f"{tensor}_codes"] if is_table else f"{tensor}_codes"]
        scale, zero_point = (constants[name] for name in node.input[1:])
        low, high = weight_range(quantised.policy.widths[tensor])
        assert codes.dtype == zero_point.dtype == np.int8
        assert low <= codes.min() and codes.max() <= high
        assert not zero_point.any()
        assert scale.dtype == np.float32
        if scale.ndim:
            (axis,) = (attribute.i for attribute in node.attribute if attribute.name == "axis")
            assert axis == (-1 if is_table else axes[tensor])
            assert scale.shape == zero_point.shape == (codes.shape[axis],)
        else:
            assert codes.ndim == 3  # a MatMul's weights with a batch axis
        np.testing.assert_array_equal(scale.reshape(-1), stored.scale)


def test_bias_scales_are_products_of_the_stored_scales(quantised: Quantised, proto: ModelProto) -> None:
    constants, dequantise = _constants(proto), _nodes(proto, "DequantizeLinear")
    quantise = _nodes(proto, "QuantizeLinear")
    for layer in quantised.prepared.graph.quantised_layers:
        if not layer.bias:
            continue
        codes, scale = (constants[name] for name in dequantise[f"{layer.bias}_codes"].input)
        assert codes.dtype == np.int32 and scale.dtype == np.float32
        activation = constants[quantise[layer.activation].input[1]]
        weight = constants[dequantise[f"{layer.weight}_codes"].input[1]]
        expected = np.tile(np.float32(activation) * weight, codes.size // weight.size)
        np.testing.assert_array_equal(scale, expected)


def test_no_float_weights_are_left(quantised: Quantised, proto: ModelProto) -> None:
    constants, graph = _constants(proto), quantised.prepared.graph
    quantised_away = {*quantised.codes.weights, *quantised.codes.biases}
    assert quantised_away.isdisjoint(constants)
    kept = {name for layer in graph.layers if layer.float_reason for name in (layer.weight, layer.bias)}
    for name, array in constants.items():
        readers = _readers(proto, name)
        is_bias = "Gemm" in readers or (array.ndim == 2 and readers <= {"LSTM", "GRU", "RNN"})
        is_mask = readers == {"Add"}
        assert array.dtype != np.float32 or array.ndim < 2 or name in kept or is_bias or is_mask


def _readers(proto: ModelProto, name: str) -> set[str]:
    return {node.op_type for node in proto.graph.node if name in node.input}


def test_every_constant_is_read(proto: ModelProto) -> None:
    read = {name for node in proto.graph.node for name in node.input}
    assert {tensor.name for tensor in proto.graph.initializer} <= read


def test_inputs_and_outputs_are_those_of_the_model(quantised: Quantised, proto: ModelProto) -> None:
    before = ir.to_proto(quantised.prepared.model)
    assert list(proto.graph.input) == list(before.graph.input)
    assert list(proto.graph.output) == list(before.graph.output)


def test_the_float_model_is_not_changed(quantised: Quantised) -> None:
    before = onnxfile.serialise(quantised.prepared.model)
    quantised.emit()
    assert onnxfile.serialise(quantised.prepared.model) == before


def test_annotations_can_be_read_by_people_and_by_onnxruntime(quantised: Quantised, proto: ModelProto) -> None:
    assert proto.producer_name == "haqc"
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    text = session.get_modelmeta().custom_metadata_map[onnxfile.METADATA_KEY]
    assert json.loads(text) == ANNOTATIONS
    assert "µ" in text
    props = {node.name: {entry.key: entry.value for entry in node.metadata_props} for node in proto.graph.node}
    graph = quantised.prepared.graph
    for layer, bits in zip(graph.layers, quantised.policy.layer_bits, strict=True):
        if layer.name not in layer.nodes:  # the second layer of a recurrent node
            continue
        expected = {"haqc.weight_bits": str(bits.weight), "haqc.activation_bits": str(bits.activation)}
        if layer.float_reason:
            expected = {"haqc.float": layer.float_reason}
        elif layer.data_reason:
            expected = {"haqc.weight_bits": str(bits.weight)}
        assert props.pop(layer.name) == expected
    assert not any(props.values())


def test_two_emissions_have_the_same_bytes(quantised: Quantised) -> None:
    assert onnxfile.serialise(quantised.emit()) == onnxfile.serialise(quantised.emit())


def test_onnx_itself_computes_what_the_mirror_computes() -> None:
    """ONNX's reference implementation, an oracle that shares no code with onnxruntime: 2 % of the values may flip."""
    prepared = Prepared.of(GRAPHS["residual"]())
    for seed in range(3):
        quantised = prepared.quantise(prepared.random_policy(seed))
        inputs = quantised.inputs(4)
        probe = quantised.network.probe(inputs)
        (given,) = ReferenceEvaluator(ir.to_proto(quantised.emit())).run(None, {"x": inputs[0]})
        assert (np.abs(given - probe.outputs["y"]) > 1e-4 * np.abs(given).max()).mean() <= 0.02


DIGEST = """
import hashlib
from haqc import onnxfile
from tests.passes.small_graphs import GRAPHS, Prepared
prepared = Prepared.of(GRAPHS["residual"]())
print(hashlib.sha256(onnxfile.serialise(prepared.quantise(prepared.random_policy(3)).emit())).hexdigest())
"""


@pytest.mark.slow
def test_the_bytes_do_not_depend_on_the_process(root: Path) -> None:
    digests = set()
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(root)}
        done = subprocess.run(
            [sys.executable, "-c", DIGEST], cwd=root, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        digests.add(done.stdout)
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("opset", "emitted", "ir_version"),
    [(17, 21, 10), (21, 21, 10), (22, 22, 10), (23, 23, 11), (24, 24, 12), (26, 26, 13)],
)
def test_opset_and_ir_version(opset: int, emitted: int, ir_version: int) -> None:
    given = conv_relu(opset)
    given.ir_version = onnx.helper.find_min_ir_version_for(given.opset_import)
    prepared = Prepared.of(given)
    quantised = prepared.quantise(prepared.space.narrowest)
    proto = ir.to_proto(quantised.emit())
    assert [(entry.domain, entry.version) for entry in proto.opset_import] == [("", emitted)]
    assert proto.ir_version == ir_version
    onnx.checker.check_model(proto, full_check=True)
    onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])


def test_an_ir_version_that_runtimes_do_not_read_is_refused() -> None:
    prepared = Prepared.of(conv_relu())
    quantised = prepared.quantise(prepared.space.widest)
    model = prepared.model.clone()
    model.opset_imports[""] = 28
    with pytest.raises(ModelError, match="needs ONNX IR version 14, runtimes read 13"):
        emit_qcdq(model, quantised.policy, quantised.codes, {})


def test_names_that_are_taken_are_left_alone() -> None:
    """A model whose own tensors and nodes are called what emission would call its own."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 4]) for name in ("x", "x_scale", "y")]
    weight = numpy_helper.from_array(np.eye(4, dtype=np.float32), "w")
    names = ("w_codes", "w_dequantised", "x_codes")
    codes = [numpy_helper.from_array(np.full((4, 4), i, np.float32), name) for i, name in enumerate(names, 2)]
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["x_dequantised"], name="x_codes"),
        helper.make_node("MatMul", ["x_dequantised", "w_codes"], ["x_clipped"], name="x_clipped"),
        helper.make_node("MatMul", ["x_scale", "w_dequantised"], ["x_high"], name="x_dequantised"),
        helper.make_node("Add", ["x_clipped", "x_high"], ["sum"], name="sum"),
        helper.make_node("MatMul", ["sum", "x_codes"], ["y"], name="y"),
    ]
    graph = helper.make_graph(nodes, "names", values[:2], values[2:], [weight, *codes])
    prepared = Prepared.of(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10))
    quantised = prepared.quantise(prepared.random_policy(0))
    proto = ir.to_proto(quantised.emit())
    onnx.checker.check_model(proto, full_check=True)
    assert len({node.name for node in proto.graph.node}) == len(proto.graph.node)
    assert len({tensor.name for tensor in proto.graph.initializer}) == len(proto.graph.initializer)
    annotated = {node.name: node.op_type for node in proto.graph.node if node.metadata_props}
    assert annotated == {layer.name: "MatMul" for layer in prepared.graph.layers}
