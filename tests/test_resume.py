"""A compile that is killed goes on where it was: nothing is evaluated again, and the bytes are those of one run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.command_line import CommandLine, Compiled

pytest_plugins = ["tests.command_line"]

ROOT = Path(__file__).resolve().parents[1]
DECIDED = ("model.onnx", "policy.json", "layers.csv", "search.jsonl")


class Killed(BaseException):
    """Stands in for SIGKILL where the jobs run in this process: nothing catches it."""


def lines(folder: Path) -> int:
    """Counts the whole lines of a log, the fingerprint among them."""
    log = folder / "search.jsonl"
    return log.read_bytes().count(b"\n") if log.exists() else 0


def scored(folder: Path) -> set[str]:
    """The keys of all policies whose scores are on the disk."""
    found = set()
    for path in (folder / "search.jsonl", folder / ".state" / "scores.jsonl"):
        whole, _, _ = path.read_bytes().rpartition(b"\n") if path.exists() else (b"", b"", b"")
        found |= {json.loads(line).get("key") for line in whole.splitlines()}
    return found - {None}


def without_seconds(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: without_seconds(value) for key, value in content.items() if key != "seconds"}
    return [without_seconds(value) for value in content] if isinstance(content, list) else content


def same_bytes(first: Path, second: Path) -> None:
    """Fails unless two compiles left the same, but for the wall-clock figures."""
    for name in DECIDED:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    reports = [json.loads((folder / "report.json").read_text(encoding="utf-8")) for folder in (first, second)]
    assert json.dumps(without_seconds(reports[0])) == json.dumps(without_seconds(reports[1]))


@pytest.fixture
def copied(compiled: Compiled, tmp_path: Path) -> Path:
    """A copy of the compiled folder, to be damaged."""
    return Path(shutil.copytree(compiled.folder, tmp_path / "digits.haqc"))


# Killed in this process.


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "count"),
    [("tune_float", 1), ("shares", 1), ("score", 1), ("score", 6), ("rescore", 3), ("tune", 1)],
)
def test_a_killed_compile_ends_with_the_same_bytes(
    haqc: CommandLine, jobs: Any, compiled: Compiled, tmp_path: Path, method: str, count: int
) -> None:
    out = tmp_path / "out"

    def kill(job: Any, number: int) -> None:
        if (job.method, number) == (method, count):
            raise Killed

    jobs.fault = kill
    with pytest.raises(Killed):
        haqc.compile_digits(out)
    assert not any((out / name).exists() for name in DECIDED[:-1])
    known, every = len(scored(out)), compiled.jobs.count("score")
    assert known == (count - 1 if method == "score" else every if method in ("rescore", "tune") else 0)
    jobs.fault = None
    jobs.done.clear()
    assert haqc.compile_digits(out, "--resume").code == 0
    same_bytes(compiled.folder, out)
    assert jobs.count("score") == every - known
    assert (jobs.count("shares") == 0) == (method not in ("tune_float", "shares"))
    finalists = compiled.jobs.count("rescore")
    assert jobs.count("rescore") == {"rescore": finalists - 2, "tune": 0}.get(method, finalists)
    assert jobs.count("tune") == 1
    assert jobs.count("tune_float") == (2 if method == "tune_float" else 1)


@pytest.mark.slow
def test_a_finished_compile_runs_nothing_again(haqc: CommandLine, jobs: Any, compiled: Compiled, copied: Path) -> None:
    assert haqc.compile_digits(copied, "--resume").code == 0
    assert jobs.done == []
    same_bytes(compiled.folder, copied)


@pytest.mark.slow
def test_what_is_tuned_is_not_tuned_again(haqc: CommandLine, jobs: Any, compiled: Compiled, copied: Path) -> None:
    (copied / ".state" / "tuned-float.npz").unlink()
    assert haqc.compile_digits(copied, "--resume").code == 0
    assert [job.method for job in jobs.done] == ["tune_float"]
    same_bytes(compiled.folder, copied)


@pytest.mark.slow
def test_only_what_is_not_logged_is_evaluated(haqc: CommandLine, jobs: Any, compiled: Compiled, copied: Path) -> None:
    log = copied / "search.jsonl"
    whole = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(whole[:4]) + whole[4][:30])  # three trials, and a fourth that is half written
    assert haqc.compile_digits(copied, "--resume").code == 0
    keys = [json.loads(line)["key"] for line in whole[1:]]
    assert jobs.count("score") == len(keys) - 3
    same_bytes(compiled.folder, copied)


@pytest.mark.slow
def test_logged_scores_are_believed(haqc: CommandLine, jobs: Any, copied: Path) -> None:
    # A score that nobody would measure shows that the log is what the resumed search reads.
    log = copied / "search.jsonl"
    head, *trials = log.read_bytes().splitlines(keepends=True)
    last = json.loads(trials[-1]) | {"accuracy": 101.0, "merit": 101.0}
    log.write_bytes(b"".join([head, *trials[:-1]]) + json.dumps(last).encode() + b"\n")
    assert haqc.compile_digits(copied, "--resume").code == 0
    report = json.loads((copied / "report.json").read_text(encoding="utf-8"))
    assert max(entry["accuracy"] for entry in report["allocators"]) == 101.0
    assert report["finalists"][0]["key"] == last["key"]  # the best of the search comes first, and is scored again


@pytest.mark.slow
def test_the_number_of_workers_may_change(haqc: CommandLine, jobs: Any, compiled: Compiled, copied: Path) -> None:
    assert haqc.compile_digits(copied, "--resume", "--jobs", "7").code == 0
    same_bytes(compiled.folder, copied)


@pytest.mark.slow
def test_an_interrupted_search_goes_on(haqc: CommandLine, jobs: Any, compiled: Compiled, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def interrupt(job: Any, number: int) -> None:
        if (job.method, number) == ("score", 6):
            raise KeyboardInterrupt

    jobs.fault = interrupt
    assert haqc.compile_digits(out).code == 0
    jobs.fault = None
    assert haqc.compile_digits(out, "--resume").code == 0
    same_bytes(compiled.folder, out)


# What cannot be resumed.


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--seed", "1"], "because seed changed (seed was 0, is 1)"),
        (["--evaluations", "5"], "because options.evaluations changed (options.evaluations was 4, is 5)"),
        (["--finetune", "65"], "because options.finetune changed (options.finetune was 16, is 65)"),
        (["--label-share", "0.5"], "because options.label_share changed (options.label_share was 0.8, is 0.5)"),
        (["--final-finetune", "0"], "because options.final_finetune changed (options.final_finetune was 64, is 0)"),
        (["--min-bits", "3"], "because options.min_bits changed (options.min_bits was 2, is 3)"),
        (["--no-default-pins"], "because options.default_pins changed (options.default_pins was True, is False)"),
        (["--pin", "last=8"], "because options.pins changed (options.pins was {}, is {'last': '8/8'})"),
        (["--budget", "size=0.9"], "because budget changed (budget was ['energy=0.5'], is ['energy=0.5', 'size=0.9'])"),
        (["--target", "cloud"], "because digests.target changed (digests.target was '"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_changed_option_is_named(haqc: CommandLine, jobs: Any, copied: Path, options: list[str], said: str) -> None:
    before = haqc.tree(copied)
    sentence = haqc.compile_digits(copied, "--resume", *options).sentence(2)
    assert f"'{copied}' cannot be resumed, {said}" in sentence
    assert sentence.endswith("go back to it, or start again with --force")
    assert haqc.tree(copied) == before
    assert jobs.done == []


def test_another_model_or_other_data_are_named(haqc: CommandLine, copied: Path, tmp_path: Path) -> None:
    models = Path(shutil.copytree(ROOT / "models", tmp_path / "models", ignore=shutil.ignore_patterns("*.py")))
    description = models / "digits.data.toml"
    description.write_text(
        description.read_text(encoding="utf-8") + "[splits]\nreported = [0, 500]\n", encoding="utf-8"
    )
    asked = ("--target", "edge", "--budget", "energy=0.5", "--out", copied, "--resume", *haqc.tiny)
    assert "because digests.data changed" in haqc("compile", models / "digits.onnx", *asked).sentence(2)
    shutil.copy(ROOT / "models" / "digits.data.toml", description)
    with (models / "digits.onnx").open("ab") as file:
        file.write(b"\x12\x01x")  # a field of the format: the producer's name
    assert "because digests.model changed" in haqc("compile", models / "digits.onnx", *asked).sentence(2)


@pytest.mark.parametrize(
    "name",
    [
        "search.jsonl",
        ".state/sensitivity.json",
        ".state/start.npz",
        *(pytest.param(f".state/{name}", marks=pytest.mark.slow) for name in ("finalists.jsonl", "tuned-float.npz")),
    ],
)
def test_a_damaged_file_is_refused(haqc: CommandLine, jobs: Any, copied: Path, name: str) -> None:
    file = copied / name
    file.write_bytes(b"damaged\n" + file.read_bytes())
    sentence = haqc.compile_digits(copied, "--resume").sentence(2)
    assert f"'{file}' " in sentence
    assert sentence.endswith("start again with --force")


def test_scores_of_an_older_form_are_refused(haqc: CommandLine, jobs: Any, copied: Path) -> None:
    log = copied / "search.jsonl"
    head, *trials = log.read_text(encoding="utf-8").splitlines()
    log.write_text(head + "\n", encoding="utf-8")
    older = [{"key": trial["key"], "score": trial["accuracy"]} for trial in map(json.loads, trials)]
    (copied / ".state" / "scores.jsonl").write_text("".join(json.dumps(each) + "\n" for each in older))
    sentence = haqc.compile_digits(copied, "--resume").sentence(2)
    assert "scores.jsonl' holds a line that is no score of this version; start again with --force" in sentence


@pytest.mark.slow
def test_force_starts_again(haqc: CommandLine, jobs: Any, compiled: Compiled, copied: Path) -> None:
    (copied / "search.jsonl").write_bytes(b"damaged\n")
    (copied / "notes.txt").write_text("mine", encoding="utf-8")
    assert haqc.compile_digits(copied, "--force").code == 0
    assert jobs.count("score") == compiled.jobs.count("score")
    assert (copied / "notes.txt").read_text(encoding="utf-8") == "mine"
    same_bytes(compiled.folder, copied)


def test_a_mistake_with_force_leaves_the_old_results(haqc: CommandLine, copied: Path, tmp_path: Path) -> None:
    before = haqc.tree(copied)
    haqc.compile_digits(copied, "--force", "--data", tmp_path / "missing.npz").sentence(2)
    haqc.compile_digits(copied, "--force", budget="energy=0.01").sentence(3)
    assert haqc.tree(copied) == before


# Killed for real.


class Compile:
    """A compile in a process group of its own."""

    def __init__(self, out: Path, *options: str) -> None:
        self.out = out
        command = [sys.executable, "-m", "haqc", "compile", "models/digits.onnx", "--target", "edge"]
        command += ["--budget", "energy=0.5", "--out", str(out), "--jobs", "1", *options]
        # A suite that was started in the background ignores Ctrl-C, and what it starts would inherit that.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def wait_until(self, reached: Callable[[], bool]) -> None:
        """Waits until something has happened while the compile still runs."""
        limit_s = time.monotonic() + 120
        while not reached():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < limit_s
            time.sleep(0.005)

    def send(self, number: int) -> tuple[int, str, str]:
        """Sends a signal to the whole group, as a terminal does; gives exit code, output and errors."""
        os.killpg(self.process.pid, number)
        out, err = self.process.communicate(timeout=120)
        return self.process.returncode, out, err


# Long enough that a signal meets the search or the fine-tune, short enough for a test.
SLOWER = ("--evaluations", "4", "--finetune", "256", "--final-finetune", "4000")


@pytest.fixture(scope="module")
def undisturbed(haqc: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with the slower settings that nobody disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed") / "digits.haqc"
    outcome = haqc.compile_digits(folder, "--jobs", "1", *SLOWER)
    assert outcome.code == 0, outcome.err
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("where", ["search", "fine-tune"])
def test_sigkill(haqc: CommandLine, jobs: Any, undisturbed: Path, tmp_path: Path, where: str) -> None:
    out = tmp_path / "out"
    run = Compile(out, *SLOWER)
    run.wait_until(lambda: lines(out) >= (4 if where == "search" else lines(undisturbed)))
    if where == "fine-tune":
        time.sleep(0.2)
    code, _, _ = run.send(signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert not any((out / name).exists() for name in DECIDED[:-1])
    assert not list((out / ".state").glob("tuned-*"))
    known = len(scored(out))
    assert known < lines(undisturbed) - 1 or where == "fine-tune"
    assert haqc.compile_digits(out, *SLOWER, "--resume").code == 0
    assert jobs.count("score") == lines(undisturbed) - 1 - known
    same_bytes(undisturbed, out)


@pytest.mark.slow
def test_sigint_in_the_search(haqc: CommandLine, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run = Compile(out, "--evaluations", "200", "--finetune", "256", "--final-finetune", "64")
    run.wait_until(lambda: lines(out) >= 4)
    code, _, err = run.send(signal.SIGINT)
    assert (code, "Traceback" in err) == (0, False), err
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["interrupted"] is True
    assert haqc("verify", out).code == 0


@pytest.mark.slow
def test_sigint_before_any_policy(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run = Compile(out, "--finetune", "100000", "--final-finetune", "64")
    run.wait_until((out / ".state" / "sensitivity.json").exists)
    code, shown, err = run.send(signal.SIGINT)
    assert (code, shown, "Traceback" in err) == (130, "", False), err
    assert err.splitlines()[-1].startswith("haqc: interrupted before ")
    assert sorted(path.name for path in out.iterdir()) == [".state", "search.jsonl"]
