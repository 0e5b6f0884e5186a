"""Scores that wait for the log: on the disk at once, whole again after a kill, gone when they stand elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from haqc.errors import OutputError, ResumeError
from haqc.graph import Graph
from haqc.policy import Policy
from haqc.score import Score
from haqc.scores import Scores
from haqc.stages import score_each
from haqc.workers import Job
from tests.passes.search_toy import same


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "scores.jsonl"


def test_a_score_is_on_the_disk_at_once_and_comes_back(path: Path) -> None:
    with Scores(path) as scores:
        scores.keep("a", Score(90.5, 1 / 3))
        assert json.loads(path.read_text(encoding="utf-8")) == {"key": "a", "accuracy": 90.5, "merit": 1 / 3}
        scores.keep("b", Score(-2.0, 5.0))
    assert Scores(path).known == {"a": Score(90.5, 1 / 3), "b": Score(-2.0, 5.0)}


def test_reading_changes_nothing(path: Path) -> None:
    assert Scores(path).known == {}
    assert not path.exists()


def test_a_half_written_score_is_replaced(path: Path) -> None:
    with Scores(path) as scores:
        scores.keep("a", same(1.0))
        scores.keep("b", same(2.0))
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    with Scores(path) as scores:
        assert scores.known == {"a": same(1.0)}
        scores.keep("b", same(2.0))
    assert path.read_bytes() == whole


def test_what_stands_elsewhere_is_forgotten_only_together(path: Path) -> None:
    with Scores(path) as scores:
        scores.keep("a", same(1.0))
        scores.keep("b", same(2.0))
        scores.forget({"a"})
        assert Scores(path).known == {"a": same(1.0), "b": same(2.0)}
        scores.forget({"a", "b", "c"})
        assert not path.exists()
        scores.keep("d", same(4.0))
    assert Scores(path).known == {"d": same(4.0)}


@pytest.mark.parametrize(
    "line",
    [
        b"no JSON",
        b"[]",
        b'{"key": "a"}',
        b'{"key": "a", "accuracy": 1, "merit": "high"}',
        b'{"key": "a", "accuracy": NaN, "merit": 1}',
        b'{"key": "a", "accuracy": 1}',
        b'{"key": "a", "score": 1}',  # of an older form, as the line above
        b"[" * 99999,
    ],
    ids=range(8),
)
def test_a_damaged_file_is_refused_and_left(path: Path, line: bytes) -> None:
    path.write_bytes(line + b"\n")
    with pytest.raises(ResumeError, match=r"'.*scores\.jsonl' .*; start again with --force"):
        Scores(path)
    assert path.read_bytes() == line + b"\n"


def test_what_cannot_be_written_is_said(path: Path) -> None:
    path.mkdir()
    with pytest.raises(OutputError, match=r"scores\.jsonl' cannot be written"):
        Scores(path)


@pytest.mark.parametrize("figures", [(float("nan"), 1.0), (1.0, float("inf"))])
def test_no_score_is_made_of_what_is_no_number(figures: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="a score of"):
        Score(*figures)


class Backwards:
    """A pool whose jobs end from the last to the first, and that is killed before some."""

    def __init__(self, killed_before: int = -1) -> None:
        self.killed_before = killed_before
        self.done: list[int] = []

    def run(
        self, jobs: Sequence[Job], advance: Callable[[int], None], finished: Callable[[int, Any], None]
    ) -> list[Any]:
        for index in reversed(range(len(jobs))):
            (widths,) = jobs[index].arguments
            if widths["w"] == self.killed_before:
                raise KeyboardInterrupt
            self.done.append(widths["w"])
            finished(index, same(widths["w"]))
        return []


def test_what_ended_before_a_kill_is_not_scored_again(path: Path) -> None:
    graph = Graph("net", layers=(), operands=(), operations=(), tensor_values={}, inputs=(), outputs=())
    policies = [Policy(graph, {"w": width}) for width in (2, 3, 4, 5)]
    killed, resumed = Backwards(killed_before=3), Backwards()
    with Scores(path) as scores, pytest.raises(KeyboardInterrupt):
        score_each(killed, "score", policies, scores)  # type: ignore[arg-type]
    with Scores(path) as scores:
        score_each(resumed, "score", policies, scores)  # type: ignore[arg-type]
        assert scores.known == {policy.key: same(policy.widths["w"]) for policy in policies}
    assert (killed.done, resumed.done) == ([5, 4], [3, 2])
