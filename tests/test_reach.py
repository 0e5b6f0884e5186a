"""Positions of a sequence that the output does not depend on are found, and count for nothing in a fit."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
import torch

from haqc.data.split import Split, Transform
from haqc.mirror import Mirror, from_onnx
from haqc.mirror.quantised import QuantisedMirror
from haqc.mirror.stretch import divide
from haqc.passes.bind import bind
from haqc.passes.calibrate import calibrate
from haqc.passes.clean import clean
from haqc.passes.parse import parse
from haqc.policy import Space
from haqc.precision import Precision
from haqc.reconstruct import Fitting, reconstruct
from haqc.reconstruct.fit import Sides
from haqc.reconstruct.parts import Original
from haqc.reconstruct.reach import TOGETHER, reach
from haqc.train import outputs
from tests.passes.small_graphs import GRAPHS, Prepared, samples
from tests.small_model import draw, small_model

TOKENS = """(int64[batch,5] ids, int64[batch,5] mask) => (float[batch,8] y) {
    [words] x = Gather (t, ids)
    [first] m0 = MatMul (x, w0)
    [relu] r0 = Relu (m0)
    [second] m1 = MatMul (r0, w1)
    [sigmoid] r1 = Sigmoid (m1)
    [third] m2 = MatMul (r1, w2)
    [wide] wide = Unsqueeze (mask, last)
    [cast] shown = Cast <to = 1> (wide)
    [mul] counted = Mul (m2, shown)
    [sum] y = ReduceSum <keepdims = 0> (counted, one)
}"""
INTEGERS = np.dtype(np.int64)
WEIGHTS = {"t": draw(11, 16), "w0": draw(16, 16), "w1": draw(16, 16, seed=1), "w2": draw(16, 8)}


def summed_up() -> Mirror:
    """Works on each of five tokens alone, and sums those that a mask shows."""
    return from_onnx(ir.from_proto(small_model(TOKENS, {**WEIGHTS, "one": [1], "last": [2]})))


def tokens(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws ten words for what is shown, and fills up with the last one."""
    random = np.random.default_rng(seed)
    mask = (np.arange(5) < random.integers(1, 6, (count, 1))).astype(np.int64)
    return np.where(mask, random.integers(0, 10, (count, 5)), 10), mask


def original(mirror: Mirror, inputs: tuple[torch.Tensor, ...], last: str, weights: list[str]) -> Original:
    parameters = {name: mirror.value(name).detach().numpy() for name in weights}
    return Original.of(mirror, parameters, divide(mirror, last, weights), inputs, None)


def test_what_a_mask_hides_is_not_reached() -> None:
    ids, mask = (torch.from_numpy(array) for array in tokens(TOGETHER + 3, 1))
    teacher = original(summed_up(), (ids, mask), "y", list(WEIGHTS))
    found = reach(teacher, 0)
    inner = [part.wanted for part in teacher.parts[:-1]]
    assert len(inner) >= 2
    assert list(found) == inner  # the output itself has no positions
    for reached in found.values():
        assert torch.equal(reached, mask[:, :, None].float())

    shown = original(summed_up(), (ids, torch.ones_like(mask)), "y", list(WEIGHTS))
    assert reach(shown, 0) == {}


def test_networks_that_read_no_integers_are_reached_everywhere() -> None:
    prepared = Prepared.of(GRAPHS["conv_relu"]())
    mirror = from_onnx(prepared.model)
    inputs = mirror.tensors(samples(prepared.model, 4, 0))
    weights = mirror.layer_parameters(prepared.graph)
    assert reach(original(mirror, inputs, mirror.outputs[0], list(weights)), 0) == {}


def test_what_is_not_reached_counts_for_nothing() -> None:
    target = torch.zeros(2, 3, 4)
    weight = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])[:, :, None]
    sides = Sides((), (), target, 2.0, weight / weight.mean())
    found = target.clone()
    found[0, 2], found[1, 1:] = 100.0, 100.0
    assert sides.error(found) == 0.0
    found[0, 0] = 3.0  # one of three positions that count is off by 3
    assert sides.error(found) == pytest.approx(9.0 / 3 / 2.0)
    assert float(sides.loss(found[1:], torch.tensor([1]))) == 0.0


def test_a_fit_is_for_what_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """The word that fills up is eight times as large as others, so a fit that cares for it cares for little else."""
    constants = {**WEIGHTS, "t": WEIGHTS["t"] * np.where(np.arange(11) < 10, 1, 8)[:, None].astype(np.float32)}
    model = clean(ir.from_proto(small_model(TOKENS, {**constants, "one": [1], "last": [2]})))
    graph = parse(bind(model), "tokens")
    space = Space.of(graph, Precision(tuple(range(1, 9)), tuple(range(1, 9))), default_pins=False)
    fitted, fresh = (Split(tokens(256, seed), None, (Transform(dtype=INTEGERS),) * 2) for seed in (2, 3))
    calibration = calibrate(from_onnx(model), space, [tokens(64, 4)])
    exact = outputs(from_onnx(model), "y", fresh)
    parameters = {name: constants[name] for name in WEIGHTS}

    def error() -> float:
        network = QuantisedMirror(from_onnx(model), space.uniform(3, 4), calibration)
        reconstruct(network, parameters, "y", fitted, Fitting(32 * 100), 0)
        return float(np.square(outputs(network, "y", fresh) - exact).mean())

    weighted = error()
    monkeypatch.setattr("haqc.reconstruct.reach", lambda teacher, seed: {})
    assert weighted < 0.9 * error()
