"""Policies run in any order, with anything remembered, give the same floats as each one alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import haqc.prefix
from haqc.data.split import Split, Transform
from haqc.mirror import Mirror, from_onnx
from haqc.mirror.quantised import QuantisedMirror
from haqc.mirror.step import Step
from haqc.policy import Policy
from haqc.prefix import Prefixes
from haqc.train import outputs
from tests.passes.small_graphs import GRAPHS, Prepared, samples

NAMES = ("gemm", "residual", "attention", "conv_relu6", "shared_weights", "two_inputs", "recurrent", "tied_table")


def _split(prepared: Prepared) -> Split:
    arrays = samples(prepared.model, 7, seed=3)
    return Split(arrays, None, tuple(Transform(dtype=array.dtype) for array in arrays))


def _policies(prepared: Prepared) -> list[Policy]:
    """Gives policies that share first layers with each other: each differs from the one before in one operand."""
    generator = np.random.default_rng(0)
    widths = {choice.operand.tensor: 4 for choice in prepared.space.free}
    policies = [prepared.space.policy(widths)]
    for choice in reversed(prepared.space.free):
        widths[choice.operand.tensor] = int(generator.choice([2, 3, 5]))
        policies.append(prepared.space.policy(widths))
    return policies


def _result(prefixes: Prefixes, mirror: Mirror, prepared: Prepared, policy: Policy) -> np.ndarray:
    network = QuantisedMirror(mirror, policy, prepared.calibration)
    return np.concatenate([part for (part,) in prefixes.runs(network)])


def _new(prepared: Prepared) -> tuple[Mirror, Callable[[], Prefixes]]:
    mirror = from_onnx(prepared.model)
    return mirror, lambda: Prefixes(mirror, prepared.graph, mirror.outputs[:1], _split(prepared), 3)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_depends_on_what_ran_before(name: str) -> None:
    prepared = Prepared.of(GRAPHS[name]())
    mirror, make = _new(prepared)
    policies = _policies(prepared)
    alone = [_result(make(), mirror, prepared, policy) for policy in policies]
    for order in (range(len(policies)), reversed(range(len(policies)))):
        shared = make()
        for index in [*order, 0]:
            np.testing.assert_array_equal(_result(shared, mirror, prepared, policies[index]), alone[index])


@pytest.mark.parametrize("name", NAMES)
def test_it_is_what_the_network_gives(name: str) -> None:
    prepared = Prepared.of(GRAPHS[name]())
    mirror, make = _new(prepared)
    shared, split = make(), _split(prepared)
    for policy in _policies(prepared):
        network = QuantisedMirror(mirror, policy, prepared.calibration)
        expected = outputs(network, mirror.outputs[0], split, 3)
        np.testing.assert_array_equal(_result(shared, mirror, prepared, policy), expected)


def test_common_first_layers_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = Prepared.of(GRAPHS["gemm"]())
    mirror, make = _new(prepared)
    shared = make()
    seen: list[str] = []
    run = Step.run

    def spy(step: Step, values: dict[str, object]) -> object:
        seen.append(step.name)
        return run(step, values)

    monkeypatch.setattr(Step, "run", spy)
    names = [layer.name for layer in prepared.graph.layers]
    last = prepared.space.free[-1].operand.tensor
    base = {choice.operand.tensor: 4 for choice in prepared.space.free}
    counts = []
    for widths in (base, base | {last: 3}, base | {prepared.space.free[0].operand.tensor: 3}):
        seen.clear()
        _result(shared, mirror, prepared, prepared.space.policy(widths))
        counts.append((seen.count(names[0]), seen.count(names[-1])))
    assert counts == [(3, 3), (0, 3), (3, 3)]


def test_too_little_memory_only_costs_time(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = Prepared.of(GRAPHS["residual"]())
    mirror, make = _new(prepared)
    policies = _policies(prepared)
    expected = [_result(make(), mirror, prepared, policy) for policy in policies]
    monkeypatch.setattr(haqc.prefix, "PREFIX_BYTES", 100)
    monkeypatch.setattr(haqc.prefix, "WEIGHT_BYTES", 100)
    shared = make()
    for policy, found in zip(policies, expected, strict=True):
        np.testing.assert_array_equal(_result(shared, mirror, prepared, policy), found)
