"""Whole compiles of models that take something else than one batch of images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
import pytest

from tests.small_model import draw, small_model

if TYPE_CHECKING:
    from tests.command_line import CommandLine

pytest_plugins = ["tests.command_line"]

QUICK = ("--evaluations", "2", "--reconstruct", "64", "--target", "edge", "--budget", "energy=0.7", "--no-default-pins")

TAGGER = """(int64[batch,length] ids, int64[batch,length] mask)
=> (float[batch,length,5] tags, int64[batch,length] best, bool[batch,length,5] likely) {
    [embed] e = Gather (table, ids)
    [m1] m = Cast <to=1> (mask)
    [m2] n = Sub (one, m)
    [m3] hidden = Mul (n, large)
    [m4] wide = Unsqueeze (hidden, axis)
    [query] q = MatMul (e, wq)
    [key] k = MatMul (e, wk)
    [value] v = MatMul (e, wv)
    [turn] t = Transpose <perm=[0,2,1]> (k)
    [scores] s = MatMul (q, t)
    [masked] z = Add (s, wide)
    [soft] a = Softmax <axis=-1> (z)
    [mix] c = MatMul (a, v)
    [relu] r = Relu (c)
    [out] tags = MatMul (r, wo)
    [arg] best = ArgMax <axis=-1, keepdims=0> (tags)
    [compare] likely = Greater (tags, one)
}"""
TAGGER_CONSTANTS = {
    "table": draw(30, 8),
    "one": 1.0,
    "large": -1e9,
    "axis": [1],
    "wq": draw(8, 8, seed=1) / 3,
    "wk": draw(8, 8, seed=2) / 3,
    "wv": draw(8, 8, seed=3),
    "wo": draw(8, 5),
}

SIAMESE = """(float[N,1,8,8] left, float[N,1,8,8] right) => (float[N,1] same, float[N,4] code) {
    [conv1] a = Conv <pads=[1,1,1,1], strides=[2,2]> (left, w)
    [conv2] b = Conv <pads=[1,1,1,1], strides=[2,2]> (right, w)
    [relu1] c = Relu (a)
    [relu2] d = Relu (b)
    [flat1] e = Flatten (c)
    [flat2] f = Flatten (d)
    [fc1] code = Gemm (e, v)
    [fc2] h = Gemm (f, v)
    [diff] g = Sub (code, h)
    [abs] i = Abs (g)
    [head] same = Gemm (i, u, bias)
}"""


def saved(folder: Path, text: str, constants: dict[str, Any], name: str = "m.onnx") -> Path:
    (folder / name).write_bytes(small_model(text, constants).SerializeToString())
    return folder / name


def report_of(folder: Path) -> Any:
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def run_file(path: Path, **inputs: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return list(session.run(None, inputs))


@pytest.mark.slow
def test_token_ids_and_a_mask_are_made_up(haqc: CommandLine, tmp_path: Path) -> None:
    model, out = saved(tmp_path, TAGGER, TAGGER_CONSTANTS), tmp_path / "out"
    done = haqc("compile", model, *QUICK, "--shape", "ids=1,6", "--out", out)
    assert done.code == 0, done
    report = report_of(out)
    assert report["accuracy"]["made_up"] == {
        "ids": "whole numbers from 0 to 29, drawn evenly: rows of the table it picks from",
        "mask": "ones: a mask that hides nothing",
    }
    assert "made up for input 'mask': ones" in done.err
    assert (report["accuracy"]["metric"], report["accuracy"]["data_free"]) == ("cosine", True)
    assert report["provenance"]["options"]["shapes"] == {"ids": [1, 6]}
    assert {each["status"] for each in report["verification"]["consumers"]} <= {"equal", "absent"}
    # The emitted file keeps its symbols: it runs at another length, close to the float model.
    emitted = onnx.load(out / "model.onnx")
    assert [axis.dim_param for axis in emitted.graph.input[0].type.tensor_type.shape.dim] == ["batch", "length"]
    given = {"ids": np.arange(22).reshape(2, 11), "mask": np.ones((2, 11), np.int64)}
    found, expected = (run_file(path, **given)[0].ravel() for path in (out / "model.onnx", model))
    assert found @ expected > 0.95 * np.linalg.norm(found) * np.linalg.norm(expected)
    assert haqc("verify", out).code == 0
    lone = haqc("verify", out / "model.onnx", "--shape", "ids=1,6")
    assert lone.code == 0, lone


def test_a_length_that_nothing_gives_is_asked_for(haqc: CommandLine, tmp_path: Path) -> None:
    model = saved(tmp_path, TAGGER, TAGGER_CONSTANTS)
    sentence = haqc("compile", model, *QUICK, "--out", tmp_path / "out").sentence(2)
    assert "'length' (axis 1); state what you mean, for example --shape ids=1,128, or give data" in sentence
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_length_is_read_off_the_data(haqc: CommandLine, tmp_path: Path) -> None:
    model, out, random = saved(tmp_path, TAGGER, TAGGER_CONSTANTS), tmp_path / "out", np.random.default_rng(0)
    mask = np.arange(7) < random.integers(2, 8, (80, 1))
    np.savez(tmp_path / "d.npz", ids=random.integers(0, 30, (80, 7), np.int32), mask=mask.astype(np.uint8))
    done = haqc("compile", model, *QUICK, "--data", tmp_path / "d.npz", "--out", out)
    assert done.code == 0, done
    report = report_of(out)
    assert (report["accuracy"]["metric"], report["accuracy"]["made_up"]) == ("cosine", {})
    assert report["accuracy"]["count"] == 16
    query = next(layer for layer in report["layers"] if layer["name"] == "query")
    assert query["macs"] == 7 * 8 * 8


def test_data_of_two_lengths_are_refused(haqc: CommandLine, tmp_path: Path) -> None:
    model = saved(tmp_path, TAGGER, TAGGER_CONSTANTS)
    np.savez(tmp_path / "d.npz", ids=np.zeros((40, 7), np.int64), mask=np.ones((40, 6), np.int64))
    words = (*QUICK, "--data", tmp_path / "d.npz", "--out", tmp_path / "out")
    assert "the symbol 'length', is 6, but 7 in another place" in haqc("compile", model, *words).sentence(2)


@pytest.mark.slow
def test_two_inputs_share_their_layers(haqc: CommandLine, tmp_path: Path) -> None:
    constants = {"w": draw(3, 1, 3, 3), "v": draw(48, 4), "u": draw(4, 1), "bias": draw(1)}
    model, out = saved(tmp_path, SIAMESE, constants), tmp_path / "out"
    done = haqc("compile", model, *QUICK, "--out", out)
    assert done.code == 0, done
    report = report_of(out)
    assert set(report["accuracy"]["made_up"]) == {"left", "right"}
    widths = {layer["name"]: layer["weight_bits"] for layer in report["layers"]}
    assert (widths["conv1"], widths["fc1"]) == (widths["conv2"], widths["fc2"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "(float[length,batch,4] x) => (float[length,batch,3] y) { y = MatMul (x, w) }",
            "input 'x' of shape [length, batch, 4] has its samples along axis 1",
        ),
        (
            "(float[N,4] x, float[2,4] t) => (float[N,3] y) { r = ReduceSum (t) s = Add (x, r) y = MatMul (s, w) }",
            "the first axis of input 't' of shape [2, 4] is 2, and that of input 'x' is [N, 4]",
        ),
        (
            "(float[N,4] x, float t) => (float[N,3] y) { s = Mul (x, t) y = MatMul (s, w) }",
            "input 't' of shape [] has no axis along which samples lie",
        ),
        (
            "(float[4] x) => (float[3] y) { y = MatMul (x, w) }",
            "output 'y' has shape [3] for 4 samples",
        ),
    ],
)
def test_samples_that_lie_elsewhere_are_refused(haqc: CommandLine, tmp_path: Path, text: str, message: str) -> None:
    model = saved(tmp_path, text, {"w": draw(4, 3)})
    words = ("--shape", "x=5,1,4") if "length" in text else ()
    sentence = haqc("compile", model, *QUICK, *words, "--out", tmp_path / "out").sentence(2)
    assert sentence.startswith(message)


@pytest.mark.slow
def test_a_model_built_for_one_number_of_samples(haqc: CommandLine, tmp_path: Path) -> None:
    """The graph adds a constant of its own to each of its three samples, so that it takes three at a time."""
    text = "(float[3,8] x) => (float[3,4] y) { a = Add (x, own) b = MatMul (a, w) c = Relu (b) y = MatMul (c, v) }"
    constants = {"own": draw(3, 8), "w": draw(8, 8), "v": draw(8, 4)}
    model, out = saved(tmp_path, text, constants), tmp_path / "out"
    np.savez(tmp_path / "d.npz", x=draw(101, 8))
    done = haqc("compile", model, *QUICK, "--data", tmp_path / "d.npz", "--finetune", "10", "--out", out)
    assert done.code == 0, done
    assert report_of(out)["accuracy"]["count"] == 21
    assert haqc("verify", out).code == 0


def recurrent_model() -> onnx.ModelProto:
    """Gives a tagger: table, LSTM in both directions, product; its second output is the state, batch in the middle."""
    text = """(int64[batch,length] ids) => (float[batch,length,5] tags, float[2,batch,6] state) {
        [embed] e = Gather (table, ids)
        [turn] t = Transpose <perm=[1,0,2]> (e)
        [lstm] o, state, c = LSTM <direction="bidirectional", hidden_size=6> (t, w, r, b)
        [back] p = Transpose <perm=[2,0,1,3]> (o)
        [merge] m = Reshape (p, shape)
        [out] tags = MatMul (m, v)
    }"""
    constants = {"table": draw(20, 8), "w": draw(2, 24, 8), "r": draw(2, 24, 6) / 2, "b": draw(2, 48), "v": draw(12, 5)}
    return small_model(text, {**constants, "shape": [0, 0, 12]})


@pytest.mark.slow
def test_a_recurrent_tagger(haqc: CommandLine, tmp_path: Path) -> None:
    model, out = tmp_path / "m.onnx", tmp_path / "out"
    model.write_bytes(recurrent_model().SerializeToString())
    words = [word.replace("energy=0.7", "energy=0.96") for word in QUICK]  # the LSTM, most of it, keeps 8 bits
    done = haqc("compile", model, *words, "--shape", "ids=1,9", "--out", out)
    assert done.code == 0, done
    report = report_of(out)
    assert report["accuracy"]["metric"] == "cosine"
    assert report["accuracy"]["emitted"] > 80
    ids = np.arange(10).reshape(2, 5)
    assert [array.shape for array in run_file(out / "model.onnx", ids=ids)] == [(2, 5, 5), (2, 2, 6)]


@pytest.mark.slow
def test_16_bit_floats_stay_at_the_border(haqc: CommandLine, tmp_path: Path) -> None:
    text = """(float16[N,1,8,8] image, bool[N,4] which) => (float16[N,4] y) {
        a = Conv <pads=[1,1,1,1], strides=[2,2]> (image, w)
        b = Relu (a)
        c = Flatten (b)
        d = MatMul (c, v)
        e = Where (which, d, hidden)
        y = Softmax (e)
    }"""
    constants = {"w": draw(3, 1, 3, 3), "v": draw(48, 4) / 4, "hidden": np.float32(-65504)}
    halves = {name: np.asarray(array).astype(np.float16) for name, array in constants.items()}
    model, out = saved(tmp_path, text, halves), tmp_path / "out"
    labels = run_file(model, image=draw(60, 1, 8, 8).astype(np.float16), which=np.ones((60, 4), bool))[0].argmax(axis=1)
    np.savez(tmp_path / "d.npz", image=draw(60, 1, 8, 8), which=np.ones((60, 4), np.uint8), y=labels)
    words = ("--finetune", "8", "--final-finetune", "16", "--data", tmp_path / "d.npz")
    done = haqc("compile", model, *QUICK, *words, "--out", out)
    assert done.code == 0, done
    assert report_of(out)["accuracy"]["metric"] == "top-1"
    given = {"image": draw(3, 1, 8, 8).astype(np.float16), "which": np.eye(4, dtype=bool)[:3]}
    (found,) = run_file(out / "model.onnx", **given)
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found.argmax(axis=1), np.arange(3))
