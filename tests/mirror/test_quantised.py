"""The mirror at a policy computes exactly what it stores: codes, scales, zero points, biases."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from haqc.mirror.quantised import QuantisedMirror
from haqc.probe import PART_SAMPLES, TIE_MARGIN, parts
from haqc.quant import BIAS_LIMIT, activation_range, weight_range
from tests.passes.small_graphs import GRAPHS, Prepared, Quantised

BITS = range(1, 9)


@pytest.fixture(scope="module")
def gemm() -> Prepared:
    return Prepared.of(GRAPHS["gemm"]())


@pytest.fixture(scope="module")
def residual() -> Prepared:
    return Prepared.of(GRAPHS["residual"]())


def _run(network: QuantisedMirror, inputs: tuple[np.ndarray, ...]) -> np.ndarray:
    with torch.no_grad():
        return network(*(torch.from_numpy(array) for array in inputs))[0].numpy()


def _floats(network: QuantisedMirror) -> list[nn.Parameter]:
    return [parameter for parameter in network.parameters() if parameter.is_floating_point()]


def _fake(quantised: Quantised, tensor: str, x: np.ndarray) -> np.ndarray:
    """Quantises and dequantises an activation from its stored codes, in numpy."""
    stored = quantised.codes.activations[tensor]
    codes = np.clip(np.round(x / stored.scale) + stored.zero_point, *activation_range(stored.bits))
    return ((codes - stored.zero_point) * stored.scale).astype(np.float32)


@pytest.mark.parametrize("bits", BITS)
def test_the_network_computes_what_it_stores(gemm: Prepared, bits: int) -> None:
    quantised = gemm.quantise(gemm.space.uniform(bits, bits))
    codes, (x,) = quantised.codes, quantised.inputs()
    for layer in gemm.graph.layers:
        stored = codes.weights[layer.weight]
        weight = stored.codes * np.expand_dims(stored.scale, 1 - stored.axis)
        x = _fake(quantised, layer.activation, x) @ (weight.T if stored.axis == 0 else weight)
        if layer.bias:
            x = x + codes.biases[layer.bias].codes * codes.biases[layer.bias].scale
        x = x if layer.output == "y" else np.maximum(x, 0)
    given = _run(quantised.network, quantised.inputs())
    # Sums run in another order here, so a value near a tie may round the other way: rarely, and by one step.
    assert (np.abs(given - x) > 1e-5 * np.abs(x).max()).mean() < 0.02


@pytest.mark.parametrize("seed", range(4))
def test_codes_lie_in_their_ranges(residual: Prepared, seed: int) -> None:
    quantised = residual.quantise(residual.random_policy(seed))
    for tensor, weight in quantised.codes.weights.items():
        bits = quantised.policy.widths[tensor]
        low, high = weight_range(bits)
        assert weight.bits == bits
        assert weight.codes.dtype == np.int8 and weight.scale.dtype == np.float32
        assert low <= weight.codes.min() and weight.codes.max() <= high
        assert (weight.scale > 0).all()
        assert set(np.unique(weight.codes)) <= {-1, 1} or bits > 1
    for tensor, activation in quantised.codes.activations.items():
        bits = quantised.policy.widths[tensor]
        assert activation.bits == bits
        assert activation.scale > 0
        assert 0 <= activation.zero_point <= 2**bits - 1
        assert residual.graph.operand[tensor].signed or activation.zero_point == 0


def test_the_bias_lies_on_the_grid_of_the_accumulator(residual: Prepared) -> None:
    quantised = residual.quantise(residual.random_policy(0))
    codes = quantised.codes
    assert len(codes.biases) == len(residual.graph.layers)
    for layer in residual.graph.layers:
        bias = codes.biases[layer.bias]
        expected = np.float32(codes.activations[layer.activation].scale) * codes.weights[layer.weight].scale
        np.testing.assert_array_equal(bias.scale, expected)
        assert bias.scale.dtype == np.float32 and bias.codes.dtype == np.int32
        assert np.abs(bias.codes).max() <= BIAS_LIMIT
        value = quantised.network.mirror.value(layer.bias).detach().numpy()
        assert (np.abs(bias.codes * bias.scale - value) <= 0.5001 * bias.scale).all()


def test_grouped_transposed_convolutions_repeat_their_scales_over_the_groups() -> None:
    prepared = Prepared.of(GRAPHS["grouped_transposed"]())
    codes = prepared.quantise(prepared.space.widest).codes
    (layer,) = (layer for layer in prepared.graph.layers if layer.op == "ConvTranspose")
    scale = codes.activations[layer.activation].scale * codes.weights[layer.weight].scale
    np.testing.assert_array_equal(codes.biases[layer.bias].scale, np.tile(scale, 2))


def test_the_mirror_is_float_again_afterwards(residual: Prepared) -> None:
    quantised = residual.quantise(residual.space.narrowest)
    network, inputs = quantised.network, quantised.inputs()
    before = _run(network.mirror, inputs)  # type: ignore[arg-type]
    assert np.abs(_run(network, inputs) - before).max() > 0
    np.testing.assert_array_equal(_run(network.mirror, inputs), before)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError):
        network(torch.zeros(1, 1, 1, 1))
    assert network.mirror.quantisers == {}


def test_weights_biases_and_steps_get_gradients(residual: Prepared) -> None:
    quantised = residual.quantise(residual.space.uniform(3, 3))
    network = quantised.network
    network(*(torch.from_numpy(array) for array in quantised.inputs()))[0].square().sum().backward()
    trained = [network.mirror.value(name) for name in network.mirror.layer_parameters(residual.graph)]
    for parameter in [*trained, *network.steps.parameters()]:
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all() and parameter.grad.abs().sum() > 0
    assert len(list(network.steps.parameters())) == len(residual.graph.operands)


def test_a_state_brings_the_network_back(residual: Prepared) -> None:
    quantised = residual.quantise(residual.random_policy(1))
    network, inputs = quantised.network, quantised.inputs()
    state, before = network.state(), _run(network, inputs)
    with torch.no_grad():
        for parameter in _floats(network):
            parameter.mul_(1.5)
    assert np.abs(_run(network, inputs) - before).max() > 0
    network.load(state)
    np.testing.assert_array_equal(_run(network, inputs), before)


def test_a_state_is_a_copy(residual: Prepared) -> None:
    network = residual.quantise(residual.space.widest).network
    state = network.state()
    copies = {name: array.copy() for name, array in {**state.parameters, **state.log_scales}.items()}
    with torch.no_grad():
        for parameter in _floats(network):
            parameter.add_(1)
    for name, array in {**state.parameters, **state.log_scales}.items():
        np.testing.assert_array_equal(array, copies[name])


def test_layers_kept_in_float_hand_over_their_parameters() -> None:
    prepared = Prepared.of(GRAPHS["float_layers"]())
    codes = prepared.quantise(prepared.space.narrowest).codes
    kept = [layer for layer in prepared.graph.layers if layer.float_reason]
    assert {*codes.floats} == {name for layer in kept for name in (layer.weight, layer.bias)}
    assert {*codes.floats}.isdisjoint({*codes.weights, *codes.biases})


@pytest.mark.parametrize("name", ["residual", "two_inputs", "tokens_first"])
@pytest.mark.parametrize("count", [5, PART_SAMPLES + 1, 2 * PART_SAMPLES])
def test_a_probe_holds_what_the_network_computes(name: str, count: int) -> None:
    prepared = Prepared.of(GRAPHS[name]())
    quantised = prepared.quantise(prepared.random_policy(2))
    inputs = quantised.inputs(count)
    probe = quantised.network.probe(inputs)
    assert len(probe) == count
    np.testing.assert_allclose(probe.outputs["y"], _run(quantised.network, inputs), rtol=0, atol=1e-5)
    for given, stored in zip(inputs, probe.inputs.values(), strict=True):
        np.testing.assert_array_equal(given, stored)
    assert {*probe.codes} == {*quantised.codes.activations} == {*probe.near_tie}
    for tensor, codes in probe.codes.items():
        assert codes.dtype == np.uint8
        assert codes.max() <= activation_range(quantised.policy.widths[tensor])[1]
        assert codes.shape == probe.near_tie[tensor].shape
        assert len(codes) % parts(count) == 0


def test_near_ties_are_where_rounding_is_in_doubt(gemm: Prepared) -> None:
    quantised = gemm.quantise(gemm.space.widest)
    stored = quantised.codes.activations["x"]
    steps = np.array([0.5, 1.4995, 2.5005, 3.49, 4.6, -0.5, -1.0] + [0.0] * 9, np.float32).reshape(1, 16)
    near_tie = quantised.network.probe((steps * stored.scale,)).near_tie["x"]
    assert near_tie[0, :7].tolist() == [True, True, True, False, False, True, False]
    assert pytest.approx(1e-3) == TIE_MARGIN
