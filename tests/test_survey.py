"""What ``haqc inspect`` finds in models: good ones, open ones, odd ones, and such as cannot be compiled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from haqc import targets
from haqc.errors import ModelError
from haqc.frontend import pose
from haqc.inspection import Inspection
from haqc.survey import survey
from tests.small_model import draw, small_model

DIGITS = Path(__file__).resolve().parents[1] / "models" / "digits.onnx"

OPEN = "(float[N, T, 6] x) => (float[N, T, 4] y) { h = MatMul(x, W) y = Softmax<axis=-1>(h) }"


def write(model: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "net.onnx"
    onnx.save(model, path)
    return path


def strange(folder: Path) -> Path:
    """A model with one operator that no mirror knows, behind a Conv."""
    text = "(float[N, 1, 8] x) => (float[N, 2, 6] y) { h = Conv(x, W) y = RandomUniformLike(h) }"
    model = small_model(text, {"W": draw(2, 1, 3)})
    model.graph.node[1].name = "odd"
    return write(model, folder)


def uses(seen: Inspection) -> dict[str, tuple[int, str, bool, int]]:
    return {use.op: (use.count, use.cost, use.mirrored, use.quantised) for use in seen.operators}


def test_digits() -> None:
    seen = survey(DIGITS)
    _, graph = pose(DIGITS)
    assert seen.can_compile
    assert [layer.name for layer in seen.layers] == [layer.name for layer in graph.layers]
    assert (seen.macs, seen.weights) == (graph.macs, graph.weight_values)
    assert (seen.source.file_bytes, seen.source.opsets) == (DIGITS.stat().st_size, {"": 18})
    assert [(port.name, port.shape, port.bound) for port in seen.inputs] == [
        ("image", ("batch", 1, 8, 8), (1, 1, 8, 8))
    ]
    assert uses(seen) == {
        "Conv": (14, "layer", True, 14),
        "Relu": (10, "free", True, 0),
        "Add": (2, "traffic", True, 2),
        "Gemm": (1, "layer", True, 1),
        "ReduceMean": (1, "traffic", True, 1),
    }
    assert {entry.reason for entry in seen.fixed} == {
        "read only by Add, which runs at 8 bits",
        "read only by ReduceMean, which runs at 8 bits",
    }


def test_open_shapes_show_the_structure_and_the_option(tmp_path: Path) -> None:
    path = write(small_model(OPEN, {"W": draw(6, 4)}), tmp_path)
    seen = survey(path)
    assert not seen.can_cost
    assert seen.macs is None
    assert [(layer.op, layer.macs, layer.weights) for layer in seen.layers] == [("MatMul", None, 24)]
    option = seen.inputs[0].option
    assert option == "--shape x=1,128,6"
    assert option in seen.obstacles[0].reason

    bound = survey(path, {"x": (1, 128, 6)})
    assert bound.can_compile
    assert bound.macs == 128 * 6 * 4
    assert bound.inputs[0].bound == (1, 128, 6)
    assert bound.inputs[0].shape == ("N", "T", 6)


def test_shapes_that_do_not_fit_are_a_mistake(tmp_path: Path) -> None:
    path = write(small_model(OPEN, {"W": draw(6, 4)}), tmp_path)
    with pytest.raises(ModelError, match="no input 'X'"):
        survey(path, {"X": (1, 128, 6)})
    with pytest.raises(ModelError, match="axis 2 of input 'x' is 6"):
        survey(path, {"x": (1, 128, 5)})


def test_an_operator_without_mirror_is_in_the_way_of_compile_alone(tmp_path: Path) -> None:
    seen = survey(strange(tmp_path), target=targets.load("edge"))
    assert seen.can_cost
    assert not seen.can_compile
    assert [obstacle.ends for obstacle in seen.obstacles] == ["compile"]
    assert "node 'odd' (RandomUniformLike) has no mirror and lies between" in seen.obstacles[0].reason
    assert seen.prices is not None
    assert seen.prices["total"]["latency_s"] > 0


def test_inputs_that_count_different_samples_are_in_the_way_of_compile_alone(tmp_path: Path) -> None:
    """As in a recurrent network whose state goes in and out, its layers along the first axis."""
    text = """(float[1, 7, 5] x, float[2, 1, 4] state) => (float[1, 7, 1] y) {
        s = ReduceSum(state) h = MatMul(x, W) y = Add(h, s) }"""
    seen = survey(write(small_model(text, {"W": draw(5, 1)}), tmp_path), target=targets.load("edge"))
    assert [obstacle.ends for obstacle in seen.obstacles] == ["compile"]
    assert "the first axis of input 'x' of shape [1, 7, 5] is 1, and that of input 'state'" in seen.obstacles[0].reason
    assert seen.prices is not None


def test_layers_that_agree_and_layers_in_float(tmp_path: Path) -> None:
    text = """(float[N, 6] x) => (float[N, 6] y, float[N, N] z)
        { a = MatMul(x, W) b = MatMul(x, V) r = Add(a, b) y = MatMul(r, W) t = Transpose<perm=[1, 0]>(x)
          v = ReduceSum<keepdims=0>(V, k) u = MatMul(x, v) w = Unsqueeze(u, m) s = Transpose<perm=[1, 0]>(w)
          z = MatMul(w, s) }"""
    model = small_model(text, {"W": draw(6, 6), "V": draw(6, 6, seed=1), "k": [1], "m": [1]})
    seen = survey(write(model, tmp_path))
    assert seen.can_cost, seen.obstacles
    shared = {(entry.about, entry.tensors) for entry in seen.agreements}
    assert ("weights", ("W",)) in shared
    assert any(about == "data" and tensors == ("x",) for about, tensors in shared)
    assert any(entry.bits is None and "vector" in entry.reason for entry in seen.fixed)


def test_external_data_are_counted_and_not_read(tmp_path: Path) -> None:
    model = small_model("(float[N, 64] x) => (float[N, 64] y) { y = MatMul(x, W) }", {"W": draw(64, 64)})
    path = tmp_path / "net.onnx"
    onnx.save(model, path, save_as_external_data=True, location="net.data", size_threshold=0)
    seen = survey(path)
    assert seen.source.external == (("net.data", 64 * 64 * 4),)
    assert seen.to_json()["model"]["external"] == [{"file": "net.data", "bytes": 16384}]


def test_a_file_that_cannot_be_read_is_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(DIGITS.read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"broken\.onnx"):
        survey(path)


def test_json_has_shares_that_add_up() -> None:
    content = survey(DIGITS).to_json()
    assert np.isclose(sum(layer["macs_share"] for layer in content["layers"]), 1)
    assert np.isclose(sum(layer["weights_share"] for layer in content["layers"]), 1)
    assert content["verdict"] == {"cost": True, "compile": True, "obstacles": []}
    assert sum(use["count"] for use in content["operators"]) == content["model"]["nodes"]


def test_a_description_whose_data_are_missing_is_an_obstacle(tmp_path: Path) -> None:
    path = write(small_model(OPEN, {"W": draw(6, 4)}), tmp_path)
    (tmp_path / "net.data.toml").write_text('path = "absent.npz"\nformat = "npz"\n', encoding="utf-8")
    seen = survey(path)
    assert [obstacle.ends for obstacle in seen.obstacles] == ["cost"]
    assert "absent.npz" in seen.obstacles[0].reason


def test_an_lstm_is_two_layers_and_one_quantised_node(tmp_path: Path) -> None:
    text = """(int64[N, 7] i) => (float[7, N, 4] y) {
        e = Gather(E, i) t = Transpose<perm=[1, 0, 2]>(e) h, last, cell = LSTM<hidden_size=4>(t, W, R)
        y = Squeeze(h, one) }"""
    constants = {"E": draw(9, 5), "W": draw(1, 16, 5), "R": draw(1, 16, 4), "one": [1]}
    seen = survey(write(small_model(text, constants, ir_version=10), tmp_path))
    assert [layer.kind for layer in seen.layers] == ["table", "recurrent", "recurrent"]
    assert uses(seen)["LSTM"] == (1, "layer", True, 1)


def test_what_lies_beside_the_first_output_is_run_by_onnxruntime(tmp_path: Path) -> None:
    text = """(float[N, 1, 8] x) => (float[N, 2, 6] y, float[N, 2, 6] z) {
        h = Conv(x, W) y = Relu(h) z = RandomUniformLike(h) }"""
    seen = survey(write(small_model(text, {"W": draw(2, 1, 3)}), tmp_path))
    assert seen.can_compile
    assert uses(seen)["RandomUniformLike"][2] is False
