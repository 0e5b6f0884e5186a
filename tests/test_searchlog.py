"""The log of a search: append-only, headed by what it depends on, whole again after a kill."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from haqc.budget import Cost
from haqc.errors import OutputError, ResumeError
from haqc.graph import Graph
from haqc.policy import Policy
from haqc.result import Trial
from haqc.searchlog import SearchLog

FINGERPRINT: dict[str, Any] = {
    "digests": {"model": "aa", "data": "bb"},
    "budget": ["energy=0.5"],
    "seed": 0,
    "options": {"evaluations": 4, "pins": {}, "default_pins": True},
}


def trial(name: str, accuracy: float = 97.5) -> Trial:
    """Makes a trial of a graph without layers; its key depends on the name."""
    graph = Graph("net", layers=(), operands=(), operations=(), tensor_values={}, inputs=(), outputs=())
    return Trial(Policy(graph, {name: 4}), Cost(1e-6, 1e-3, 100, 10), accuracy, accuracy - 20, 0.1, "greedy", 0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "search.jsonl"


def write(path: Path, *trials: Trial) -> None:
    log = SearchLog(path, FINGERPRINT)
    for one in trials:
        log.record(one)
    log.close()


def test_a_new_log_begins_with_the_fingerprint(path: Path) -> None:
    write(path)
    assert path.read_bytes() == json.dumps({"fingerprint": FINGERPRINT}).encode() + b"\n"


def test_trials_come_back(path: Path) -> None:
    trials = [trial("a", 1 / 3), trial("b", 100.0)]
    write(path, *trials)
    log = SearchLog(path, FINGERPRINT)
    log.close()
    assert log.scores == {one.policy.key: one.score for one in trials}


def test_a_trial_is_written_once(path: Path) -> None:
    write(path, trial("a"), trial("a"))
    before = path.read_bytes()
    write(path, trial("a"))
    assert path.read_bytes() == before
    write(path, trial("b"))
    assert path.read_bytes() == before + json.dumps(trial("b").to_json()).encode() + b"\n"


def test_a_line_is_on_the_disk_at_once(path: Path) -> None:
    log = SearchLog(path, FINGERPRINT)
    log.record(trial("a"))
    assert len(path.read_bytes().splitlines()) == 2
    log.close()


@pytest.mark.parametrize("cut", [1, 20, 10_000])
def test_a_half_written_line_is_cut_off(path: Path, cut: int) -> None:
    write(path, trial("a"), trial("b"))
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    kept = max(1, len(lines[-1]) - cut)
    path.write_bytes(b"".join(lines[:-1]) + lines[-1][:kept])
    log = SearchLog(path, FINGERPRINT)
    assert list(log.scores) == [trial("a").policy.key]
    log.record(trial("b"))
    log.close()
    assert path.read_bytes() == whole


def test_a_half_written_fingerprint_is_replaced(path: Path) -> None:
    write(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:10])
    write(path)
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 1}, r"because seed changed \(seed was 0, is 1\)"),
        ({"budget": ["energy=0.4"]}, r"budget was \['energy=0.5'\], is \['energy=0.4'\]"),
        ({"digests": {"model": "cc", "data": "bb"}}, r"digests.model was 'aa', is 'cc'"),
        ({"options": FINGERPRINT["options"] | {"evaluations": 5}}, r"options.evaluations was 4, is 5"),
        ({"options": FINGERPRINT["options"] | {"pins": {"a": "8/8"}}}, r"options.pins was \{\}, is \{'a': '8/8'\}"),
        ({"options": {"evaluations": 4, "pins": {}}}, r"options.default_pins was True, is None"),
        ({"seed": 1, "budget": []}, r"because budget, seed changed"),
    ],
)
def test_what_changed_is_named(path: Path, change: dict[str, Any], said: str) -> None:
    write(path, trial("a"))
    before = path.read_bytes()
    with pytest.raises(ResumeError, match=said + r".*go back to it, or start again with --force"):
        SearchLog(path, FINGERPRINT | change)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "line",
    [
        b"no JSON",
        b"[]",
        b"3",
        b"",
        b'{"key": "k"}',
        b'{"key": "k", "accuracy": "high"}',
        b'{"key": "k", "accuracy": NaN}',
        b'{"key": "k", "accuracy": [1]}',
        b'{"key": "k", "accuracy": 1' + b"0" * 400 + b"}",
        b"\xff\xfe",
        b"[" * 100_000,
    ],
    ids=range(11),
)
def test_a_damaged_log_is_refused(path: Path, line: bytes) -> None:
    write(path, trial("a"))
    for content in (path.read_bytes() + line + b"\n", line + b"\n" + path.read_bytes()):
        path.write_bytes(content)
        with pytest.raises(ResumeError, match=r"; start again with --force"):
            SearchLog(path, FINGERPRINT)
        assert path.read_bytes() == content


def test_a_folder_in_its_place_is_refused(path: Path) -> None:
    path.mkdir()
    with pytest.raises(OutputError, match=r"search\.jsonl' cannot be written \(Is a directory\)"):
        SearchLog(path, FINGERPRINT)
