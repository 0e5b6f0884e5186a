"""Metrics against scikit-learn, scipy and hand counts; batches do not matter; what does not fit is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import spearmanr
from sklearn.metrics import jaccard_score, roc_auc_score, top_k_accuracy_score

from haqc.errors import DataError
from haqc.metrics import (
    METRICS,
    Batch,
    Cosine,
    Counting,
    Metric,
    Rows,
    TopK,
    fitting,
    named,
    paired_standard_error,
    quality,
    standard_error,
    value_at,
)
from haqc.metrics.metric import spread_rows


def batch(output: np.ndarray, labels: np.ndarray | None = None, **others: np.ndarray) -> Batch:
    given = others.get("given", np.zeros((len(output), 3), np.float32))
    return Batch((given,), (output,), labels, others.get("reference"))


def halves(metric: Metric, whole: Batch) -> Rows:
    """The rows of a batch, computed in two parts."""
    parts = []
    for index in (slice(0, 2), slice(2, None)) if len(whole.outputs[0]) > 2 else (slice(None),):
        parts.append(
            metric.rows(
                Batch(
                    tuple(array[index] for array in whole.inputs),
                    tuple(array[index] for array in whole.outputs),
                    None if whole.labels is None else whole.labels[index],
                    None if whole.reference is None else whole.reference[index],
                )
            )
        )
    return np.concatenate(parts)


def value(name: str, whole: Batch) -> float:
    metric = named(name)
    rows = metric.rows(whole)
    np.testing.assert_array_equal(rows, halves(metric, whole))
    return metric.value(rows)


@pytest.mark.parametrize("k", [1, 5])
def test_top_k(k: int, rng: np.random.Generator) -> None:
    output, labels = rng.standard_normal((200, 12)), rng.integers(0, 12, 200)
    expected = top_k_accuracy_score(labels, output, k=k, labels=np.arange(12)) * 100
    assert value(f"top-{k}", batch(output, labels)) == pytest.approx(expected, abs=1e-9)


def test_of_equal_outputs_the_first_counts() -> None:
    assert value("top-1", batch(np.ones((4, 3)), np.array([0, 0, 1, 2]))) == 50.0


def test_outputs_far_below_the_least_that_counts_agree_whatever_their_direction() -> None:
    found = Cosine(least=0.001)
    nothing, other = np.full((1, 4), 1e-7), np.array([[1e-7, -1e-7, 1e-7, -1e-7]])
    one, elsewhere = np.array([[1.0, 0.0, 0.0, 0.0]]), np.array([[0.0, 1.0, 0.0, 0.0]])
    cosines = [found.rows(batch(a, reference=b))[0, 0] for a, b in ((nothing, other), (one, elsewhere), (one, nothing))]
    assert cosines == pytest.approx([1.0, 0.0, 0.0], abs=0.003)
    exact = Cosine().rows(batch(one * 3 + elsewhere, reference=one))
    assert found.rows(batch(one * 3 + elsewhere, reference=one)) == pytest.approx(exact, abs=1e-5)


def test_agreement_and_cosine(rng: np.random.Generator) -> None:
    output = rng.standard_normal((10, 4))
    assert value("agreement", batch(output, reference=output * 2)) == 100.0
    assert value("cosine", batch(output, reference=output * 2)) == pytest.approx(100.0)
    assert value("cosine", batch(output, reference=-output)) == 0.0
    assert value("cosine", batch(np.zeros((2, 3)), reference=np.zeros((2, 3)))) == 100.0
    half = np.concatenate([output[:5], -output[5:]])
    assert value("cosine", batch(half, reference=output)) == pytest.approx(50.0)


@pytest.mark.parametrize("form", ["logits", "log-probabilities", "probabilities"])
@pytest.mark.parametrize("name", ["top-1", "top-5", "agreement"])
def test_sureness_is_the_probability_of_what_is_right(form: str, name: str, rng: np.random.Generator) -> None:
    logits, labels = 3 * rng.standard_normal((40, 7)), rng.integers(0, 7, 40)
    probabilities = softmax(logits, axis=1)
    output = {"logits": logits, "log-probabilities": np.log(probabilities), "probabilities": probabilities}[form]
    metric = named(name)
    assert isinstance(metric, Counting)
    sure = metric.sureness(batch(output.astype(np.float32), labels, reference=np.eye(7)[labels]))
    np.testing.assert_allclose(sure, probabilities[np.arange(40), labels][:, None], rtol=1e-4)


def test_of_several_positions_the_mean_is_what_is_agreed_on() -> None:
    reference, output = np.zeros((2, 3, 2)), np.zeros((2, 3, 2))
    reference[..., 1] = 1.0
    output[0, :, 1] = 50.0  # sure of all three positions, of none of the other's more than of anything else
    metric = named("agreement")
    assert isinstance(metric, Counting)
    np.testing.assert_allclose(metric.sureness(batch(output, reference=reference)), [[1.0], [0.5]], atol=1e-12)


def test_nothing_is_sure_of_outputs_that_are_not_finite() -> None:
    output = np.array([[np.nan, 0.0], [np.inf, 0.0], [np.inf, np.inf], [0.0, 0.0]])
    metric = named("top-1")
    assert isinstance(metric, Counting)
    assert metric.sureness(batch(output, np.zeros(4, np.int64)))[:, 0].tolist() == [0.0, 0.0, 0.0, 0.5]


def test_only_metrics_that_count_are_ranked_by_sureness() -> None:
    assert [name for name, metric in METRICS.items() if isinstance(metric, Counting)] == ["top-1", "top-5", "agreement"]


def test_mean_errors(rng: np.random.Generator) -> None:
    output, labels = rng.standard_normal((6, 1)), rng.standard_normal(6)
    assert value("mae", batch(output, labels)) == pytest.approx(np.abs(output[:, 0] - labels).mean())
    assert value("mse", batch(output, labels)) == pytest.approx(((output[:, 0] - labels) ** 2).mean())


def test_an_autoencoder_is_compared_with_its_input(rng: np.random.Generator) -> None:
    given, output = rng.standard_normal((6, 8)), rng.standard_normal((6, 8))
    assert value("mse", batch(output, given=given)) == pytest.approx(((output - given) ** 2).mean())


@pytest.mark.parametrize("form", ["score", "two classes", "reconstruction"])
def test_auc(form: str, rng: np.random.Generator) -> None:
    labels = rng.integers(0, 2, 60)
    score = np.round(rng.standard_normal(60) + labels, 1)  # rounded, so that there are ties
    if form == "score":
        whole = batch(score[:, None], labels)
    elif form == "two classes":
        whole = batch(np.stack([-score / 2, score / 2], 1), labels)
    else:
        given = rng.standard_normal((60, 5))
        whole = batch(given + np.sqrt(score - score.min())[:, None], labels, given=given)
        score = ((whole.outputs[0] - given) ** 2).mean(axis=1)
    assert value("auc", whole) == pytest.approx(roc_auc_score(labels, score) * 100)


@pytest.mark.parametrize("last", [False, True])
def test_mean_iou(last: bool, rng: np.random.Generator) -> None:
    output, labels = rng.standard_normal((4, 5, 6, 7)), rng.integers(0, 5, (4, 6, 7))
    labels[0, 0, :3] = 255
    labels[1, 2, :2] = -1
    found, counts = output.argmax(axis=1), (labels >= 0) & (labels < 255)
    expected = jaccard_score(labels[counts], found[counts], average="macro") * 100
    assert value("miou", batch(np.moveaxis(output, 1, -1) if last else output, labels)) == pytest.approx(expected)


def test_perplexity(rng: np.random.Generator) -> None:
    logits, tokens = rng.standard_normal((4, 6, 9)), rng.integers(0, 9, (4, 6))
    chance = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    picked = np.take_along_axis(chance[:, :-1], tokens[:, 1:, None], axis=2)
    expected = float(np.exp(-np.log(picked).mean()))
    assert value("perplexity", batch(logits, given=tokens)) == pytest.approx(expected)
    labels = np.concatenate([tokens[:, 1:], np.full((4, 1), -100)], axis=1)
    assert value("perplexity", batch(logits, labels)) == pytest.approx(expected)
    assert value("perplexity", batch(np.zeros((2, 3, 9)), np.zeros((2, 3), int))) == pytest.approx(9.0)


def test_pair_correlation(rng: np.random.Generator) -> None:
    output, likeness = rng.standard_normal((40, 6)), np.round(rng.uniform(0, 5, 20))
    cosines = [
        float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)) for a, b in zip(output[::2], output[1::2], strict=True)
    ]
    expected = float(spearmanr(cosines, likeness).statistic) * 100
    assert value("sts", batch(output, np.repeat(likeness, 2))) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "output", "labels", "message"),
    [
        ("top-1", np.zeros((3, 4, 4)), np.zeros(3, int), "needs an output"),
        (
            "top-1",
            np.zeros((3, 4)),
            np.zeros((3, 2), int),
            "for one-hot rows their argmax",
        ),
        ("top-5", np.zeros((3, 4)), np.zeros(3, int), "more than 5 classes"),
        ("mae", np.zeros((3, 4)), np.zeros((3, 5)), "give labels of the output's shape"),
        ("top-1", np.zeros((3, 4)), np.zeros(3), "labels hold float64; store class numbers"),
        ("top-1", np.zeros((3, 4)), np.array([0, 4, 1]), "labels reach from 0 to 4, but the model has 4 outputs"),
        ("top-1", np.zeros((3, 4)), np.array([0, -1, 1]), "labels reach from -1 to 1"),
        ("top-1", np.zeros((3, 4)), None, "needs labels"),
        ("mse", np.zeros((3, 4)), None, "there are no labels"),
        ("auc", np.zeros((3, 1)), np.array([0, 1, 2]), "0 for usual"),
        ("auc", np.zeros((3, 7)), np.array([0, 1, 1]), "choose another --metric"),
        ("miou", np.zeros((3, 4)), np.zeros(3), "classes, ..."),
        ("miou", np.zeros((3, 4, 2)), np.zeros((3, 2)), "'y' holds float64; store them as integers"),
        ("miou", np.zeros((3, 4, 2)), np.full((3, 2), 4), "label 4 is above the output's 4 classes"),
        ("perplexity", np.zeros((3, 4)), np.zeros((3, 4)), "logits"),
        ("perplexity", np.zeros((3, 4, 5)), np.full((3, 4), 5), "above the vocabulary"),
        ("sts", np.zeros((3, 4)), None, "one label per sample"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, output: np.ndarray, labels: np.ndarray | None, message: str) -> None:
    with pytest.raises(DataError, match=message):
        named(name).rows(batch(output, labels))


def test_an_unknown_metric_names_the_nearest() -> None:
    with pytest.raises(DataError, match="did you mean 'perplexity'"):
        named("perplexty")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("accuracy", " (did you mean 'top-1'?)"),
        ("Acc", " (did you mean 'top-1'?)"),
        ("mIoU", " (did you mean 'miou'?)"),
        ("IoU", " (did you mean 'miou'?)"),
        ("ROC-AUC", " (did you mean 'auc'?)"),
        ("spearmanr", " (did you mean 'sts'?)"),
        ("top5", " (did you mean 'top-5'?)"),
        ("bleu", ""),
    ],
)
def test_other_names_of_metrics_are_known(name: str, hint: str) -> None:
    with pytest.raises(DataError) as refused:
        named(name)
    assert str(refused.value).startswith(f"there is no metric '{name}'{hint}; choose one of top-1, ")


@pytest.mark.parametrize("name", METRICS)
def test_names_and_units(name: str) -> None:
    assert METRICS[name].name == name
    assert METRICS[name].traits.unit in ("%", "")


def test_standard_errors_match_repeated_samples() -> None:
    """The error of an area under a curve is the spread of the area over fresh samples."""
    metric, areas = named("auc"), []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 2, 300)
        rows = metric.rows(batch((rng.standard_normal(300) + labels)[:, None], labels))
        areas.append(metric.value(rows))
    assert standard_error(metric, rows) == pytest.approx(np.std(areas), rel=0.2)


def test_paired_errors_are_smaller_than_unpaired_ones(rng: np.random.Generator) -> None:
    labels = rng.integers(0, 2, 400)
    score = rng.standard_normal(400) + labels
    metric = named("auc")
    rows = [metric.rows(batch((score + noise * rng.standard_normal(400))[:, None], labels)) for noise in (0.0, 0.05)]
    assert 0 < paired_standard_error(metric, rows[0], rows[1]) < standard_error(metric, rows[0]) / 3
    assert paired_standard_error(metric, rows[0], rows[0]) == 0.0


def test_the_error_of_a_mean_is_the_textbook_one(rng: np.random.Generator) -> None:
    rows = rng.integers(0, 2, (100, 1)).astype(np.float64)
    assert standard_error(named("top-1"), rows) == pytest.approx(rows.std(ddof=1) / 10 * 100)
    assert standard_error(named("mae"), rows[:1]) == 0.0


@pytest.mark.parametrize(
    ("name", "value", "points"),
    [
        ("top-1", 80.0, 80.0),
        ("perplexity", 20.0, 100.0),
        ("perplexity", 40.0, 50.0),
        ("perplexity", 25.0, 80.0),
        ("perplexity", 19.0, 105.0),
        (f"{__name__}:anything", 10.0, 100 / 1.5),
        (f"{__name__}:anything", 22.0, 110.0),
    ],
)
def test_quality_and_back(name: str, value: float, points: float) -> None:
    metric = named(name)
    assert quality(metric, value, 20.0) == pytest.approx(points, rel=1e-12)
    assert value_at(metric, points, 20.0) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("name", ["perplexity", "auc", f"{__name__}:anything"])
def test_what_is_not_finite_is_worth_nothing(name: str) -> None:
    assert [quality(named(name), value, 20.0) for value in (np.nan, np.inf, -np.inf)] == [0.0, 0.0, 0.0]


def test_where_the_float_network_has_no_error_the_size_of_the_error_counts() -> None:
    assert quality(named("mse"), 0.0, 0.0) == 100.0
    assert quality(named("mse"), 1.0, 0.0) == 50.0 > quality(named("mse"), 3.0, 0.0) > 0


OUTPUT = np.array([[0.1, 0.9], [0.8, 0.2], [0.6, 0.4], [0.3, 0.7]], np.float32)


def test_agreements_lie_between_0_and_1_whatever_the_output(rng: np.random.Generator) -> None:
    output = rng.standard_normal((200, 7)).astype(np.float32)
    output[0] = np.nan
    output[1] *= np.float32(1e30)
    for name in ("cosine", "agreement"):
        rows = named(name).rows(batch(output, reference=np.where(np.isnan(output), 1, output)))
        assert rows.shape == (200, 1)
        assert np.all((rows >= 0) & (rows <= 1))
        np.testing.assert_allclose(rows[1:], 1, rtol=1e-12)


@pytest.mark.parametrize(
    ("shape", "labelled", "embeds", "expected"),
    [
        ((8, 10), True, False, "top-1"),
        ((8, 10), True, True, "top-1"),
        ((8, 10), False, False, "agreement"),
        ((8, 10), False, True, "cosine"),
        ((8, 1), False, False, "cosine"),
        ((8,), False, False, "cosine"),
        ((8, 3, 32, 32), False, False, "cosine"),
    ],
)
def test_the_output_decides_where_no_metric_is_named(
    shape: tuple[int, ...], labelled: bool, embeds: bool, expected: str
) -> None:
    labels = np.zeros(8, np.int64) if labelled else None
    assert fitting(shape, labels, is_embedding=embeds).name == expected


@pytest.mark.parametrize("shape", [(8, 1), (8,), (8, 3, 32, 32)])
def test_labels_need_an_output_of_classes(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"labels do not fit .*need an output \[batch, classes\]: leave the labels out"):
        fitting(shape, np.zeros(8, np.int64), is_embedding=False)


@pytest.mark.parametrize(
    ("k", "classes", "chance", "floor"),
    [(1, 10, 10, 20), (1, 100, 1, 2), (1, 4, 25, 43.75), (1, 2, 50, 62.5), (5, 100, 5, 10), (5, 6, 250 / 3, 87.5)],
)
def test_the_floor_is_twice_chance_or_a_quarter_above(k: int, classes: int, chance: float, floor: float) -> None:
    assert (TopK(k).chance(classes), TopK(k).floor(classes)) == pytest.approx((chance, floor), rel=1e-12)


def test_the_errors_of_shares_by_hand() -> None:
    first, second = np.array([[1.0], [1], [0], [1]]), np.array([[1.0], [0], [0], [0]])
    # Variance of (1, 1, 0, 1) is 1/4 with three degrees of freedom; of (0, 1, 0, 1) it is 1/3.
    assert standard_error(TopK(1), first) == pytest.approx(100 * np.sqrt(1 / 4 / 4), rel=1e-12)
    assert paired_standard_error(TopK(1), first, second) == pytest.approx(100 * np.sqrt(1 / 3 / 4), rel=1e-12)
    assert paired_standard_error(TopK(1), first, first) == 0


def test_what_a_softmax_gave_is_not_put_through_another(rng: np.random.Generator) -> None:
    logits, tokens = rng.standard_normal((4, 6, 9)).astype(np.float32), rng.integers(0, 9, (4, 6))
    chances = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    expected = value("perplexity", batch(logits, given=tokens))
    assert value("perplexity", batch(chances, given=tokens)) == pytest.approx(expected, rel=1e-5)
    assert value("perplexity", batch(np.log(chances), given=tokens)) == pytest.approx(expected, rel=1e-5)


def test_an_impossible_token_makes_the_perplexity_infinite() -> None:
    chances = np.zeros((1, 2, 3), np.float32)
    chances[:, :, 0] = 1
    assert value("perplexity", batch(chances, np.array([[0, 1]]))) == np.inf
    assert value("perplexity", batch(chances, np.array([[0, -1]]))) == 1.0


@pytest.mark.parametrize(
    ("name", "shape", "labels", "expected"),
    [
        ("top-1", (4, 3), np.array([0, 2, 1, 0]), (np.array([0, 2, 1, 0]), 1)),
        ("agreement", (4, 5, 3), None, (None, 2)),
        ("cosine", (4, 3), None, (None, None)),
        ("mse", (4, 3), None, (np.ones((4, 3)), None)),
        ("mae", (4, 1), np.arange(4), (np.arange(4.0)[:, None], None)),
        ("auc", (4, 2), np.array([0, 1, 1, 0]), (np.array([0, 1, 1, 0]), 1)),
        ("auc", (4, 1), np.array([0, 1, 1, 0]), (None, None)),
        ("miou", (2, 3, 2), np.array([[0, 255], [-1, 2]]), (np.array([[0, -1], [-1, 2]]), 1)),
        ("miou", (2, 5, 3), np.zeros((2, 5), np.uint8), (np.zeros((2, 5)), 2)),
        ("miou", (1, 3, 2), np.array([[2, 255]], np.uint8), (np.array([[2, -1]]), 1)),
        ("perplexity", (4, 3, 7), None, (np.array([[1, 1, -1]] * 4), 2)),
        ("perplexity", (1, 3, 7), np.array([[4, -100, 6]]), (np.array([[4, -100, 6]]), 2)),
        ("sts", (4, 3), np.zeros(4), (None, None)),
        (f"{__name__}:anything", (4, 3), np.zeros(4), (None, None)),
    ],
)
def test_what_is_trained_on(
    name: str, shape: tuple[int, ...], labels: np.ndarray | None, expected: tuple[np.ndarray | None, int | None]
) -> None:
    metric, inputs = named(name), (np.ones((4, 3), np.int64 if name == "perplexity" else np.float32),)
    targets = metric.targets(inputs, labels, shape)
    assert metric.class_axis(labels, shape) == expected[1]
    if targets is None or expected[0] is None:
        assert targets is expected[0] is None
    else:
        assert targets.dtype == (np.float32 if expected[1] is None else np.int64)
        np.testing.assert_array_equal(targets, expected[0])


CODE = """
import numpy as np
def hits(outputs, labels): return outputs.argmax(1) == labels
def breaks(outputs, labels): raise ValueError("no")
def one(outputs, labels): return outputs[labels == 1].mean() / outputs.mean()
def endless(outputs, labels): return np.inf
def pairs(outputs, labels): return np.zeros((len(outputs), 2))
def nothing(outputs, labels): pass
def odd(outputs, labels): return np.full(len(outputs), np.nan)
def text(outputs, labels): return ["a"] * len(outputs)
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "haqc_test_metric.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, "haqc_test_metric", raising=False)
    return "haqc_test_metric"


def test_a_function_of_the_users(module: str, rng: np.random.Generator) -> None:
    output, labels = rng.standard_normal((20, 3)), rng.integers(0, 3, 20)
    assert value(f"{module}:hits", batch(output, labels)) == (output.argmax(1) == labels).mean()


def test_a_function_may_give_one_number_for_all(module: str, rng: np.random.Generator) -> None:
    output, labels = rng.uniform(1, 2, 200), rng.integers(0, 2, 200)
    metric, whole = named(f"{module}:one"), batch(output, labels)
    assert metric.rows(whole).tolist() == [[output[labels == 1].mean() / output.mean()]]


def test_one_number_for_all_has_the_jackknifes_error(module: str, rng: np.random.Generator) -> None:
    metric, values = named(f"{module}:one"), []
    for seed in range(200):
        repeat = np.random.default_rng(seed)
        whole = batch(repeat.uniform(1, 2, 400), repeat.integers(0, 2, 400))
        values.append(metric.value(metric.rows(whole)))
    rows = spread_rows(metric, whole)
    assert rows.shape == (400, 1)
    assert metric.value(rows) == pytest.approx(values[-1], rel=1e-12)
    assert standard_error(metric, rows) == pytest.approx(np.std(values), rel=0.4)  # 20 parts say it to a sixth
    near = spread_rows(metric, batch(whole.outputs[0] + 1e-3 * rng.standard_normal(400), whole.labels))
    assert 0 < paired_standard_error(metric, near, rows) < standard_error(metric, rows) / 20
    assert spread_rows(TopK(1), batch(OUTPUT, np.array([1, 0, 1, 1])))[:, 0].tolist() == [1, 1, 0, 1]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("breaks", "raised ValueError: no; mend"),
        ("endless", r"gave float \(NaN or infinity\) for 4 samples; return one finite number, or one per sample"),
        ("odd", r"gave ndarray \(NaN or infinity\) for 4 samples; return one finite number, or one per sample"),
        ("pairs", r"gave ndarray \(shape \[4, 2\]\) for 4 samples"),
        ("text", "gave list"),
        ("nothing", "gave NoneType"),
        ("hit", "did you mean 'hits'"),
    ],
)
def test_a_function_that_breaks_is_named(module: str, name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        named(f"{module}:{name}").rows(batch(np.zeros((4, 3)), np.zeros(4, int)))
