"""Ranges by the tensors behind them: outliers that a normalisation takes away are clipped, and nothing gets worse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from onnx import ModelProto

from haqc.calibration import Calibration
from haqc.data.split import Split, Transform
from haqc.mirror import from_onnx
from haqc.mirror.quantised import ActivationQuantiser
from haqc.mirror.stretch import divide
from haqc.passes.calibrate import calibrate
from haqc.reconstruct import clip
from haqc.train import outputs
from tests.passes.small_graphs import GRAPHS, Builder, Prepared, samples


def post_norm() -> ModelProto:
    """Two blocks with a shortcut and a normalisation behind it; both read a mask."""
    b = Builder()
    x = "x"
    mask = b.node("Unsqueeze", ["mask", b.constant("axes", [2], np.int64)], "wide")
    for n in "ab":
        mixed = b.node("Mul", [b.node("MatMul", [x, b.weight(f"{n}.w", 8, 8)], f"{n}.m"), mask], f"{n}.masked")
        added = b.node("Add", [mixed, x], f"{n}.sum")
        scale, shift = b.constant(f"{n}.scale", np.ones(8)), b.constant(f"{n}.shift", np.zeros(8))
        x = b.node("LayerNormalization", [added, scale, shift], f"{n}.norm", axis=-1)
    b.node("MatMul", [x, b.weight("out.w", 8, 4)], "y")
    return b.model({"x": (6, 8), "mask": (6,)}, {"y": (6, 4)})


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    found = Prepared.of(post_norm())
    return replace(found, calibration=calibrate(from_onnx(found.model), found.space, [_inputs(found, 5)]))


def _inputs(prepared: Prepared, seed: int) -> tuple[np.ndarray, ...]:
    """Gives standard normal values, but for one value of the first token of each eighth sample, and masks of ones."""
    x, mask = samples(prepared.model, 64, seed)
    x[::8, 0, 3] = 200
    return x, np.ones_like(mask)


def _split(arrays: tuple[np.ndarray, ...]) -> Split:
    return Split(arrays, None, tuple(Transform() for _ in arrays))


def _clipped(prepared: Prepared, arrays: tuple[np.ndarray, ...], count: int) -> Calibration:
    weights = {tensor for tensor, _ in prepared.calibration.weights}
    mirror = from_onnx(prepared.model)
    return clip(mirror, mirror.outputs[0], weights, prepared.calibration, _split(arrays), count)


def _error(
    prepared: Prepared, calibration: Calibration, tensor: str, bits: int, arrays: tuple[np.ndarray, ...]
) -> float:
    """Gives the squared error of the output with one activation quantised."""
    mirror = from_onnx(prepared.model)
    exact = outputs(mirror, mirror.outputs[0], _split(arrays))
    mirror.quantisers = {tensor: ActivationQuantiser(calibration.activations[tensor, bits], bits)}
    return float(np.square(outputs(mirror, mirror.outputs[0], _split(arrays)) - exact).mean())


def test_blocks_that_read_a_mask_are_stretches(prepared: Prepared) -> None:
    stretches = divide(from_onnx(prepared.model), "y", {tensor for tensor, _ in prepared.calibration.weights})
    assert [(s.wanted, set(s.given)) for s in stretches] == [
        ("a.norm", {"x", "mask"}),
        ("b.norm", {"a.norm", "mask"}),
        ("y", {"b.norm"}),
    ]


def test_an_outlier_that_a_normalisation_takes_away_is_clipped(prepared: Prepared) -> None:
    clipped, fresh = _clipped(prepared, _inputs(prepared, 6), 64), _inputs(prepared, 7)
    before, after = prepared.calibration.activations["x", 8], clipped.activations["x", 8]
    assert before.scale * (255 - before.zero_point) > 150  # the error of the tensor itself says: keep the outlier
    assert after.scale <= 0.501 * before.scale
    assert after.zero_point == before.zero_point
    errors = [_error(prepared, grids, "x", 8, fresh) for grids in (prepared.calibration, clipped)]
    assert errors[1] < 0.5 * errors[0]


def test_no_samples_change_nothing(prepared: Prepared) -> None:
    assert _clipped(prepared, _inputs(prepared, 6), 0) is prepared.calibration


@pytest.mark.parametrize("name", ["attention", "residual", "conv_relu", "two_inputs", "tied_table"])
def test_the_error_of_each_alone_does_not_rise(name: str) -> None:
    found = Prepared.of(GRAPHS[name]())
    arrays = samples(found.model, 16, 3)
    clipped = _clipped(found, arrays, 16)
    assert clipped.weights is found.calibration.weights
    assert list(clipped.activations) == list(found.calibration.activations)
    (last,) = divide(
        from_onnx(found.model), found.model.graph.outputs[0].name or "", {t for t, _ in found.calibration.weights}
    )[-1:]
    for (tensor, bits), grid in clipped.activations.items():
        if grid != found.calibration.activations[tensor, bits] and tensor in last.inner:
            errors = [_error(found, grids, tensor, bits, arrays) for grids in (found.calibration, clipped)]
            assert errors[1] < errors[0]
