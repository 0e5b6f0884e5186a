"""Reconstruction: errors fall, the float network's own outputs are the aim, labels are not read, seeds decide."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from haqc.data.split import Split, Transform
from haqc.mirror import from_onnx
from haqc.mirror.quantised import QuantisedMirror
from haqc.reconstruct import Fitting, reconstruct
from haqc.recovery import Reconstruction
from haqc.train import outputs
from tests.passes.small_graphs import GRAPHS, Prepared, samples

QUICK = Fitting(60 * 32)


def _split(prepared: Prepared, seed: int = 3, count: int = 96) -> Split:
    arrays = samples(prepared.model, count, seed)
    return Split(arrays, None, tuple(Transform() for _ in arrays))


def _original(prepared: Prepared) -> dict[str, np.ndarray]:
    mirror = from_onnx(prepared.model)
    return {name: mirror.value(name).detach().numpy().copy() for name in mirror.layer_parameters(prepared.graph)}


def _reconstruct(
    prepared: Prepared, network: QuantisedMirror, fitting: Fitting = QUICK, seed: int = 0
) -> Reconstruction:
    logits = network.mirror.outputs[0]
    return reconstruct(network, _original(prepared), logits, _split(prepared), fitting, seed)


@pytest.mark.parametrize(("name", "share"), [("residual", 0.7), ("depthwise", 0.9), ("tokens_first", 0.9)])
def test_the_output_on_fresh_samples_comes_closer_to_the_float_networks(name: str, share: float) -> None:
    prepared = Prepared.of(GRAPHS[name]())
    network = prepared.quantise(prepared.space.uniform(3, 4)).network
    fresh, output = _split(prepared, seed=4), network.mirror.outputs[0]
    exact = outputs(from_onnx(prepared.model), output, fresh)
    before = np.square(outputs(network, output, fresh) - exact).mean()
    _reconstruct(prepared, network)
    assert np.square(outputs(network, output, fresh) - exact).mean() < share * before


def test_the_errors_are_those_of_the_quantised_stretches() -> None:
    prepared = Prepared.of(GRAPHS["conv_relu"]())
    network = prepared.quantise(prepared.space.uniform(3, 3)).network
    found = _reconstruct(prepared, network)
    assert found.stretches == ("r1", "r2", "y")
    assert all(after <= before for before, after in zip(found.before, found.after, strict=True))
    assert found.after[-1] < found.before[-1]
    split = _split(prepared)
    exact, actual = (outputs(mirror, "y", split) for mirror in (from_onnx(prepared.model), network))
    relative = np.square(actual - exact).mean() / np.square(exact - exact.mean(axis=0)).mean()
    assert found.after[-1] == pytest.approx(relative, rel=1e-4)


def test_no_steps_change_nothing() -> None:
    prepared = Prepared.of(GRAPHS["residual"]())
    network = prepared.quantise(prepared.space.uniform(4, 4)).network
    before = network.state()
    found = _reconstruct(prepared, network, Fitting(0))
    assert found.before == found.after
    for name, array in network.state().parameters.items():
        np.testing.assert_array_equal(array, before.parameters[name])


def test_the_seed_decides() -> None:
    prepared = Prepared.of(GRAPHS["residual"]())
    states = []
    for seed in (1, 1, 2):
        network = prepared.quantise(prepared.space.uniform(4, 4)).network
        _reconstruct(prepared, network, Fitting(160), seed)
        states.append(network.state().parameters)
    for name, array in states[0].items():
        np.testing.assert_array_equal(array, states[1][name])
    assert any((array != states[2][name]).any() for name, array in states[0].items())


def test_weights_that_two_stretches_share_are_left_alone() -> None:
    prepared = Prepared.of(GRAPHS["shared_weights"]())
    network = prepared.quantise(prepared.space.uniform(4, 4)).network
    shared = [t for t in network.weights if sum(layer.weight == t for layer in prepared.graph.layers) > 1]
    before = network.state()
    _reconstruct(prepared, network, Fitting(160))
    assert shared
    for name in shared:
        np.testing.assert_array_equal(network.state().parameters[name], before.parameters[name])


def test_stretches_that_reach_infinity_are_left_alone() -> None:
    prepared = Prepared.of(GRAPHS["gemm"]())
    network = prepared.quantise(prepared.space.uniform(4, 4)).network
    split, before = _split(prepared), network.state()
    split.arrays[0][5] = np.inf
    found = reconstruct(network, _original(prepared), "y", split, Fitting(64), 0)
    assert found.stretches == found.before == found.after == ()
    for name, array in network.state().parameters.items():
        np.testing.assert_array_equal(array, before.parameters[name])


def test_a_model_that_takes_a_fixed_number_of_samples_gets_whole_runs() -> None:
    prepared = Prepared.of(GRAPHS["gemm"]())
    network = prepared.quantise(prepared.space.uniform(3, 3)).network
    split = replace(_split(prepared, count=50), samples_per_run=8)
    sizes: list[int] = []
    found = reconstruct(network, _original(prepared), "y", split, Fitting(80), 0, sizes.append)
    assert found.kept == 48
    assert set(sizes) == {8}
    assert found.after[-1] < found.before[-1]


def test_fewer_samples_than_a_run_takes_are_repeated() -> None:
    prepared = Prepared.of(GRAPHS["gemm"]())
    network = prepared.quantise(prepared.space.uniform(3, 3)).network
    split = replace(_split(prepared, count=5), samples_per_run=8)
    assert reconstruct(network, _original(prepared), "y", split, Fitting(16), 0).kept == 8
