"""Outlying channels as training samples show them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from haqc.data.split import Split, Transform
from haqc.effort import Effort
from haqc.equality import require_equal
from haqc.frontend import Front
from haqc.mirror import from_onnx
from haqc.mirror.module import Mirror
from haqc.runtime import Runtime
from haqc.smoothing import smoothed
from tests.passes.small_graphs import samples
from tests.passes.test_smooth import outlying


@pytest.fixture
def front(tmp_path: Path) -> Front:
    onnx.save(outlying(), tmp_path / "outlying.onnx")
    return Front.read(tmp_path / "outlying.onnx")


def _split(front: Front, scale: float = 1.0) -> Split:
    return Split(tuple(array * np.float32(scale) for array in samples(front.model, 20, 3)), None, (Transform(),))


def _effort(front: Front, run: int) -> Effort:
    return replace(Effort.of(front.graph(front.bound()), 10), run=run)


def _mirror(front: Front) -> Mirror:
    return from_onnx(front.model)


def test_the_scaled_model_is_the_same_function(front: Front, tmp_path: Path) -> None:
    split = _split(front)
    even = smoothed(front, _mirror(front), split, _effort(front, 8))
    assert even is not None
    require_equal(_mirror(even), even, Runtime(tmp_path / "outlying.onnx"), split)
    assert "first_scaled" in {str(value.name) for node in even.model.graph for value in node.outputs}


def test_the_size_of_runs_changes_nothing(front: Front) -> None:
    found = [smoothed(front, _mirror(front), _split(front), _effort(front, run)) for run in (1, 7, 250)]
    factors = [one.model.graph.initializers["first_scaled_factors"].const_value for one in found if one is not None]
    assert len(factors) == 3
    assert all(one is not None and one.numpy().tolist() == [1, 1, 1, 4, 1, 1, 1, 1] for one in factors)


def test_samples_beyond_those_that_calibrate_are_not_read(front: Front) -> None:
    split = _split(front)
    broken = Split((np.concatenate([split.inputs(slice(0, 16))[0], np.full((4, 5, 8), np.nan, np.float32)]),), None,
                   (Transform(),))  # fmt: skip
    effort = replace(_effort(front, 8), calibration=16)
    assert smoothed(front, _mirror(front), broken, effort) is not None
    assert smoothed(front, _mirror(front), broken, replace(effort, calibration=20)) is None


def test_a_model_without_such_tensors_is_left_alone(front: Front) -> None:
    digits = Front.read(Path(__file__).parents[1] / "models" / "digits.onnx")
    effort = _effort(digits, 8)
    images = Split((np.zeros((4, 1, 8, 8), np.float32),), None, (Transform(),))
    assert smoothed(digits, _mirror(digits), images, effort) is None
