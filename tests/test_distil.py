"""Distillation of a whole network: its answers come closer to the float network's, and what cannot be trained stays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from haqc import distil as distillation
from haqc.data.split import Split, Transform
from haqc.distil import Lessons, distil
from haqc.metrics import named
from haqc.mirror import from_onnx
from haqc.mirror.node import Registry
from haqc.mirror.quantised import QuantisedMirror
from haqc.reconstruct import Fitting, reconstruct, stretches
from haqc.train import Recipe, outputs
from tests.passes.small_graphs import GRAPHS, Builder, Prepared, samples

RECIPE = Recipe(1600, 16, relative_rate=0.004, step_rate=0.001, label_share=0.0)
COSINE = named("cosine")


def _split(prepared: Prepared, seed: int = 3, count: int = 96) -> Split:
    arrays = samples(prepared.model, count, seed)
    return Split(arrays, None, tuple(Transform() for _ in arrays))


def _lessons(prepared: Prepared, count: int = 96) -> Lessons:
    mirror = from_onnx(prepared.model)
    return Lessons.of(mirror, mirror.outputs[0], _split(prepared), count, 50)


def _error(prepared: Prepared, network: QuantisedMirror) -> float:
    fresh, output = _split(prepared, seed=4), network.mirror.outputs[0]
    exact = outputs(from_onnx(prepared.model), output, fresh)
    return float(np.square(outputs(network, output, fresh) - exact).mean())


def _same(network: QuantisedMirror, before: QuantisedMirror) -> None:
    codes, expected = network.codes(), before.codes()
    for name, weight in codes.weights.items():
        np.testing.assert_array_equal(weight.codes, expected.weights[name].codes)


@pytest.mark.parametrize(("name", "share"), [("residual", 0.7), ("depthwise", 0.9), ("tokens_first", 0.9)])
def test_answers_on_fresh_samples_come_closer_to_the_float_networks(name: str, share: float) -> None:
    prepared = Prepared.of(GRAPHS[name]())
    network = prepared.quantise(prepared.space.uniform(3, 4)).network
    before = _error(prepared, network)
    distil(network, _lessons(prepared), COSINE, RECIPE, seed=0)
    assert _error(prepared, network) < share * before


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
def test_settled_weights_have_their_codes_and_lie_on_them(bits: int) -> None:
    prepared = Prepared.of(GRAPHS["conv_relu"]())
    network, before = (prepared.quantise(prepared.space.uniform(bits, 8)).network for _ in range(2))
    network.settle()
    _same(network, before)
    for name, quantiser in network.weights.items():
        weight = network.mirror.value(name)
        assert (weight == quantiser(weight)).all()
    assert _error(prepared, network) == _error(prepared, before)


def test_labels_are_not_read() -> None:
    prepared = Prepared.of(GRAPHS["residual"]())
    states = []
    for labels in (None, np.zeros(96, np.int64)):
        network, lessons = prepared.quantise(prepared.space.uniform(3, 4)).network, _lessons(prepared)
        distil(network, replace(lessons, split=replace(lessons.split, labels=labels)), named("top-1"), RECIPE, seed=0)
        states.append(network.state())
    for name, array in states[0].parameters.items():
        np.testing.assert_array_equal(array, states[1].parameters[name])


def test_answers_that_are_no_numbers_end_it_quietly() -> None:
    prepared = Prepared.of(GRAPHS["residual"]())
    network, before = (prepared.quantise(prepared.space.uniform(3, 4)).network for _ in range(2))
    lessons, looks = _lessons(prepared), list[int]()
    broken = replace(lessons, answers=np.full_like(lessons.answers, np.nan))
    distil(network, broken, COSINE, replace(RECIPE, checkpoints=4), 0, checkpoint=lambda: looks.append(1))
    assert looks == []
    _same(network, before)


def _ending_in(*operators: str) -> Prepared:
    """Gives a small network whose scores pass some operators at the end."""
    b = Builder()
    tensor = b.conv(b.relu(b.conv("x", "c1", 3, 8), "r1"), "scores", 8, 4)
    for operator in operators:
        attributes = {"ArgMax": {"axis": 1}, "Cast": {"to": 1}}.get(operator, {})
        tensor = b.node(operator, [tensor], "y" if operator is operators[-1] else f"{tensor}.{operator}", **attributes)
    return Prepared.of(b.model({"x": (3, 8, 8)}, {"y": (1 if "ArgMax" in operators else 4, 8, 8)}))


@pytest.mark.parametrize("operators", [("ArgMax", "Cast"), ("Softsign",)])
def test_where_no_gradient_passes_the_network_stays(
    operators: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    build = Registry.build

    def lacking(self: Registry, node: Any) -> Any:
        if node.op == "Softsign":  # as if it had no mirror
            raise node.refuse("has no mirror")
        return build(self, node)

    monkeypatch.setattr(Registry, "build", lacking)
    prepared, seen = _ending_in(*operators), list[int]()
    network, before = (prepared.quantise(prepared.space.uniform(3, 4)).network for _ in range(2))
    lessons = _lessons(prepared)
    distil(network, lessons, COSINE, RECIPE, 0)
    _same(network, before)
    original = {name: network.mirror.value(name).detach().numpy() for name in ("c1.w", "c1.b", "scores.w", "scores.b")}
    reconstruct(network, original, "y", lessons.split, Fitting(64), 0, seen.append)
    assert sum(seen) == 64 * len(stretches(network.mirror, "y", network.weights, lessons.split))


def test_large_answers_are_of_fewer_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = Prepared.of(GRAPHS["residual"]())
    assert len(_lessons(prepared, count=40).split) == 40
    each = _lessons(prepared, count=1).answers.nbytes
    monkeypatch.setattr(distillation, "LARGEST_BYTES", 5 * each)
    lessons = _lessons(prepared)
    assert len(lessons.split) == len(lessons.answers) == 5
