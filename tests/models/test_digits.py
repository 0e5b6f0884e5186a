"""The trained example: what the files hold, what the network reaches, and that the script still makes them."""

from __future__ import annotations

import math
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

MODELS = Path(__file__).parents[2] / "models"
STATED_CORRECT = 534
"""Test images of 540 that models/README.md says are classified correctly: 98.89 %."""


STATED_PARAMETERS = 25_274


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    with np.load(MODELS / "digits.npz", allow_pickle=False) as archive:
        return dict(archive)


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    return onnx.load(MODELS / "digits.onnx")


def test_the_arrays_are_a_stratified_split_of_the_digits(arrays: dict[str, np.ndarray]) -> None:
    assert {key: (value.shape, str(value.dtype)) for key, value in arrays.items()} == {
        "x_train": ((1257, 1, 8, 8), "uint8"),
        "y_train": ((1257,), "int64"),
        "x_test": ((540, 1, 8, 8), "uint8"),
        "y_test": ((540,), "int64"),
    }
    assert (arrays["x_train"].min(), arrays["x_train"].max()) == (0, 16)
    train, test = np.bincount(arrays["y_train"]), np.bincount(arrays["y_test"])
    # Stratified: every class has its 70 % to within one image.
    assert np.abs(train - 0.7 * (train + test)).max() <= 1
    # Shuffled: labels in order would change class nine times only.
    assert np.count_nonzero(np.diff(arrays["y_train"])) > 1000


def test_no_image_is_in_both_parts(arrays: dict[str, np.ndarray]) -> None:
    parts = [{image.tobytes() for image in arrays[key]} for key in ("x_train", "x_test")]
    assert not parts[0] & parts[1]


def test_the_network_reaches_its_stated_accuracy(arrays: dict[str, np.ndarray], model: onnx.ModelProto) -> None:
    description = tomllib.loads((MODELS / "digits.data.toml").read_text(encoding="utf-8"))
    assert description == {"format": "npz", "path": "digits.npz", "scale": 0.0625}
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    images = arrays["x_test"].astype(np.float32) * np.float32(description["scale"])
    (logits,) = session.run(["logits"], {"image": images})
    assert int((logits.argmax(1) == arrays["y_test"]).sum()) == STATED_CORRECT


def test_the_model_is_clean_and_readable(model: onnx.ModelProto) -> None:
    onnx.checker.check_model(model, full_check=True)
    graph = model.graph
    assert [dim.dim_param or dim.dim_value for dim in graph.input[0].type.tensor_type.shape.dim] == ["batch", 1, 8, 8]
    layers = [node.name for node in graph.node if node.op_type in ("Conv", "Gemm")]
    blocks = [f"block{n}.{part}" for n in range(1, 5) for part in ("expand", "depthwise", "project")]
    assert layers == ["stem", *blocks, "last", "classifier"]
    assert sum(node.op_type == "Add" for node in graph.node) == 2
    noted = [model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output]
    assert not any(item.metadata_props or item.doc_string for item in noted)
    floats = [weight for weight in graph.initializer if weight.data_type == onnx.TensorProto.FLOAT]
    assert sum(math.prod(weight.dims) for weight in floats) == STATED_PARAMETERS


def test_the_readme_states_the_figures_tested_here() -> None:
    text = " ".join((MODELS / "README.md").read_text(encoding="utf-8").split())
    assert f"{STATED_PARAMETERS:,} parameters" in text
    assert f"{STATED_CORRECT} of the 540 test images correctly: {100 * STATED_CORRECT / 540:.2f} %" in text


def test_the_script_makes_the_same_data(arrays: dict[str, np.ndarray]) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn, which ships the digits, is not installed")
    from models.digits import split

    digits = split()
    for key, value in arrays.items():
        np.testing.assert_array_equal(getattr(digits, key), value)


@pytest.mark.slow
def test_training_again_gives_a_network_as_good(tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn, which ships the digits, is not installed")
    # In a process of its own, because the script sets threads and determinism for all of torch.
    command = [sys.executable, "-m", "models.digits", "--out", str(tmp_path)]
    shown = subprocess.run(command, cwd=MODELS.parent, check=True, capture_output=True, text=True).stdout
    # Another kind of CPU sums in another order, so only the accuracy is promised, not the bytes.
    assert float(shown.split(";")[1].split("%")[0]) >= 98
    for name in ("digits.npz", "digits.data.toml"):
        assert (tmp_path / name).read_bytes() == (MODELS / name).read_bytes()
    made = onnx.load(tmp_path / "digits.onnx")
    kept = onnx.load(MODELS / "digits.onnx")
    assert [(n.name, n.op_type) for n in made.graph.node] == [(n.name, n.op_type) for n in kept.graph.node]
