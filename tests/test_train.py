"""Fine-tuning: seeded, relative to each tensor's size, ends with small steps, reads its own split alone."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from haqc.data.split import Split, Transform
from haqc.errors import DataError
from haqc.metrics import Metric, named
from haqc.mirror import from_onnx
from haqc.mirror.quantised import QuantisedMirror
from haqc.train import Recipe, fine_tune, outputs
from tests.passes.small_graphs import GRAPHS, Prepared

AGREEMENT = named("agreement")
TOP_1 = named("top-1")
REGRESSION = named("cosine")


@pytest.fixture(scope="module")
def gemm() -> Prepared:
    return Prepared.of(GRAPHS["gemm"]())


def _split(count: int, seed: int = 0, labels: np.ndarray | None = None) -> Split:
    x = np.random.default_rng(seed).standard_normal((count, 16)).astype(np.float32)
    return Split((x,), labels, (Transform(),))


def _teacher(prepared: Prepared, split: Split) -> np.ndarray:
    return outputs(from_onnx(prepared.model), "y", split)


def _network(prepared: Prepared, bits: int = 3) -> QuantisedMirror:
    return prepared.quantise(prepared.space.uniform(bits, bits)).network


def _tune(
    prepared: Prepared, network: QuantisedMirror, recipe: Recipe, metric: Metric = AGREEMENT, seed: int = 0
) -> dict[str, np.ndarray]:
    split = _split(256)
    fine_tune(network, prepared.graph, "y", split, _teacher(prepared, split), metric, recipe, seed)
    state = network.state()
    return {**state.parameters, **{f"step of {name}": array for name, array in state.log_scales.items()}}


def test_zero_samples_change_nothing(gemm: Prepared) -> None:
    network = _network(gemm)
    before = network.state()
    after = _tune(gemm, network, Recipe(0))
    for name, array in before.parameters.items():
        np.testing.assert_array_equal(after[name], array)


def test_the_seed_decides(gemm: Prepared) -> None:
    first, again, other = (_tune(gemm, _network(gemm), Recipe(640), seed=seed) for seed in (1, 1, 2))
    for name, array in first.items():
        np.testing.assert_array_equal(again[name], array)
    assert any((other[name] != array).any() for name, array in first.items())


@pytest.mark.parametrize("metric", [AGREEMENT, REGRESSION], ids=["distilled", "regressed"])
def test_the_network_comes_closer_to_its_teacher(gemm: Prepared, metric: Metric) -> None:
    network, held_out = _network(gemm, bits=2), _split(256, seed=9)
    teacher = _teacher(gemm, held_out)
    before = np.square(outputs(network, "y", held_out) - teacher).mean()
    _tune(gemm, network, Recipe(6400), metric)
    assert np.square(outputs(network, "y", held_out) - teacher).mean() < 0.75 * before


def test_labels_are_learned(gemm: Prepared) -> None:
    plain = _split(256)
    labels = (plain.arrays[0][:, :10].argmax(axis=1)).astype(np.int64)
    split = replace(plain, labels=labels)
    network = _network(gemm, bits=8)
    before = (outputs(network, "y", split).argmax(axis=1) == labels).mean()
    recipe = Recipe(12_800, label_share=1.0)
    fine_tune(network, gemm.graph, "y", split, _teacher(gemm, split), TOP_1, recipe, 0)
    assert (outputs(network, "y", split).argmax(axis=1) == labels).mean() > before + 0.5


def test_labels_are_left_alone_where_accuracy_is_not_the_score(gemm: Prepared) -> None:
    states = []
    for labels in (None, np.full(256, 3)):
        network, split = _network(gemm), _split(256, labels=labels)
        fine_tune(network, gemm.graph, "y", split, _teacher(gemm, split), AGREEMENT, Recipe(128), 0)
        states.append(network.state().parameters)
    for name, array in states[0].items():
        np.testing.assert_array_equal(states[1][name], array)


def test_the_first_step_is_relative_to_each_tensors_size(gemm: Prepared) -> None:
    """Adam's first step is its rate in every entry that has a gradient well above its epsilon."""
    network = _network(gemm, bits=8)
    network.mirror.load({"b2": np.zeros(20, np.float32), "w1": network.mirror.value("w1").detach().numpy() * 100})
    before = network.state()
    after = _tune(gemm, network, Recipe(64, relative_rate=0.01, step_rate=0.002))
    for name, array in before.parameters.items():
        rms = max(float(np.sqrt(np.square(array).mean())), 1e-4)
        assert np.abs(after[name] - array).max() == pytest.approx(0.01 * rms, rel=2e-2), name
    for name, array in before.log_scales.items():
        assert np.abs(after[f"step of {name}"] - array).max() == pytest.approx(0.002, rel=2e-2), name


@pytest.mark.parametrize("count", [8, 256])
def test_steps_grow_small_towards_the_end(gemm: Prepared, count: int) -> None:
    """Also when there are fewer samples than a batch, so that there are more steps than samples / batch."""
    network, split = _network(gemm), _split(count)
    weight = network.mirror.value("w1")
    seen = [weight.detach().clone()]
    fine_tune(
        network, gemm.graph, "y", split, _teacher(gemm, split), AGREEMENT, Recipe(64 * min(count, 64)), 0,
        lambda samples: seen.append(weight.detach().clone()),
    )  # fmt: skip
    moves = [float((b - a).norm()) for a, b in itertools.pairwise(seen)]
    assert len(moves) == 64
    assert moves[0] < max(moves) / 3  # the rates rise first
    assert moves[-1] < max(moves) / 50


def test_every_sample_is_seen_once_an_epoch(gemm: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[np.ndarray] = []
    read = Split.inputs

    def spy(self: Split, index: np.ndarray) -> tuple[np.ndarray, ...]:
        seen.append(index)
        return read(self, index)

    network, split, done = _network(gemm), _split(100), []
    teacher = _teacher(gemm, split)
    monkeypatch.setattr(Split, "inputs", spy)
    fine_tune(network, gemm.graph, "y", split, teacher, AGREEMENT, Recipe(310, batch=40), 0, done.append)
    assert [len(index) for index in seen] == done == [40] * 7 + [30]
    order = np.concatenate(seen)
    epochs = [order[start : start + 100] for start in (0, 100, 200)]
    assert all(sorted(epoch) == list(range(100)) for epoch in epochs)
    assert (epochs[0] != epochs[1]).any()


def test_checkpoints_are_evenly_spaced_and_end_at_the_end(gemm: Prepared) -> None:
    network, split, done = _network(gemm), _split(100), [0]
    looks: list[int] = []
    fine_tune(
        network, gemm.graph, "y", split, _teacher(gemm, split), AGREEMENT, Recipe(100, 10, checkpoints=4), 0,
        advance=lambda samples: done.append(done[-1] + samples),
        checkpoint=lambda: looks.append(done[-1]),
    )  # fmt: skip
    assert looks == [20, 50, 80, 100]


def test_only_the_layers_and_their_steps_are_trained() -> None:
    prepared = Prepared.of(GRAPHS["conv_relu6"]())
    network = _network(prepared)
    trained = {*network.mirror.layer_parameters(prepared.graph)}
    others = [name for name in prepared.model.graph.initializers if name not in trained]
    assert others  # the bounds of the Clips
    before = {name: network.mirror.value(name).detach().clone() for name in others}
    x = np.random.default_rng(0).standard_normal((32, 3, 8, 8)).astype(np.float32)
    split = Split((x,), None, (Transform(),))
    fine_tune(network, prepared.graph, "y", split, _teacher(prepared, split), REGRESSION, Recipe(64, 8), 0)
    for name, array in before.items():
        assert torch.equal(network.mirror.value(name), array)


def test_the_float_network_is_trained_by_the_same_recipe(gemm: Prepared) -> None:
    mirror = from_onnx(gemm.model)
    before = mirror.value("w1").detach().clone()
    split = _split(64)
    teacher = np.roll(_teacher(gemm, split), 1, axis=1)
    fine_tune(mirror, gemm.graph, "y", split, teacher, AGREEMENT, Recipe(64), 0)
    assert not torch.equal(mirror.value("w1"), before)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_is_refused(gemm: Prepared, value: float) -> None:
    split = _split(64)
    teacher = _teacher(gemm, split)
    teacher[7, 3] = value
    with pytest.raises(DataError, match="the loss became infinite or NaN while fine-tuning; check the data's scaling"):
        fine_tune(_network(gemm), gemm.graph, "y", split, teacher, AGREEMENT, Recipe(64), 0)


def test_outputs_are_the_same_in_any_batches(gemm: Prepared) -> None:
    mirror, split = from_onnx(gemm.model), _split(50)
    whole = outputs(mirror, "y", split)
    assert whole.shape == (50, 10)
    np.testing.assert_allclose(outputs(mirror, "y", split, batch=7), whole, rtol=0, atol=1e-6)
