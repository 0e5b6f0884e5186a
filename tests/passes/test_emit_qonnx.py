"""The QONNX file: every quantiser as a Quant of its width, and its values those of the mirror."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from haqc import onnxfile
from haqc.codes import BiasCodes
from haqc.passes.clean import clean
from haqc.passes.emit import EMITTERS, Emission, emit
from haqc.passes.verify import verify_qonnx
from haqc.passes.verify.qonnx import QONNX
from tests.passes.small_graphs import ANNOTATIONS, EVERY_GRAPH, GRAPHS, Prepared, Quantised

DOMAIN = "qonnx.custom_op.general"


def quantised(name: str, seed: int = 5) -> Quantised:
    prepared = Prepared.of(GRAPHS[name]())
    return prepared.quantise(prepared.random_policy(seed))


def written(network: Quantised) -> Emission:
    return emit("qonnx", network.prepared.model, network.policy, network.codes, ANNOTATIONS)


def quants(emission: Emission) -> dict[str, ir.Node]:
    """Quant and BipolarQuant nodes by the tensor they read."""
    return {str(node.inputs[0].name): node for node in emission.model.graph if node.domain == DOMAIN}


def computed(node: ir.Node, x: np.ndarray) -> np.ndarray:
    """What a node makes of a tensor, by QONNX's definition."""
    scale, *others = (value.const_value.numpy() for value in node.inputs[1:])
    if node.op_type == "BipolarQuant":
        return np.asarray(np.where(x >= 0, np.float32(1), np.float32(-1)) * scale)
    zero_point, bits = others
    signed = node.attributes["signed"].as_int()
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    codes = np.round(np.clip(x / scale + zero_point, np.float32(low), np.float32(high)))
    return np.asarray((codes - zero_point) * scale, np.float32)


@pytest.mark.parametrize("name", EVERY_GRAPH)
def test_every_operand_has_one_quantiser_of_its_width(name: str) -> None:
    network = quantised(name)
    emission = written(network)
    found = quants(emission)
    codes = network.codes
    assert {*found} == {*codes.weights, *codes.biases, *codes.activations}
    for tensor, bits in network.policy.widths.items():
        node = found[tensor]
        if node.op_type == "BipolarQuant":
            assert (bits, tensor in codes.weights) == (1, True)
        else:
            assert node.inputs[3].const_value.numpy() == bits
            assert node.inputs[3].const_value.numpy().shape == ()
    onnx.load_from_string(onnxfile.serialise(emission.model))
    assert emission.fallbacks == ()


@pytest.mark.parametrize("name", EVERY_GRAPH)
def test_stored_weights_are_what_a_quant_leaves_as_it_is(name: str) -> None:
    network = quantised(name)
    emission = written(network)
    found = quants(emission)
    graph = emission.model.graph
    for tensor, weight in network.codes.weights.items():
        stored = graph.initializers[tensor].const_value.numpy()
        shape = [1] * weight.codes.ndim
        shape[weight.axis] = -1
        expected = weight.codes.astype(np.float32) * weight.scale.reshape(shape)
        np.testing.assert_array_equal(stored, expected)
        np.testing.assert_array_equal(computed(found[tensor], stored), stored)
    for tensor, bias in network.codes.biases.items():
        stored = graph.initializers[tensor].const_value.numpy()
        np.testing.assert_array_equal(stored, bias.codes.astype(np.float32) * bias.scale)
        np.testing.assert_array_equal(computed(found[tensor], stored), stored)


@pytest.mark.parametrize("name", ["residual", "vision_transformer", "depthwise"])
def test_activations_are_those_of_the_mirror(name: str) -> None:
    network = quantised(name)
    found = quants(written(network))
    x = np.random.default_rng(0).standard_normal(4096).astype(np.float32)
    for tensor, activation in network.codes.activations.items():
        values = x * activation.scale * 2**activation.bits
        low, high = 0, 2**activation.bits - 1
        codes = np.clip(np.round(values / activation.scale) + activation.zero_point, low, high)
        expected = (codes - activation.zero_point).astype(np.float32) * activation.scale
        np.testing.assert_array_equal(computed(found[tensor], values), expected)
        is_middle = activation.bits > 1 and activation.zero_point == 2 ** (activation.bits - 1)
        assert found[tensor].inputs[2].const_value.numpy() == (0 if is_middle else activation.zero_point)


def test_the_types_of_tensors_are_annotated() -> None:
    network = quantised("residual")
    emission = written(network)
    proto = ir.to_proto(emission.model)
    noted = {
        entry.tensor_name: {pair.key: pair.value for pair in entry.quant_parameter_tensor_names}
        for entry in proto.graph.quantization_annotation
    }
    for tensor, node in quants(emission).items():
        (number,) = noted[node.outputs[0].name].values()
        bits = network.policy.widths.get(tensor)
        assert number in ("FLOAT32", f"SCALEDINT<{bits}>") or tensor in network.codes.biases


def test_a_bias_too_wide_for_float32_stays_float_and_is_listed() -> None:
    network = quantised("residual")
    name, bias = next(iter(network.codes.biases.items()))
    wide = BiasCodes(bias.codes.copy(), bias.scale)
    wide.codes[0] = 2**30
    codes = replace(network.codes, biases={**network.codes.biases, name: wide})
    emission = emit("qonnx", network.prepared.model, network.policy, codes, ANNOTATIONS)
    (fallback,) = emission.fallbacks
    assert (fallback.tensor, fallback.asked, fallback.stored) == (name, "32 bits", "float")
    assert "need 32 bits" in fallback.reason
    assert name not in quants(emission)


def test_haqc_reads_it_back_as_the_float_network() -> None:
    emission = written(quantised("residual"))
    again = clean(ir.from_proto(onnx.load_from_string(onnxfile.serialise(emission.model))))
    assert {node.domain for node in again.graph} == {""}


def test_a_table_names_every_format() -> None:
    from haqc.formats import FORMATS

    assert {*EMITTERS} == {*FORMATS}


@pytest.mark.parametrize("name", ["residual", "vision_transformer", "tied_table"])
def test_the_executor_of_qonnx_computes_what_the_mirror_computes(name: str) -> None:
    if QONNX.interpreter is None:
        pytest.skip("needs qonnx, here or in the interpreter that HAQC_QONNX_PYTHON names")
    network = quantised(name)
    found = verify_qonnx(written(network).model, network.network.probe(network.inputs(8)))
    assert found.status == "equal", found.first_difference
    assert found.version
    assert found.tensors == len(network.codes.activations)
