"""``--minimise METRIC --max-drop POINTS``: the smallest cost that keeps the quality of the emitted network."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import haqc as package
from haqc.budget import Goal
from haqc.errors import BudgetError

if TYPE_CHECKING:
    from tests.command_line import CommandLine

pytest_plugins = ["tests.command_line"]

QUICK = ("--finetune", "0", "--reconstruct", "0", "--evaluations", "6", "--allocator", "integer")
LEAST = ("--minimise", "energy", "--max-drop", "4")


def compile_least(haqc: CommandLine, out: Path, *options: str) -> Any:
    return haqc("compile", haqc.digits, "--target", "edge", "--out", out, *QUICK, *options)


def read(folder: Path) -> Any:
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_the_least_energy_that_keeps_the_accuracy(haqc: CommandLine, jobs: Any, tmp_path: Path) -> None:
    outcome = compile_least(haqc, tmp_path / "out", *LEAST, "--budget", "latency=0.8", "--allocator", "ddpg")
    assert outcome.code == 0, outcome.err
    report = read(tmp_path / "out")
    minimised, cost = report["cost"]["minimised"], report["cost"]
    assert (minimised["metric"], minimised["max_drop"], minimised["reference"]) == ("energy", 4.0, 100.0)
    steps = minimised["steps"]
    assert 2 <= len(steps) <= 7
    assert {step["kept"] for step in steps} == {True, False}
    # The network that is emitted loses what the cheapest step that was kept says, and costs that much.
    best = min((step for step in steps if step["kept"]), key=lambda step: step["cost"])
    assert report["accuracy"]["search"]["mirror"] == pytest.approx(100 - best["drop"], abs=1e-9)
    assert best["drop"] <= 4
    assert cost["policy"]["energy_j"] == pytest.approx(best["cost"] * cost["baseline"]["energy_j"], rel=1e-12)
    assert cost["policy"]["energy_j"] < cost["baseline"]["energy_j"]
    # No cheaper trial of the log is as good, for without reconstruction what is scored is what is emitted.
    cheaper = [trial for trial in report["trials"] if trial["cost"]["energy_j"] < cost["policy"]["energy_j"]]
    assert cheaper and max(trial["accuracy"] for trial in cheaper) < 96
    assert [limit["text"].partition("=")[0] for limit in cost["budget"]] == ["latency", "energy"]
    assert all(limit["met"] for limit in cost["budget"])
    # One log serves all budgets.
    trials = [json.loads(line) for line in (tmp_path / "out" / "search.jsonl").read_bytes().splitlines()[1:]]
    assert trials == report["trials"]
    assert jobs.count("score") == len(trials) == len({trial["key"] for trial in trials})
    assert re.search(r"Least energy: [\d.]+ % of 8/8, [\d.]+ of 4 points lost on the search split", outcome.out)


@pytest.mark.slow
def test_a_killed_one_is_resumed(haqc: CommandLine, jobs: Any, tmp_path: Path) -> None:
    tuned = ("--finetune", "16", "--final-finetune", "64", "--minimise", "size", "--max-drop", "20")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert compile_least(haqc, whole, *tuned).code == 0
    done = len(jobs.done)

    def kill(job: Any, count: int) -> None:
        if len(jobs.done) == done + 3 * done // 4:
            raise SystemExit(9)

    jobs.fault = kill
    assert compile_least(haqc, killed, *tuned).code == 9
    jobs.fault = None
    assert compile_least(haqc, killed, *tuned, "--resume").code == 0
    assert len(jobs.done) == 2 * done + 1  # the one that was killed
    for name in ("model.onnx", "policy.json", "layers.csv", "search.jsonl"):
        assert (whole / name).read_bytes() == (killed / name).read_bytes(), name


@pytest.mark.slow
def test_ctrl_c_emits_the_cheapest_that_was_found_to_keep_the_quality(
    haqc: CommandLine, jobs: Any, tmp_path: Path
) -> None:
    said: list[int] = []  # scores that were asked for before each fine-tune
    options = ("--minimise", "size", "--max-drop", "20", "--reconstruct", "16")

    def interrupt(job: Any, count: int) -> None:
        if job.method == "recover":
            said.append(jobs.count("score"))
        elif job.method == "score" and said and count > said[-1]:  # the first policy of the next budget
            raise KeyboardInterrupt

    jobs.fault = interrupt
    outcome = compile_least(haqc, tmp_path / "out", *options)
    assert outcome.code == 0, outcome.err
    report = read(tmp_path / "out")
    assert report["interrupted"] is True
    steps = report["cost"]["minimised"]["steps"]
    assert [step["kept"] for step in steps] == [True]
    assert report["cost"]["policy"]["weight_bytes"] <= steps[0]["budget"] * report["cost"]["baseline"]["weight_bytes"]


@pytest.mark.slow
def test_a_drop_that_nothing_keeps(haqc: CommandLine, jobs: Any, tmp_path: Path) -> None:
    least = ("--minimise", "energy", "--max-drop", "0.1", "--budget", "size=0.3")
    sentence = compile_least(haqc, tmp_path / "out", *least).sentence(3)
    found = re.search(r"the least drop is ([\d.]+) points, at energy=0\.\d+; allow --max-drop ([\d.]+)", sentence)
    assert found is not None, sentence
    assert 0.1 < float(found[1]) <= float(found[2]) < float(found[1]) + 0.011
    assert sentence.endswith("search longer (--evaluations), or fine-tune longer (--final-finetune)")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [".state", "search.jsonl"]


@pytest.mark.slow
def test_a_drop_that_nothing_keeps_on_made_up_samples(haqc: CommandLine, tmp_path: Path) -> None:
    model = shutil.copy(haqc.digits, tmp_path)  # without the description of its data
    least = ("--minimise", "energy", "--max-drop", "0.1", "--budget", "size=0.3")
    outcome = haqc("compile", model, "--target", "edge", "--out", tmp_path / "out", *QUICK, *least)
    assert outcome.sentence(3).endswith("(--evaluations), or give real data, with labels or without (--data)")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--minimise", "energy"), r"--minimise energy needs to know how many points .*; add --max-drop 0\.5"),
        (("--max-drop", "1"), r"--max-drop says how much quality may be lost, .*; add --minimise energy"),
        (("--minimise", "enrgy", "--max-drop", "1"), r"unknown budget metric 'enrgy' \(did you mean 'energy'\?\)"),
        ((*LEAST, "--budget", "energy=0.5"), "budget 'energy=0.5' and --minimise energy contradict each other"),
        (("--minimise", "size", "--max-drop", "-1"), "--max-drop -1 is no loss"),
        ((*LEAST, "--weights", "kmeans"), "--minimise energy needs quantised activations"),
        ((), "there is nothing to fit; give --budget METRIC=VALUE, .* or --minimise METRIC --max-drop POINTS"),
    ],
)
def test_what_contradicts_itself(haqc: CommandLine, tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    assert re.match(said, compile_least(haqc, tmp_path / "out", *options).sentence(2))
    assert haqc.tree(tmp_path) == {}


@pytest.mark.slow
def test_in_python(haqc: CommandLine, jobs: Any, tmp_path: Path) -> None:
    options = {"finetune": 0, "reconstruct": 0, "evaluations": 6, "allocators": ["integer"]}
    result = package.compile(haqc.digits, "edge", out=tmp_path / "out", minimise=("size", 4), **options)
    assert result.report["cost"]["minimised"]["metric"] == "size"
    with pytest.raises(BudgetError, match="is no loss"):
        Goal("size", float("nan"))
