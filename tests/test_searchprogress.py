"""How far a search says it is: the best so far, the time left, the mean widths."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pytest

from haqc.budget import Cost
from haqc.data.split import Split, Transform
from haqc.judge import Judge
from haqc.metrics import named
from haqc.passes.search import SearchOptions, allowance
from haqc.policy import Policy
from haqc.request import ALLOCATORS, AllocatorName
from haqc.result import Trial
from haqc.score import Score
from haqc.searchprogress import SearchProgress, mean_bits
from tests.passes.search_toy import same, toy

SPACE = toy(4).space


@dataclass
class Shown:
    """A ui that keeps what it is told, and a clock."""

    lines: list[str] = field(default_factory=list)
    done: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    def say(self, text: str) -> None:
        raise AssertionError(text)

    def task(self, name: str, total: int) -> ShownTask:
        self.lines.append(f"{name} of {total}")
        return ShownTask(self, name)

    def now_s(self) -> float:
        return self.seconds


@dataclass
class ShownTask:
    """One of its bars."""

    shown: Shown
    name: str

    def advance(self, count: int = 1, note: str = "") -> None:
        self.shown.done[self.name] = self.shown.done.get(self.name, 0) + count
        self.shown.lines.append(note)


def progress(
    shown: Shown, *allocators: AllocatorName, seconds: float = math.inf, metric: str = "top-1"
) -> SearchProgress:
    nothing = Split((np.zeros((4, 2), np.float32),), np.zeros(4, np.int64), (Transform(),))
    judge = Judge(named(metric), ("y",), nothing, None, 2.0)
    return SearchProgress(shown, judge, SearchOptions(48, allocators=allocators, seconds=seconds), shown.now_s)


def policy(width: int) -> Policy:
    return SPACE.uniform(width, width + 1)


def trial(accuracy: float) -> Trial:
    return Trial.of(policy(2), Cost(1.0, 1.0, 1, 1), same(accuracy), 0.0, "random", 0)


def score(one: SearchProgress, shown: Shown, accuracies: list[float], seconds: float) -> None:
    with one.scoring(len(accuracies)):
        shown.seconds += seconds
    one.offer([policy(2 + index) for index in range(len(accuracies))], [same(accuracy) for accuracy in accuracies])


def test_it_tells_the_best_the_time_left_and_the_mean_widths() -> None:
    shown = Shown()
    one = progress(shown, "uniform", "ddpg")
    score(one, shown, [80.0, 83.4, 81.0, 83.4], 8.0)
    one("uniform", 4, 8, trial(83.4))
    assert shown.lines == ["search: uniform of 8", "best 83.40 % · 2 min left · 5.5/6.0 mean bits"]  # (4 + 48) x 2 s
    score(one, shown, [60.0] * 4, 8.0)
    one("ddpg", 4, 48, trial(60.0))
    assert shown.lines[2:] == [
        "best 83.40 %",
        "search: ddpg of 48",
        "best 83.40 % · 1 min left · 5.5/6.0 mean bits",
    ]  # 44 x 2 s
    one("ddpg", 48, 48, trial(60.0))
    assert shown.lines[-1] == "best 83.40 % · 0 s left · 5.5/6.0 mean bits"
    assert shown.done == {"search: uniform": 4, "search: ddpg": 48}


def test_the_best_is_the_one_of_most_merit() -> None:
    shown = Shown()
    one = progress(shown, "random")
    one.offer([policy(4), policy(6)], [Score(80.0, 71.0), Score(79.0, 72.0)])
    one("random", 2, 48, trial(60.0))
    assert shown.lines[-1] == "best 79.00 % · 7.0/7.5 mean bits"


def test_what_fills_the_slack_comes_after_every_allocator() -> None:
    shown = Shown()
    one = progress(shown, "random")
    score(one, shown, [80.0], 10.0)
    one("slack", 1, 3, trial(80.0))
    assert "· 20 s left ·" in shown.lines[-1]


def test_what_was_known_takes_no_time_and_tells_none() -> None:
    shown = Shown()
    one = progress(shown, "random")
    with one.scoring(0):
        shown.seconds += 5.0
    one.offer([policy(4)], [same(70.0)])
    one("random", 1, 48, trial(70.0))
    assert shown.lines[-1] == "best 70.00 % · 6.0/6.5 mean bits"


def test_no_more_time_is_left_than_the_search_has() -> None:
    shown = Shown()
    one = progress(shown, "random", seconds=30.0)
    score(one, shown, [80.0], 10.0)
    one("random", 1, 48, trial(80.0))
    assert "best 80.00 % · 20 s left" in shown.lines[-1]
    shown.seconds = 40.0
    one("random", 2, 48, trial(80.0))
    assert "· 0 s left ·" in shown.lines[-1]


def test_a_value_is_told_in_the_metrics_unit() -> None:
    shown = Shown()
    one = progress(shown, "random", metric="mse")
    score(one, shown, [50.0], 1.0)
    one("random", 1, 48, trial(50.0))
    assert shown.lines[-1].startswith("best 4 · ")  # half of the points where the error has doubled


def test_mean_widths_are_of_quantised_layers() -> None:
    assert mean_bits(SPACE.uniform(2, 4)) == "5.0/6.0"  # two layers of four are pinned at 8/8


@pytest.mark.parametrize(("evaluations", "expected"), [(48, (8, 8, 16, 48, 48, 48, 48)), (4, (4,) * 7)])
def test_allowances(evaluations: int, expected: tuple[int, ...]) -> None:
    assert tuple(allowance(name, SearchOptions(evaluations)) for name in ALLOCATORS) == expected
