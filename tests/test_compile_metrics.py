"""Whole compiles judged by every metric: what the report says is what the emitted file gives, worked out anew."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import f1_score, jaccard_score, roc_auc_score

from tests.small_model import small_model

if TYPE_CHECKING:
    from tests.command_line import CommandLine, Outcome

pytest_plugins = ["tests.command_line"]

QUICK = ("-t", "edge", "-b", "energy=0.7", "--no-default-pins", "--evaluations", "2", "--finetune", "32",
         "--final-finetune", "640")  # fmt: skip
RNG = np.random.default_rng(20181121)
CODES = np.linalg.qr(RNG.standard_normal((16, 4)))[0].astype(np.float32)

# Four directions and their opposites through two Relus, so that what lies in the plane comes back as it was.
AUTOENCODER = """(float[N,16] x) => (float[N,16] y) {
    [encode] a = Gemm (x, w1)
    [relu1] b = Relu (a)
    [middle] c = Gemm (b, w2)
    [relu2] d = Relu (c)
    [decode] y = Gemm (d, w3)
}"""
AUTOENCODER_CONSTANTS = {
    "w1": np.concatenate([CODES, -CODES], axis=1),
    "w2": np.eye(8, dtype=np.float32),
    "w3": np.concatenate([CODES.T, -CODES.T]),
}

# Grey levels 0, 1, 2 under noise, averaged over nine pixels; the class whose level is nearest has the largest output.
SEGMENTER = """(float[N,1,8,8] x) => (float[N,3,8,8] y) {
    [mean] a = Conv <pads=[1,1,1,1]> (x, w1)
    [relu] b = Relu (a)
    [mix] c = Conv (b, w2)
    [relu2] d = Relu (c)
    [head] y = Conv (d, w3, b3)
}"""
LEVELS = np.array([0.0, 1.0, 2.0], np.float32)
SEGMENTER_CONSTANTS = {
    "w1": np.full((4, 1, 3, 3), 1 / 9, np.float32),
    "w2": np.full((4, 4, 1, 1), 1 / 4, np.float32),
    "w3": np.repeat(2 * LEVELS[:, None, None, None], 4, axis=1) / 4,
    "b3": -(LEVELS**2),
}

# A first-order chain over nine tokens: the table's rows are the logits of what follows.
SPEAKER = """(int64[N,12] x) => (float[N,12,9] y) {
    [embed] a = Gather (table, x)
    [middle] b = MatMul (a, w2)
    [head] y = MatMul (b, w3)
}"""
NEXT = (2 * RNG.standard_normal((9, 9))).astype(np.float32)
SPEAKER_CONSTANTS = {"table": NEXT, "w2": np.eye(9, dtype=np.float32), "w3": np.eye(9, dtype=np.float32)}

EMBEDDER = """(float[N,16] x) => (float[N,8] y) {
    [first] a = Gemm (x, w1)
    [relu] b = Relu (a)
    [last] y = Gemm (b, w2)
}"""
EMBEDDER_CONSTANTS = {
    "w1": RNG.standard_normal((16, 12)).astype(np.float32),
    "w2": RNG.standard_normal((12, 8)).astype(np.float32),
}
FUNCTIONS = """
import numpy as np
def f1(outputs, labels):
    found = (outputs ** 2).mean(axis=1) > 0.5
    return 2 * (found & (labels > 0)).sum() / (found.sum() + labels.sum())
def nearness(outputs, labels): return -np.abs(outputs - labels[:, :1]).mean(axis=1)
def raises(outputs, labels): raise KeyError("no such thing")
def nan(outputs, labels): return np.nan
CALLS = []
def later(outputs, labels):
    CALLS.append(0)
    if len(CALLS) > 5: raise ZeroDivisionError("of what a quantised network gave")
    return f1(outputs, labels)
"""


def drawing(count: int) -> np.random.Generator:
    """A source that gives some samples the same numbers, whichever tests ran before."""
    return np.random.default_rng([20181121, count])


def flat(count: int, share_odd: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Samples in the plane that the autoencoder keeps, and a share of those that leave it."""
    is_odd, source = np.arange(count) % 10 < 10 * share_odd, drawing(count)
    x = source.standard_normal((count, 4)) @ CODES.T + 0.1 * source.standard_normal((count, 16))
    return np.where(is_odd[:, None], x + 0.12 * source.standard_normal((count, 16)), x).astype(np.float32), is_odd


def patches(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of four quarters of one level each, and their masks, where a border does not count."""
    source = drawing(count)
    masks = source.integers(0, 3, (count, 2, 2)).repeat(4, axis=1).repeat(4, axis=2).astype(np.uint8)
    x = masks[:, None] + 0.5 * source.standard_normal((count, 1, 8, 8))
    masks[:, 0] = 255
    return x.astype(np.float32), masks


def talk(count: int) -> np.ndarray:
    """Chains of tokens, each drawn by the speaker's own chances."""
    chances = np.exp(NEXT) / np.exp(NEXT).sum(axis=1, keepdims=True)
    source = drawing(count)
    tokens = source.integers(0, 9, (count, 12))
    for place in range(1, 12):
        tokens[:, place] = (
            (source.random((count, 1)) > chances[tokens[:, place - 1]].cumsum(axis=1)).sum(axis=1).clip(0, 8)
        )
    return tokens


def saved(folder: Path, text: str, constants: dict[str, Any], **arrays: np.ndarray) -> tuple[Path, Path]:
    (folder / "m.onnx").write_bytes(small_model(text, constants).SerializeToString())
    np.savez(folder / "d.npz", **arrays)  # type: ignore[arg-type]
    return folder / "m.onnx", folder / "d.npz"


def emitted(folder: Path, x: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
    """The report's accuracy block, and what the emitted file gives."""
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert report["verification"]["accuracy"]["ok"]
    return report["accuracy"], session.run(None, {"x": x})[0]


def test_an_autoencoder_is_judged_and_trained_on_its_input(haqc: CommandLine, tmp_path: Path) -> None:
    (train, _), (test, _) = flat(200), flat(150)
    model, source = saved(tmp_path, AUTOENCODER, AUTOENCODER_CONSTANTS, x_train=train, x_test=test)
    with haqc.inline() as jobs:
        outcome = haqc("compile", model, *QUICK, "--data", source, "--metric", "mse", "--out", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    accuracy, found = emitted(tmp_path / "out", test)
    assert accuracy["emitted"] == pytest.approx(((found - test) ** 2).mean(), rel=1e-6)
    assert {name: accuracy[name] for name in ("metric", "unit", "higher_is_better", "labels", "count")} == {
        "metric": "mse", "unit": "", "higher_is_better": False, "labels": True, "count": 150,
    }  # fmt: skip
    assert 0 < accuracy["float"] < 0.01
    assert 0 < accuracy["emitted"] < 0.03
    assert 0 < accuracy["standard_error"] < accuracy["emitted"] / 4
    assert jobs.count("tune") == jobs.count("tune_float") - 1 == 1  # inputs are targets, so something is trained
    assert "Mean squared error (lower is better) on 150 held-out samples" in outcome.out
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    scores = [entry["accuracy"] for entry in report["allocators"]]
    assert min(scores) > 0
    assert max(scores) < 1
    verified = haqc("verify", tmp_path / "out", "--data", source, "--json")
    assert json.loads(verified.out)["accuracy"] == {
        name: accuracy[name] for name in ("metric", "unit", "count", "emitted", "mirror")
    }


def test_anomalies(haqc: CommandLine, tmp_path: Path) -> None:
    (train, odd), (test, odd_too) = flat(300, 0.3), flat(200, 0.3)
    model, source = saved(
        tmp_path, AUTOENCODER, AUTOENCODER_CONSTANTS, x_train=train, x_test=test, y_train=odd, y_test=odd_too
    )
    (tmp_path / "d.toml").write_text('path = "d.npz"\nformat = "npz"\nmetric = "auc"\n')
    with haqc.inline():
        outcome = haqc("compile", model, *QUICK, "--data", tmp_path / "d.toml", "--out", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    accuracy, found = emitted(tmp_path / "out", test)
    expected = roc_auc_score(odd_too, ((found - test) ** 2).mean(axis=1)) * 100
    assert accuracy["emitted"] == pytest.approx(expected, abs=1e-9)
    assert (accuracy["metric"], accuracy["unit"], accuracy["float_finetuned"]) == ("auc", "%", None)
    assert 80 < accuracy["emitted"] < 100
    assert 0 < accuracy["paired_standard_error"] < 5
    assert source.is_file()


@pytest.mark.slow
def test_pixels(haqc: CommandLine, tmp_path: Path) -> None:
    (train, masks), (test, masks_too) = patches(120), patches(40)
    model, source = saved(
        tmp_path, SEGMENTER, SEGMENTER_CONSTANTS, x_train=train, x_test=test, y_train=masks, y_test=masks_too
    )
    with haqc.inline():
        outcome = haqc("compile", model, *QUICK, "--data", source, "--metric", "miou", "--out", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    accuracy, found = emitted(tmp_path / "out", test)
    counts = masks_too != 255
    expected = jaccard_score(masks_too[counts], found.argmax(axis=1)[counts], average="macro") * 100
    assert accuracy["emitted"] == pytest.approx(expected, abs=1e-9)
    assert accuracy["float_finetuned"] > 40
    assert "intersection over union on 40 held-out samples" in outcome.out


def test_text(haqc: CommandLine, tmp_path: Path) -> None:
    train, test = talk(200), talk(60)
    model, source = saved(tmp_path, SPEAKER, SPEAKER_CONSTANTS, x_train=train, x_test=test)
    with haqc.inline():
        outcome = haqc("compile", model, *QUICK, "--data", source, "--metric", "perplexity", "--out", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    accuracy, found = emitted(tmp_path / "out", test)
    chances = np.exp(found - found.max(axis=2, keepdims=True))
    chances /= chances.sum(axis=2, keepdims=True)
    picked = np.take_along_axis(chances[:, :-1], test[:, 1:, None], axis=2)
    assert accuracy["emitted"] == pytest.approx(np.exp(-np.log(picked).mean()), rel=1e-5)
    assert 1 < accuracy["float"] < 9
    assert accuracy["float"] != accuracy["emitted"] == pytest.approx(accuracy["float"], rel=0.05)
    assert not accuracy["higher_is_better"]


def test_sentences(haqc: CommandLine, tmp_path: Path) -> None:
    source = drawing(240)
    x = source.standard_normal((240, 16)).astype(np.float32)
    x[1::2] += source.uniform(0, 3, (120, 1)).astype(np.float32) * x[::2]
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    likeness = np.round(5 * (unit[::2] * unit[1::2]).sum(axis=1), 1).repeat(2)
    model, source = saved(
        tmp_path, EMBEDDER, EMBEDDER_CONSTANTS,
        x_train=x[:160], x_test=x[160:], y_train=likeness[:160], y_test=likeness[160:],
    )  # fmt: skip
    options = ("--metric", "sts", "--final-finetune", "0", "--reconstruct", "0")
    with haqc.inline():
        outcome = haqc("compile", model, *QUICK, *options, "--data", source, "--out", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    accuracy, found = emitted(tmp_path / "out", x[160:])
    length = np.linalg.norm(found, axis=1, keepdims=True)
    unit = found / np.where(length > 0, length, 1)  # at few bits some are all zeros, whose cosine counts as 0
    expected = spearmanr((unit[::2] * unit[1::2]).sum(axis=1), likeness[160::2]).statistic * 100
    assert accuracy["emitted"] == pytest.approx(expected, abs=1e-6)
    assert accuracy["float"] > 50


@pytest.fixture
def functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "haqc_test_functions.py").write_text(FUNCTIONS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, "haqc_test_functions", raising=False)
    return "haqc_test_functions"


def judged(haqc: CommandLine, folder: Path, metric: str) -> tuple[Outcome, np.ndarray, np.ndarray]:
    """Compiles the autoencoder with labels, judged by ``metric``."""
    (train, odd), (test, odd_too) = flat(200, 0.5), flat(100, 0.5)
    train[odd] *= 3
    test[odd_too] *= 3
    model, source = saved(
        folder, AUTOENCODER, AUTOENCODER_CONSTANTS, x_train=train, x_test=test, y_train=odd, y_test=odd_too
    )
    with haqc.inline():
        outcome = haqc("compile", model, *QUICK, "--data", source, "--metric", metric, "--out", folder / "out")
    return outcome, test, odd_too


def test_a_function_with_one_number(haqc: CommandLine, tmp_path: Path, functions: str) -> None:
    name = f"{functions}:f1"
    outcome, test, odd = judged(haqc, tmp_path, name)
    assert outcome.code == 0, outcome.err
    accuracy, found = emitted(tmp_path / "out", test)
    assert accuracy["metric"] == name
    assert f"Metric {name} on 100 held-out samples" in outcome.out
    assert f"float model on the search split (20 samples): {accuracy['search']['float']:.5g} {name}" in outcome.err
    assert accuracy["emitted"] == pytest.approx(f1_score(odd, (found**2).mean(axis=1) > 0.5), rel=1e-9)
    assert 0 < accuracy["standard_error"] < 0.2
    # A report may come from anywhere, so it runs no code.
    verified = haqc("verify", tmp_path / "out", "--data", tmp_path / "d.npz")
    assert f"the metric was the function {name}, which only --metric may name, so no accuracy" in verified.err
    verified = haqc("verify", tmp_path / "out", "--data", tmp_path / "d.npz", "--metric", name, "--json")
    assert json.loads(verified.out)["accuracy"]["emitted"] == pytest.approx(accuracy["emitted"], rel=1e-9)


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        ("raises", "raised KeyError: 'no such thing'; mend the function"),
        ("nan", "gave float (NaN or infinity) for 20 samples; return one finite number, or one per sample, larger"),
        ("f2", "has no function 'f2' (did you mean 'f1'?)"),
    ],
)
def test_a_function_that_fails_is_the_users_mistake(
    haqc: CommandLine, tmp_path: Path, functions: str, function: str, sentence: str
) -> None:
    outcome, _, _ = judged(haqc, tmp_path, f"{functions}:{function}")
    assert sentence in outcome.sentence(2)
    assert not (tmp_path / "out").exists()


def test_a_function_that_fails_on_a_quantised_network_is_the_users_mistake(
    haqc: CommandLine, tmp_path: Path, functions: str
) -> None:
    """The float network was judged well, and the search had begun."""
    outcome, _, _ = judged(haqc, tmp_path, f"{functions}:later")
    sentence = outcome.sentence(2)
    assert "later' raised ZeroDivisionError: of what a quantised network gave; mend the function" in sentence
    assert "float model on the search split (20 samples)" in outcome.err
    assert not (tmp_path / "out" / "model.onnx").exists()


@pytest.mark.parametrize(
    ("metric", "sentence"),
    [
        ("acuracy", "there is no metric 'acuracy' (did you mean 'top-1'?)"),
        ("accuracy", "there is no metric 'accuracy' (did you mean 'top-1'?); choose one of top-1, top-5"),
        ("mes", "there is no metric 'mes' (did you mean 'mse'?); choose one of top-1, top-5"),
        ("top-1", "d.npz: labels hold bool; store class numbers of an integer type, or say with --metric"),
        ("top-5", "d.npz: labels hold bool; store class numbers of an integer type, or say with --metric"),
        (
            "mse",
            "compares the output of shape [1, 16] with the labels of shape [180]; give labels of the output's shape",
        ),
        ("miou", "metric 'miou' needs an output [samples, classes, ...]"),
        ("perplexity", "metric 'perplexity' needs logits [samples, length, vocabulary]"),
        ("sts", "metric 'sts' reads samples in pairs"),
        ("no_such_module:judge", "no_such_module:judge: cannot import no_such_module"),
    ],
)
def test_a_metric_that_does_not_fit_is_refused_at_once(
    haqc: CommandLine, tmp_path: Path, metric: str, sentence: str
) -> None:
    outcome, _, _ = judged(haqc, tmp_path, metric)
    assert sentence in outcome.sentence(2)
    assert not (tmp_path / "out").exists()


def test_inputs_that_are_made_up_have_no_truth(haqc: CommandLine, tmp_path: Path) -> None:
    model, source = saved(tmp_path, AUTOENCODER, AUTOENCODER_CONSTANTS, x=np.zeros((1, 1)))
    source.unlink()
    sentence = haqc("compile", model, *QUICK, "--metric", "mse", "--out", tmp_path / "out").sentence(2)
    assert sentence == "metric 'mse' says nothing on inputs that are made up; give --data, or leave --metric out"
