"""Trials of another compile: known where they say the same, named where they do not, and read without trust."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from haqc.earliertrials import LARGEST_BYTES, NAME, EarlierTrials
from haqc.errors import DataError

if TYPE_CHECKING:
    from tests.command_line import CommandLine, Compiled

pytest_plugins = ["tests.command_line"]

Entries = list[dict[str, Any]]


def written(folder: Path, entries: Entries) -> Path:
    folder.mkdir(exist_ok=True)
    lines = [json.dumps(entry) + "\n" for entry in entries]
    (folder / "search.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder


def entries_of(folder: Path) -> Entries:
    return [json.loads(line) for line in (folder / "search.jsonl").read_text(encoding="utf-8").splitlines()]


def test_a_folder_without_trials_is_named(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "missing"):
        with pytest.raises(DataError, match=r"holds no trials \(search\.jsonl is missing\); name the folder of"):
            EarlierTrials.read(place)


@pytest.mark.parametrize("content", [b"", b"{}\n", b"[]\n", b'{"fingerprint": 3}\n', b'{"fingerprint": {}}'])
def test_what_does_not_begin_with_a_fingerprint_is_no_log(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "search.jsonl").write_bytes(content)
    with pytest.raises(DataError, match="does not begin with a fingerprint"):
        EarlierTrials.read(tmp_path)


def test_what_is_not_json_is_no_log(tmp_path: Path) -> None:
    (tmp_path / "search.jsonl").write_bytes(b"\x00\xff\n")
    with pytest.raises(DataError, match="cannot be read as a log of trials"):
        EarlierTrials.read(tmp_path)


def test_no_size_is_believed(tmp_path: Path) -> None:
    with (tmp_path / "search.jsonl").open("wb") as stream:
        stream.truncate(LARGEST_BYTES + 1)
    with pytest.raises(DataError, match="is larger than 128 MiB, so it is no log"):
        EarlierTrials.read(tmp_path)


def test_the_digest_is_of_what_was_read(tmp_path: Path) -> None:
    trial = {"widths": [4, 8], "key": "k", "accuracy": 50.0, "merit": 40.0}
    head, other = {"fingerprint": {"model": 1}}, trial | {"widths": [8, 8]}
    digests = {EarlierTrials.read(written(tmp_path, [head, each])).digest for each in (trial, other)}
    assert len(digests) == 2
    log = written(tmp_path, [head, trial]) / "search.jsonl"
    with log.open("a", encoding="utf-8") as stream:
        stream.write('{"widths": [')  # a search that is still going on, or was killed
    assert EarlierTrials.read(tmp_path).digest in digests


def test_what_scores_depend_on_has_to_be_the_same(tmp_path: Path) -> None:
    before = {"digests": {"model": "aa", "target": "tt"}, "budget": ["energy=0.5"], "options": {"finetune": 0}}
    earlier = EarlierTrials.read(written(tmp_path, [{"fingerprint": before}]))
    other = {"digests": {"model": "aa", "target": "uu"}, "budget": ["latency=0.5"], "options": {"finetune": 0}}
    earlier.require_same(other)
    earlier.require_same(
        other | {"budget": [], "minimise": {"metric": "energy", "max_drop": 1.0}, "sweep": {"points": 8}}
    )
    with pytest.raises(DataError, match=r"because options\.finetune changed \(options\.finetune was 0, is 16\)"):
        earlier.require_same(other | {"options": {"finetune": 16}})
    with pytest.raises(DataError, match=r"because digests\.model, seed changed"):
        earlier.require_same(other | {"digests": {"model": "bb", "target": "tt"}, "seed": 1})


def test_what_follows_a_reconstruction_may_differ(tmp_path: Path) -> None:
    def options(reconstruct: int, final_finetune: int) -> dict[str, Any]:
        return {"options": {"finetune": 0, "reconstruct": reconstruct, "final_finetune": final_finetune}}

    earlier = EarlierTrials.read(written(tmp_path, [{"fingerprint": options(64, 128)}]))
    for same in (options(64, 640), options(320, 0), options(0, 0)):
        earlier.require_same(same)
    with pytest.raises(DataError, match=r"because options\.final_finetune changed"):
        earlier.require_same(options(0, 640))


@pytest.mark.parametrize(
    "change",
    [
        lambda entry: entry | {"key": "0" * 16},
        pytest.param(lambda entry: entry | {"widths": entry["widths"][:-1]}, marks=pytest.mark.slow),
        pytest.param(lambda entry: entry | {"widths": [99, *entry["widths"][1:]]}, marks=pytest.mark.slow),
        lambda entry: entry | {"widths": [{}, *entry["widths"][1:]]},
        lambda entry: entry | {"merit": "high"},
        lambda entry: entry | {"merit": float("nan")},
        lambda entry: {"fingerprint": {}},
    ],
    ids=["key", "too few", "width", "type", "merit", "nan", "other"],
)
def test_a_line_that_is_no_trial_is_named(
    haqc: CommandLine,
    jobs: Any,
    compiled: Compiled,
    tmp_path: Path,
    change: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    head, first, second, *others = entries_of(compiled.folder)
    damaged = written(tmp_path / "damaged", [head, first, change(second), *others])
    sentence = haqc.compile_digits(tmp_path / "out", "--trials-from", damaged).sentence(2)
    assert sentence.startswith(f"line 3 of '{damaged / 'search.jsonl'}' is no trial of this model by this version")
    assert not jobs.count("score")


def test_a_damaged_line_is_said_before_anything_is_written(
    haqc: CommandLine, compiled: Compiled, tmp_path: Path
) -> None:
    head, first, *others = entries_of(compiled.folder)
    for number, damage in enumerate([{"merit": "high"}, {"widths": None}, {"widths": ["8"]}, {"widths": [True]}]):
        damaged = written(tmp_path / f"damaged{number}", [head, first | damage, *others])
        sentence = haqc.compile_digits(tmp_path / "out", "--trials-from", damaged).sentence(2)
        assert sentence.startswith(f"line 2 of '{damaged / 'search.jsonl'}' is no trial")
        assert not (tmp_path / "out").exists()


def test_what_does_not_fit_is_said_before_anything_is_done(
    haqc: CommandLine, jobs: Any, compiled: Compiled, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    sentence = haqc.compile_digits(out, "--trials-from", tmp_path).sentence(2)
    assert sentence.startswith(f"'{tmp_path}' holds no trials")
    two = "--trials-from", compiled.folder, "--trials-from", tmp_path
    assert haqc.compile_digits(out, *two).sentence(2).startswith(f"'{tmp_path}' holds no trials")
    sentence = haqc.compile_digits(out, "--trials-from", compiled.folder, "--seed", "1").sentence(2)
    assert "say nothing about this compile, because seed changed (seed was 0, is 1)" in sentence
    assert not out.exists()
    assert jobs.done == []


@pytest.mark.slow
def test_a_compile_for_another_target_begins_with_the_trials_of_the_first(
    haqc: CommandLine, jobs: Any, tmp_path: Path
) -> None:
    few = "--finetune", "0", "--reconstruct", "0", "--allocator", "uniform", "--allocator", "integer"
    many = "--evaluations", "16", "--budget", "energy=0.6"

    def searched(name: str, target: str, *options: str | Path) -> dict[str, dict[str, Any]]:
        outcome = haqc.compile_digits(tmp_path / name, *many, *few, "--target", target, *options, budget="latency=0.9")
        assert outcome.code == 0, outcome.err
        return {entry["key"]: entry for entry in entries_of(tmp_path / name)[1:]}

    first, alone = searched("first", "edge"), searched("alone", "cloud")
    common = first.keys() & alone.keys()
    assert common, "some uniform policies hold both budgets"
    for figure in ("accuracy", "merit"):
        assert [first[key][figure] for key in common] == [alone[key][figure] for key in common]
    before = (tmp_path / "first" / "search.jsonl").read_bytes()
    jobs.done.clear()
    second = searched("second", "cloud", "--trials-from", tmp_path / "first")
    assert (tmp_path / "first" / "search.jsonl").read_bytes() == before
    assert not first.keys() & second.keys()
    assert jobs.count("score") == len(second)
    report = json.loads((tmp_path / "second" / "report.json").read_text(encoding="utf-8"))
    known = {trial["key"]: trial for trial in report["trials"] if trial["allocator"] == NAME}
    assert common <= known.keys() <= first.keys()
    assert all(known[key]["cost"] == alone[key]["cost"] != first[key]["cost"] for key in common)
    sentence = haqc.compile_digits(tmp_path / "second", "--resume", "--target", "cloud").sentence(2)
    assert "digests.earlier" in sentence
