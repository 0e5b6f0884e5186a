"""Scores per sample, what a floor is, and standard errors against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from haqc.errors import DataError
from haqc.score import Scoring, paired_standard_error, percent, scoring_for, standard_error

OUTPUT = np.array([[0.1, 0.9], [0.8, 0.2], [0.6, 0.4], [0.3, 0.7]], np.float32)


def test_top_1_counts_labels() -> None:
    scores = Scoring("top-1", 2).scores(OUTPUT, np.array([1, 0, 1, 1]))
    np.testing.assert_array_equal(scores, [1, 1, 0, 1])
    assert scores.dtype == np.float64
    assert percent(scores) == 75.0


def test_agreement_compares_the_largest_outputs() -> None:
    np.testing.assert_array_equal(Scoring("agreement", 2).scores(OUTPUT, OUTPUT[::-1] * 3), [1, 1, 1, 1])
    np.testing.assert_array_equal(Scoring("agreement", 2).scores(OUTPUT, OUTPUT[[1, 0, 2, 3]]), [0, 0, 1, 1])


def test_cosine_compares_directions_of_the_whole_output() -> None:
    reference = np.array([[[1.0, 0.0]], [[0.0, 2.0]], [[1.0, 1.0]], [[1.0, 0.0]]], np.float32)
    output = np.array([[[3.0, 0.0]], [[1.0, 1.0]], [[-2.0, 2.0]], [[-1.0, 0.0]]], np.float32)
    scores = Scoring("cosine").scores(output, reference)
    np.testing.assert_allclose(scores, [1, np.sqrt(0.5), 0, 0], rtol=1e-12, atol=1e-15)


def test_a_network_that_gives_nothing_agrees_only_with_nothing() -> None:
    zero, one = np.zeros((1, 3), np.float32), np.ones((1, 3), np.float32)
    scoring = Scoring("cosine")
    assert [scoring.scores(a, b)[0] for a, b in ((zero, one), (one, zero), (zero, zero), (one, one))] == [
        0, 0, 1, pytest.approx(1, rel=1e-12),
    ]  # fmt: skip


def test_scores_lie_between_0_and_1_whatever_the_output() -> None:
    random = np.random.default_rng(20181121)
    output = random.standard_normal((200, 7)).astype(np.float32)
    output[0] = np.nan
    output[1] *= np.float32(1e30)
    for scoring in (Scoring("cosine"), Scoring("agreement", 7)):
        scores = scoring.scores(output, np.where(np.isnan(output), 1, output))
        assert scores.shape == (200,)
        assert np.all((scores >= 0) & (scores <= 1))
        np.testing.assert_allclose(scores[1:], 1, rtol=1e-12)


@pytest.mark.parametrize(
    ("shape", "labelled", "expected"),
    [
        ((8, 10), True, Scoring("top-1", 10)),
        ((8, 10), False, Scoring("agreement", 10)),
        ((8, 1), False, Scoring("cosine")),
        ((8,), False, Scoring("cosine")),
        ((8, 3, 32, 32), False, Scoring("cosine")),
    ],
)
def test_the_output_decides_what_a_score_is(shape: tuple[int, ...], labelled: bool, expected: Scoring) -> None:
    assert scoring_for(shape, labelled) == expected
    assert expected.is_accuracy is labelled


@pytest.mark.parametrize("shape", [(8, 1), (8,), (8, 3, 32, 32)])
def test_labels_need_an_output_of_classes(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"labels do not fit .*need an output \[batch, classes\]: leave the labels out"):
        scoring_for(shape, labelled=True)


@pytest.mark.parametrize(("classes", "chance", "floor"), [(10, 10, 20), (100, 1, 2), (4, 25, 43.75), (2, 50, 62.5)])
def test_the_floor_is_twice_chance_or_a_quarter_of_the_way_up(classes: int, chance: float, floor: float) -> None:
    scoring = Scoring("top-1", classes)
    assert (scoring.chance, scoring.floor) == pytest.approx((chance, floor), rel=1e-12)
    assert (Scoring("agreement", classes).floor, Scoring("cosine").floor) == (0, 0)


def test_standard_errors() -> None:
    first, second = np.array([1.0, 1, 0, 1]), np.array([1.0, 0, 0, 0])
    # Variance of (1, 1, 0, 1) is 1/4 with three degrees of freedom; of (0, 1, 0, 1) it is 1/3.
    assert standard_error(first) == pytest.approx(100 * np.sqrt(1 / 4 / 4), rel=1e-12)
    assert paired_standard_error(first, second) == pytest.approx(100 * np.sqrt(1 / 3 / 4), rel=1e-12)
    assert paired_standard_error(first, first) == 0
    assert standard_error(np.array([1.0])) == 0
