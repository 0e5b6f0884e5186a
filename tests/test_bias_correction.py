"""Bias correction: means of channels become those of the float network, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from haqc.mirror import from_onnx
from haqc.mirror.quantised import QuantisedMirror, State
from haqc.reconstruct import correct, level
from haqc.reconstruct.biases import LARGEST_CHANGE
from tests.passes.small_graphs import GRAPHS, Prepared
from tests.test_reconstruct import _original, _split

Change = Callable[..., None]


def _changed(name: str, change: Change, bits: int = 2) -> tuple[Prepared, QuantisedMirror, State]:
    prepared = Prepared.of(GRAPHS[name]())
    network = prepared.quantise(prepared.space.uniform(bits, 4)).network
    before = network.state()
    change(network, _original(prepared), network.mirror.outputs[0], _split(prepared))
    return prepared, network, before


def _means(prepared: Prepared, network: QuantisedMirror, tensor: str) -> tuple[np.ndarray, np.ndarray]:
    """Means of the channels of a tensor over the samples, in the float network and the quantised one."""
    inputs = tuple(map(torch.from_numpy, _split(prepared).inputs(slice(0, 96))))
    with torch.no_grad():
        pair = from_onnx(prepared.model).run(inputs, (tensor,)) + network.run(inputs, (tensor,))
    exact, actual = (value.mean(dim=(0, *range(2, value.ndim))).numpy() for value in pair)
    return exact, actual


def _half_step(network: QuantisedMirror, bias: str) -> np.ndarray:
    """How far the rounding to the accumulator's steps moves a bias at most."""
    with torch.no_grad():
        step: np.ndarray = network.biases[bias].scale(network.mirror.value(bias)).numpy()
    return step / 2


@pytest.mark.parametrize("name", ["conv_relu", "depthwise", "residual", "gemm", "transposed"])
def test_every_layer_with_a_bias_gets_the_float_networks_means(name: str) -> None:
    prepared, network, _ = _changed(name, correct)
    layers = [layer for layer in prepared.graph.quantised_layers if layer.bias]
    assert layers
    for layer in layers:
        step = next(step for step in network.mirror.steps if step.name == layer.nodes[0])
        exact, actual = _means(prepared, network, step.outputs[0])
        assert (np.abs(actual - exact) <= _half_step(network, layer.bias) + 1e-5).all()


@pytest.mark.parametrize("change", [correct, level])
def test_nothing_but_biases_changes(change: Change) -> None:
    prepared, network, before = _changed("conv_relu", change)
    biases = {layer.bias for layer in prepared.graph.layers if layer.bias}
    after = network.state()
    moved = {name for name, array in after.parameters.items() if (array != before.parameters[name]).any()}
    assert moved and moved <= biases
    for name, array in after.log_scales.items():
        np.testing.assert_array_equal(array, before.log_scales[name])


def test_levelled_layers_give_the_float_means_for_constant_inputs() -> None:
    prepared, network, before = _changed("conv_relu", level, bits=8)
    layer = prepared.graph.quantised_layers[0]
    step = next(step for step in network.mirror.steps if step.name == layer.nodes[0])
    inputs = _split(prepared).inputs(slice(0, 96))[0]
    constant = np.broadcast_to(inputs.mean(axis=(0, 2, 3), keepdims=True), (1, *inputs.shape[1:])).copy()
    wanted, _ = _means(prepared, network, step.outputs[0])
    with torch.no_grad():
        (found,) = network.run((torch.from_numpy(constant),), (step.outputs[0],))
    assert (np.abs(found.mean(dim=(0, 2, 3)).numpy() - wanted) <= _half_step(network, layer.bias) + 1e-5).all()
    change = np.abs(network.state().parameters[layer.bias] - before.parameters[layer.bias])
    assert (change < LARGEST_CHANGE * np.abs(before.parameters[layer.bias])).all()


def test_a_bias_near_zero_keeps_its_layer_from_being_levelled() -> None:
    prepared = Prepared.of(GRAPHS["conv_relu"]())
    network = prepared.quantise(prepared.space.uniform(2, 4)).network
    with torch.no_grad():
        for layer in prepared.graph.layers:
            network.mirror.value(layer.bias)[0] = 0.0
    before = network.state()
    level(network, _original(prepared), network.mirror.outputs[0], _split(prepared))
    for name, array in network.state().parameters.items():
        np.testing.assert_array_equal(array, before.parameters[name])
