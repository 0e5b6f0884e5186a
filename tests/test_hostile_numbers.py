"""Numbers that wreck quantisers: each is handled, or refused with its sentence, from the command line on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest

from tests.small_model import draw, small_model

if TYPE_CHECKING:
    from tests.command_line import CommandLine, Outcome

pytest_plugins = ["tests.command_line"]

NETWORK = """(float[BATCH,2,6,6] x) => (float[BATCH,4] y) {
    [first] a = Conv <pads=[1,1,1,1]> (x, w1, b1)
    [relu1] b = Relu (a)
    [second] c = Conv <pads=[1,1,1,1]> (b, w2, b2)
    [relu2] d = Relu (c)
    [skip] e = Add (d, b)
    [pool] f = GlobalAveragePool (e)
    [flat] g = Flatten (f)
    [head] y = Gemm (g, w3, b3)
}"""
PLAIN = ("-t", "edge", "-b", "energy=0.7", "--no-default-pins", "--evaluations", "2", "--reconstruct", "64")
TRAINED = ("--finetune", "32", "--final-finetune", "64")
AS_IT_IS_OR_TRAINED = [pytest.param((), id="as it is"), pytest.param(TRAINED, id="trained", marks=pytest.mark.slow)]
UNTRAINED = ("--finetune", "0", "--final-finetune", "0")
X = draw(60, 2, 6, 6)


def constants() -> dict[str, Any]:
    return {
        "w1": draw(8, 2, 3, 3), "b1": draw(8), "w2": draw(8, 8, 3, 3), "b2": draw(8), "w3": draw(8, 4), "b3": draw(4),
    }  # fmt: skip


def compiled(
    haqc: CommandLine, folder: Path, values: dict[str, Any], *options: str, batch: str = "N", **arrays: np.ndarray
) -> Outcome:
    """Compiles the network with other constants, on data of its own."""
    model = small_model(NETWORK.replace("BATCH", batch), values)
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    np.savez(folder / "d.npz", **(arrays or {"x": X}))  # type: ignore[arg-type]
    words = (folder / "m.onnx", *PLAIN, "--data", folder / "d.npz", "--out", folder / "out", *options)
    with haqc.inline():
        return haqc("compile", *words)


def figures(folder: Path) -> dict[str, Any]:
    """The accuracy block of a report whose file was verified."""
    report: dict[str, Any] = json.loads((folder / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["verification"]["accuracy"]["ok"]
    return report["accuracy"]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["w1", "w2", "w3", "b1", "b3"])
def test_weights_and_biases_that_are_no_numbers(haqc: CommandLine, tmp_path: Path, name: str, value: float) -> None:
    values = constants()
    values[name].flat[3] = value
    sentence = compiled(haqc, tmp_path, values).sentence(2)
    assert "NaN" in sentence
    assert not (tmp_path / "out" / "model.onnx").exists()


@pytest.mark.parametrize("options", AS_IT_IS_OR_TRAINED)
def test_dead_channels(haqc: CommandLine, tmp_path: Path, options: tuple[str, ...]) -> None:
    """One channel has no weights, and another never gets through its Relu."""
    values = constants()
    values["w1"][2] = 0
    values["b1"][5] = -1e3
    values["w2"][1] = 0
    outcome = compiled(haqc, tmp_path, values, "--metric", "cosine", *options)
    assert outcome.code == 0, outcome.err
    assert figures(tmp_path)["emitted"] > 90


@pytest.mark.parametrize("name", ["w1", *(pytest.param(name, marks=pytest.mark.slow) for name in ("w2", "w3"))])
@pytest.mark.parametrize("options", AS_IT_IS_OR_TRAINED)
def test_activations_that_are_constant(haqc: CommandLine, tmp_path: Path, name: str, options: tuple[str, ...]) -> None:
    """A layer without weights gives its bias whatever it reads."""
    values = constants()
    values[name][:] = 0
    outcome = compiled(haqc, tmp_path, values, "--metric", "cosine", *options)
    assert outcome.code == 0, outcome.err
    assert figures(tmp_path)["emitted"] > 90


@pytest.mark.parametrize("value", [-250.0, *(pytest.param(value, marks=pytest.mark.slow) for value in (0.0, 1.0))])
def test_inputs_that_are_constant(haqc: CommandLine, tmp_path: Path, value: float) -> None:
    outcome = compiled(haqc, tmp_path, constants(), "--metric", "cosine", x=np.full_like(X, value))
    assert outcome.code == 0, outcome.err
    assert figures(tmp_path)["emitted"] > 90


@pytest.mark.slow
@pytest.mark.parametrize("batch", ["N", "1"])
def test_one_sample_at_a_time(haqc: CommandLine, tmp_path: Path, batch: str) -> None:
    """Ten samples leave one to search on; a static batch of one trains on one sample a step."""
    labels = draw(10, 4)
    outcome = compiled(haqc, tmp_path, constants(), "--metric", "mse", *TRAINED, batch=batch, x=X[:10], y=labels)
    assert outcome.code == 0, outcome.err
    accuracy = figures(tmp_path)
    assert (accuracy["search"]["count"], accuracy["count"]) == (1, 2)
    assert np.isfinite([accuracy["emitted"], accuracy["standard_error"]]).all()


def test_a_network_that_emits_one_number_for_all(haqc: CommandLine, tmp_path: Path) -> None:
    """Its output is the bias, so every metric is that of a constant."""
    values = constants()
    values["w3"][:] = 0
    labels = np.arange(60) % 2
    options = ("--metric", "mae", "--reconstruct", "0", *UNTRAINED)
    outcome = compiled(haqc, tmp_path, values, *options, x=X, y=np.stack([labels] * 4, axis=1))
    assert outcome.code == 0, outcome.err
    accuracy = figures(tmp_path)
    session = onnxruntime.InferenceSession(str(tmp_path / "out" / "model.onnx"), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"x": X})[0], np.tile(values["b3"], (60, 1)), rtol=1e-2, atol=1e-2)
    assert accuracy["difference"] == pytest.approx(0, abs=0.05)


def test_the_float_network_must_be_right_on_the_search_split(haqc: CommandLine, tmp_path: Path) -> None:
    values = constants()
    values["w3"] *= np.float32(1e38)
    sentence = compiled(haqc, tmp_path, values, "--metric", "mse", x=1e3 * X, y=np.zeros((60, 4))).sentence(2)
    assert "the float model has no finite mse on the search split of 'd.npz'" in sentence
