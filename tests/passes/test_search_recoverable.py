"""Which trials a short reconstruction is tried on: the winner, and those whose weights lose most of what they lose."""

from __future__ import annotations

import pytest

from haqc.budget import Cost
from haqc.passes.search import recoverable
from haqc.result import SearchResult, Trial
from haqc.score import Score
from tests.passes.small_graphs import GRAPHS, Prepared

PREPARED = Prepared.of(GRAPHS["conv_relu"]())
SENSITIVITY = {(choice.operand.tensor, bits): 2.0**-bits for choice in PREPARED.space.free for bits in choice.widths}


def _trial(weight: int, activation: int, merit: float) -> Trial:
    policy = PREPARED.space.uniform(weight, activation)
    return Trial.of(policy, Cost(1.0, 1.0, 1.0, 1.0), Score(merit, merit), 100.0, "ddpg", 0)


def _chosen(trials: list[Trial], best: Trial, count: int = 8) -> list[tuple[int, int]]:
    found = recoverable(SearchResult(tuple(trials), (), best), PREPARED.space, SENSITIVITY, count)
    return [(bits.weight, bits.activation) for bits in (trial.policy.layer_bits[1] for trial in found)]


def test_the_winner_comes_first_then_narrower_weights_and_wider_activations() -> None:
    even, narrow, narrowest = _trial(5, 5, 90.0), _trial(4, 7, 88.0), _trial(3, 8, 80.0)
    poor, worse = _trial(4, 5, 70.0), _trial(2, 4, 60.0)
    trials = [worse, narrowest, even, poor, narrow]
    assert _chosen(trials, even) == [(5, 5), (4, 7), (3, 8)]
    assert _chosen(trials, even, count=1) == [(5, 5)]
    assert _chosen([even, worse], worse) == [(2, 4), (5, 5)]


def test_each_factor_has_its_trial() -> None:
    trials = [_trial(5, 5, 90.0), _trial(5, 6, 80.0), _trial(3, 7, 80.0), _trial(6, 4, 70.0)]
    assert _chosen(trials, trials[3]) == [(6, 4), (5, 6), (3, 7)]


@pytest.mark.parametrize("count", [1, 2])
def test_one_trial_is_all_there_is(count: int) -> None:
    only = _trial(4, 4, 50.0)
    assert _chosen([only], only, count) == [(4, 4)]
