"""Judging: batches make no difference, the user's function sees everything, labels are checked before anything runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from haqc.data.split import Dataset, Split, Transform
from haqc.errors import DataError
from haqc.judge import Judge, check_labels, rows_by_sample, rows_of
from haqc.metrics import named
from haqc.score import Score

CODE = """
import numpy as np
SEEN = []
def spy(outputs, labels):
    SEEN.append((len(outputs), outputs[0].shape, outputs[1].shape, labels.shape))
    return 0.5
def spread(outputs, labels): return outputs.std() if len(outputs) > 1 else 0.0
"""


def split(x: np.ndarray, labels: np.ndarray | None = None) -> Split:
    return Split((x,), labels, (Transform(dtype=x.dtype),))


def dataset(labels: np.ndarray | None, *, synthetic: bool = False) -> Dataset:
    part = split(np.zeros((4, 3), np.float32), labels)
    return Dataset(part, part, part, "d.npz", "0", synthetic)


def parts(size: int, *arrays: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    for start in range(0, len(arrays[0]), size):
        yield tuple(array[start : start + size] for array in arrays)


@pytest.mark.parametrize("name", ["top-1", "auc", "mse", "agreement", "cosine"])
def test_batches_make_no_difference(name: str, rng: np.random.Generator) -> None:
    x, output = rng.standard_normal((50, 2)).astype(np.float32), rng.standard_normal((50, 2)).astype(np.float32)
    labels = None if name == "mse" else rng.integers(0, 2, 50)
    reference = output + rng.standard_normal((50, 2)).astype(np.float32)
    rows = [rows_of(named(name), split(x, labels), parts(size, output), reference) for size in (50, 7, 1)]
    np.testing.assert_array_equal(rows[0], rows[1])
    np.testing.assert_array_equal(rows[0], rows[2])
    np.testing.assert_array_equal(rows[0], rows_by_sample(named(name), split(x, labels), parts(9, output), reference))
    if name == "mse":
        np.testing.assert_allclose(rows[0][:, 0], ((output - x) ** 2).mean(axis=1), rtol=1e-6)


def test_a_score_ranks_by_what_is_nearly_right() -> None:
    x, labels = np.zeros((4, 3), np.float32), np.array([0, 1, 2, 2])
    judge = Judge(named("top-1"), ("y",), split(x, labels), None, 75.0)
    right = np.eye(3)[labels]
    unsure = np.where(labels[:, None] == 2, 0.25 + 0.25 * np.eye(3)[0], right)  # wrong where it is 2, and close to it
    score = judge.score(parts(3, unsure))
    assert (score.accuracy, judge.quality(parts(3, unsure))) == (50.0, 50.0)
    assert score.merit == pytest.approx((2 * 100.0 + 2 * 25.0) / 4)
    assert judge.score(parts(2, right)) == Score(100.0, 100.0)


def test_where_nothing_is_counted_the_quality_is_what_ranks(rng: np.random.Generator) -> None:
    x = rng.standard_normal((6, 3)).astype(np.float32)
    judge = Judge(named("mse"), ("y",), split(x), None, 0.25)
    score = judge.score(parts(4, x + 1))
    assert score.merit == score.accuracy == judge.quality(parts(4, x + 1)) == pytest.approx(25.0, rel=1e-5)


def test_inputs_are_made_only_for_metrics_that_read_them(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    monkeypatch.setattr(Split, "inputs", lambda self, index: pytest.fail("nobody reads these"))
    output, labels = rng.standard_normal((6, 3)), np.zeros(6, np.int64)
    assert rows_of(named("top-1"), split(np.zeros((6, 2), np.float32), labels), parts(2, output), None).shape == (6, 1)


def test_a_judge_gives_points() -> None:
    judge = Judge(named("mae"), ("y",), split(np.zeros((4, 2), np.float32), np.zeros((4, 2))), None, 2.0)
    assert judge.float_quality == 100.0
    assert judge.quality(parts(3, np.full((4, 2), 4.0))) == 50.0
    assert judge.value_at(50.0) == 4.0


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "haqc_test_judge.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, "haqc_test_judge", raising=False)
    return "haqc_test_judge"


def test_a_function_gets_all_samples_and_all_outputs(module: str, rng: np.random.Generator) -> None:
    labels = rng.integers(0, 3, (10, 5))
    given = parts(4, np.zeros((10, 3)), np.zeros((10, 2, 2)))
    rows = rows_of(named(f"{module}:spy"), split(np.zeros((10, 1), np.float32), labels), given, None)
    assert rows.tolist() == [[0.5]]
    assert sys.modules[module].SEEN == [(2, (10, 3), (10, 2, 2), (10, 5))]


def test_one_number_for_all_samples_becomes_one_for_each(module: str, rng: np.random.Generator) -> None:
    output, metric = rng.standard_normal(60), named(f"{module}:spread")
    rows = rows_by_sample(metric, split(np.zeros((60, 1), np.float32)), parts(7, output), None)
    assert rows.shape == (60, 1)
    assert metric.value(rows) == pytest.approx(output.std(), rel=1e-12)


def test_metrics_that_need_labels_or_data_are_refused_without() -> None:
    with pytest.raises(DataError, match=r"metric 'auc' needs labels, and 'd.npz' has none; give 'y', or no --metric"):
        check_labels(dataset(None), named("auc"), (4, 1))
    with pytest.raises(DataError, match="metric 'mse' says nothing on inputs that are made up; give --data"):
        check_labels(dataset(None, synthetic=True), named("mse"), (4, 3))
    check_labels(dataset(None, synthetic=True), named("cosine"), (4, 3))
    check_labels(dataset(np.full((4, 9), 0.5)), named("cosine"), (4, 3))


def test_every_split_is_checked() -> None:
    whole, good = dataset(np.array([0, 1, 2, 3])), (4, 5)
    check_labels(whole, named("top-1"), good)
    wrong = split(np.zeros((4, 3), np.float32), np.array([0, 1, 2, 5]))
    for changed in (replace(whole, train=wrong), replace(whole, search=wrong), replace(whole, reported=wrong)):
        with pytest.raises(DataError, match=r"d.npz: labels reach from 0 to 5, but the model has 5 outputs"):
            check_labels(changed, named("top-1"), good)


def test_both_kinds_are_needed_where_networks_are_judged_only() -> None:
    both, usual = dataset(np.array([0, 1, 0, 1])), split(np.zeros((4, 3), np.float32), np.zeros(4, np.int64))
    check_labels(replace(both, train=usual), named("auc"), (4, 1))
    for changed in (replace(both, search=usual), replace(both, reported=usual)):
        with pytest.raises(DataError, match="needs usual samples and anomalies, and all 4 are usual"):
            check_labels(changed, named("auc"), (4, 1))


@pytest.mark.parametrize(
    ("name", "shape", "labels", "message"),
    [
        ("miou", (4, 3, 2), np.full((4, 2), 255), "no pixel has a label that counts"),
        ("miou", (4, 3, 2), np.full((4, 2), 3), "label 3 is above the output's 3 classes"),
        ("miou", (4, 3), np.zeros(4, int), "needs an output"),
        ("perplexity", (4, 3, 9), np.full((4, 3), -1), "no label counts"),
        ("perplexity", (4, 3, 9), np.full((4, 2), 1), "needs logits"),
        ("perplexity", (4, 3, 9), np.full((4, 3), 1.0), "holds float64; store them as integers"),
        ("perplexity", (4, 3, 9), np.full((4, 3), 9), "token 9 is above the vocabulary of 9"),
        ("sts", (4, 3), np.array([1, 2, 3, 3]), "reads samples in pairs"),
        ("sts", (4, 3), np.ones(4), "pairs of unequal likeness"),
        ("sts", (4, 3, 2), np.ones(4), "add the pooling to the model"),
        ("sts", (4, 3), np.ones((4, 2)), "one label per sample"),
        ("mse", (4, 3), np.ones((4, 2)), "give labels of the output's shape"),
        ("auc", (4, 1), np.array([0, 1, 2, 0]), "0 for usual and 1 for an anomaly"),
        ("top-5", (4, 3), np.array([0, 1, 2, 0]), "more than 5 classes"),
        ("agreement", (4,), None, "choose --metric cosine"),
    ],
)
def test_labels_that_do_not_fit_are_refused_at_once(
    name: str, shape: tuple[int, ...], labels: np.ndarray | None, message: str
) -> None:
    with pytest.raises(DataError, match=f"d.npz: .*{message}"):
        check_labels(dataset(labels), named(name), shape)
