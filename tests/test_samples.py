"""Samples in which the float model finds nothing are refused: to agree with outputs that are all but 0 is chance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest

from haqc.samples import SOMETHING
from tests.small_model import draw, small_model

if TYPE_CHECKING:
    from tests.command_line import CommandLine

pytest_plugins = ["tests.command_line"]

DETECTOR = """
    (float[N, 8] x) => (float[N, 4, 3] found) {
        h = Gemm (x, w1, b1)
        r = Relu (h)
        y = Gemm (r, w2, b2)
        rows = Reshape (y, shape)
        found = FUNCTION (rows)
    }
"""
OPTIONS = ("--target", "edge", "--budget", "energy=0.9", "--finetune", "0", "--reconstruct", "0", "--evaluations", "2")


def _detector(folder: Path, function: str, bias: float) -> Path:
    constants = {"w1": draw(8, 16), "b1": draw(16), "w2": draw(16, 12, seed=1), "b2": np.full(12, bias, np.float32)}
    text = DETECTOR.replace("FUNCTION", function)
    onnx.save(small_model(text, constants | {"shape": np.array([-1, 4, 3])}, ir_version=10), folder / "detector.onnx")
    return folder / "detector.onnx"


@pytest.mark.parametrize("function", ["Sigmoid", "HardSigmoid"])
@pytest.mark.parametrize("has_data", [False, True])
def test_a_model_that_finds_nothing_is_refused(
    haqc: CommandLine, tmp_path: Path, function: str, *, has_data: bool
) -> None:
    np.savez(tmp_path / "data.npz", x=draw(400, 8))
    given = ("--data", tmp_path / "data.npz") if has_data else ()
    model = _detector(
        tmp_path, function, bias=-300.0 if has_data else -1e9
    )  # whose inputs are made up to find something
    done = haqc("compile", model, *OPTIONS, *given, "--no-default-pins", "--out", tmp_path / "out")
    told = done.sentence(2)
    assert told.startswith(f"the float model finds nothing in the samples {'of' if has_data else 'made up'}")
    assert "its output 'found' may reach 1 and is at most 0" in told
    assert "--data in which it finds something" in told
    assert not (tmp_path / "out" / "model.onnx").exists()


@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize(("function", "bias"), [("Sigmoid", 0.0), ("Sigmoid", -6.0), ("Tanh", 0.0)])
def test_one_that_finds_something_is_compiled(haqc: CommandLine, tmp_path: Path, function: str, bias: float) -> None:
    np.savez(tmp_path / "data.npz", x=draw(400, 8))
    model = _detector(tmp_path, function, bias)
    given = ("--data", tmp_path / "data.npz", "--no-default-pins", "--out", tmp_path / "out")
    done = haqc("compile", model, *OPTIONS, *given)
    assert done.code == 0, done.err
    assert "finds nothing" not in done.err


@pytest.mark.usefixtures("jobs")
def test_one_that_finds_something_in_few_samples_is_told(haqc: CommandLine, tmp_path: Path) -> None:
    x = draw(400, 8)
    x[np.arange(400) % 10 != 0] *= 1e-3
    np.savez(tmp_path / "data.npz", x=x)
    model = _detector(tmp_path, "Sigmoid", -15.0)
    given = ("--data", tmp_path / "data.npz", "--no-default-pins", "--out", tmp_path / "out")
    done = haqc("compile", model, *OPTIONS, *given)
    assert done.code == 0, done.err
    assert "the float model finds nothing in " in done.err
    assert "which agree at almost any widths; give samples with --data in which it finds something" in done.err


def test_the_bound_is_far_above_what_runtimes_are_off_by() -> None:
    assert SOMETHING > 1e3 * 1e-7  # runtimes approximate a Sigmoid to about 1e-7
