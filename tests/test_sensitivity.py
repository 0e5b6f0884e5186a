"""Effects of single operands: the same as of whole runs, exact on each layer, and added up over runs of any length."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch

import haqc.sensitivity
from haqc.data.split import Split, Transform
from haqc.effect import Effect, Share
from haqc.metrics import named
from haqc.mirror import Mirror, from_onnx
from haqc.mirror.module import Quantiser
from haqc.mirror.quantised import ActivationQuantiser, WeightQuantiser
from haqc.sensitivity import Exact, part, parts, spread
from haqc.train import outputs
from tests.passes.small_graphs import GRAPHS, Prepared, samples

METRIC = (named("top-1"), named("agreement"))
"""With labels, and without."""

NAMES = ("gemm", "residual", "attention", "shared_input", "shared_weights", "squeeze_excite", "recurrent", "pooling")


def _split(prepared: Prepared, labels: np.ndarray | None = None) -> Split:
    arrays = samples(prepared.model, 6, seed=3)
    return Split(arrays, labels, tuple(Transform(dtype=array.dtype) for array in arrays))


def _exact(prepared: Prepared, split: Split) -> tuple[Mirror, Exact]:
    mirror = from_onnx(prepared.model)
    return mirror, Exact(
        mirror, prepared.graph, prepared.calibration, mirror.outputs[0], split, METRIC[split.labels is None]
    )


def _quantisers(prepared: Prepared, tensor: str, bits: int) -> Mapping[str, Quantiser]:
    """Gives the quantisers of an operand and of those that share its width."""
    grids = prepared.calibration
    return {
        name: WeightQuantiser(grids.weights[name, bits], bits)
        if (name, bits) in grids.weights
        else ActivationQuantiser(grids.activations[name, bits], bits)
        for name in prepared.graph.sharing(tensor)
    }


def _operands(prepared: Prepared) -> list[str]:
    return [choice.operand.tensor for choice in prepared.space.free]


@pytest.mark.parametrize("kept", [1 << 26, 200])
@pytest.mark.parametrize("name", NAMES)
def test_errors_are_those_of_the_whole_network(monkeypatch: pytest.MonkeyPatch, name: str, kept: int) -> None:
    monkeypatch.setattr(haqc.sensitivity, "KEPT_VALUES", kept)
    prepared = Prepared.of(GRAPHS[name]())
    split = _split(prepared)
    mirror, exact = _exact(prepared, split)
    output = mirror.outputs[0]
    floating = outputs(mirror, output, split)
    for tensor in _operands(prepared):
        for bits in (2, 5):
            mirror.quantisers = _quantisers(prepared, tensor, bits)
            error = np.square(outputs(mirror, output, split) - floating, dtype=np.float64).sum()
            mirror.quantisers = {}
            assert exact.share(tensor, bits, 2.0).output == error / 2


@pytest.mark.parametrize("name", ["gemm", "residual", "tokens", "shared_input"])
def test_a_layer_errs_as_it_does_alone(name: str) -> None:
    """The layer's own error needs nothing of the network behind it, and none of what was quantised before it."""
    prepared = Prepared.of(GRAPHS[name]())
    split = _split(prepared)
    mirror, exact = _exact(prepared, split)
    inputs = tuple(torch.from_numpy(array) for array in split.inputs(slice(0, 6)))
    for tensor in _operands(prepared):
        readers = [layer for layer in prepared.graph.layers if tensor in (layer.weight, layer.activation)]
        wanted = tuple(dict.fromkeys(layer.output for layer in readers))
        found = exact.share(tensor, 3, 1.0)
        with torch.no_grad():
            before = mirror.run(inputs, wanted)
            mirror.quantisers = _quantisers(prepared, tensor, 3)
            after = mirror.run(inputs, wanted)
            mirror.quantisers = {}
        error = sum(float((a - b).double().square().sum()) for a, b in zip(after, before, strict=True))
        assert found.layer_error == pytest.approx(error, rel=1e-4, abs=1e-9)
        assert found.layer_square == pytest.approx(sum(float(b.double().square().sum()) for b in before), rel=1e-4)


def test_only_what_lies_behind_an_operand_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = Prepared.of(GRAPHS["gemm"]())
    mirror, exact = _exact(prepared, _split(prepared))
    last = prepared.graph.layers[-1]
    seen: list[str] = []
    run = type(mirror.steps[0]).run

    def spy(step: object, values: dict[str, torch.Tensor]) -> object:
        seen.append(step.name)  # type: ignore[attr-defined]
        return run(step, values)  # type: ignore[arg-type]

    monkeypatch.setattr(type(mirror.steps[0]), "run", spy)
    exact.share(last.weight, 4, 1.0)
    assert set(seen) <= set(last.nodes)


def test_runs_of_any_length_add_up() -> None:
    prepared = Prepared.of(GRAPHS["residual"]())
    whole = _split(prepared, np.arange(6) % 3)
    mirror, exact = _exact(prepared, whole)
    total = spread(outputs(mirror, mirror.outputs[0], whole))
    for tensor in _operands(prepared):
        one = Effect.of([exact.share(tensor, 2, total)], 6)
        pieces = [_exact(prepared, part(whole, 4, i))[1].share(tensor, 2, total) for i in range(parts(whole, 4))]
        several = Effect.of(pieces, 6)
        assert len(pieces) == 2
        assert several.output == pytest.approx(one.output, rel=1e-4)
        assert several.layer == pytest.approx(one.layer, rel=1e-4)
        assert several.lost == one.lost


def test_lost_points_count_samples_that_are_right_no_more() -> None:
    prepared = Prepared.of(GRAPHS["gemm"]())
    mirror, _ = _exact(prepared, _split(prepared))
    floating = outputs(mirror, "y", _split(prepared))
    labels = floating.argmax(axis=1)
    labels[0] += 1  # one that the float network gets wrong
    _, exact = _exact(prepared, _split(prepared, labels))
    for tensor in _operands(prepared):
        mirror.quantisers = _quantisers(prepared, tensor, 1)
        found = outputs(mirror, "y", _split(prepared)).argmax(axis=1)
        mirror.quantisers = {}
        assert exact.share(tensor, 1, 1.0).lost == 5 - (found == labels).sum()


def test_shares_become_an_effect() -> None:
    shares = [Share(0.25, 1.0, 4.0, 1.0), Share(0.5, 2.0, 8.0, -2.0)]
    assert Effect.of(shares, 10) == Effect(0.75, 0.25, -10.0)
    assert Effect.of([Share(0.25, 1.0, 4.0, None)], 10) == Effect(0.25, 0.25, None)
    assert Effect.of([Share(0.0, 0.0, 0.0, 0.0)], 1).layer == 0.0


@pytest.mark.parametrize("lost", [None, 0.0, -1.5])
def test_an_effect_survives_as_numbers(lost: float | None) -> None:
    effect = Effect(0.75, 0.25, lost)
    assert Effect.of_numbers(effect.to_numbers()) == effect
