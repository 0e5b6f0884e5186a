"""``haqc sweep``: verified folders for several budgets from one search, and the front beside them."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest
import typer

import haqc as package
from haqc.api import Options
from haqc.cli import app
from haqc.errors import BudgetError
from haqc.folder import RESULTS
from haqc.formats import beside_files
from haqc.passes.report.front import FRONT_COLUMNS
from haqc.passes.report.frontplot import front_svg
from haqc.sweeping import Sweep
from haqc.sweptfiles import FRONT_FILES

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from tests.command_line import CommandLine, Outcome

pytest_plugins = ["tests.command_line"]

ROOT = Path(__file__).resolve().parents[1]
QUICK = ("--finetune", "0", "--reconstruct", "0", "--evaluations", "6", "--allocator", "integer", "--allocator", "ddpg")
POINTS = ("--at", "0.1", "--at", "0.35", "--at", "0.7")
EMITTED = ["energy-0.35", "energy-0.70"]


def sweep(haqc: CommandLine, out: Path, *options: str) -> Outcome:
    return haqc("sweep", haqc.digits, "--target", "edge", "--out", out, *QUICK, *options)


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text(encoding="utf-8"))


def lasting(folder: Path) -> dict[str, Any]:
    """Everything that a sweep leaves but for wall-clock figures and what is kept for resuming."""
    files = {path.relative_to(folder): path for path in sorted(folder.rglob("*")) if path.is_file()}
    kept = {str(name): path for name, path in files.items() if ".state" not in name.parts and path.suffix != ".html"}
    return {name: timeless(path) for name, path in kept.items()}


def timeless(path: Path) -> Any:
    if path.name not in ("front.json", "report.json"):
        return path.read_bytes()

    def strip(content: Any) -> Any:
        if isinstance(content, dict):
            return {key: strip(value) for key, value in content.items() if key != "seconds"}
        return [strip(value) for value in content] if isinstance(content, list) else content

    return strip(json.loads(path.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def swept(haqc: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome, Any]:
    """The digits at three budgets, one of which cannot be met."""
    folder = tmp_path_factory.mktemp("swept") / "out"
    with haqc.inline() as jobs:
        outcome = sweep(haqc, folder, *POINTS)
    assert outcome.code == 0, outcome.err
    return folder, outcome, jobs


def test_each_point_is_a_verified_compile(haqc: CommandLine, swept: tuple[Path, Outcome, Any]) -> None:
    folder, _, _ = swept
    assert sorted(path.name for path in folder.iterdir()) == sorted([".state", *FRONT_FILES, *EMITTED])
    front = read(folder, "front.json")
    assert [point["share"] for point in front["points"]] == [0.1, 0.35, 0.7]
    for point in front["points"][1:]:
        own = folder / point["folder"]
        assert {path.name for path in own.iterdir()} == {*RESULTS, ".state"} - {*beside_files()}
        report = read(own, "report.json")
        assert report["verification"]["ok"] is True
        (limit,) = report["cost"]["budget"]
        assert limit["met"] and limit["text"] == point["budget"]
        assert point["cost"] == report["cost"]["policy"]
        assert point["cost"]["energy_j"] == pytest.approx(
            point["cost_share"] * front["baseline"]["energy_j"], rel=1e-12
        )
        assert point["cost_share"] <= point["share"]
        assert point["accuracy"]["emitted"] == report["accuracy"]["emitted"]
        trials = [json.loads(line) for line in (own / "search.jsonl").read_bytes().splitlines()[1:]]
        assert trials == report["trials"]
        assert all(trial["cost"]["energy_j"] <= limit["limit"] for trial in trials)
        # Without reconstruction, what is emitted is the best trial of all within the budget.
        assert report["accuracy"]["search"]["mirror"] == max(trial["accuracy"] for trial in trials)
        assert haqc("verify", own, "--quiet").code == 0
    assert "interrupted" not in json.dumps(front["points"])


def test_the_points_share_one_search(swept: tuple[Path, Outcome, Any]) -> None:
    folder, _, jobs = swept
    trials = [json.loads(line) for line in (folder / "search.jsonl").read_bytes().splitlines()[1:]]
    keys = [trial["key"] for trial in trials]
    assert jobs.count("score") == len(keys) == len(set(keys)) == read(folder, "front.json")["evaluations"]
    cheap, dear = (read(folder / name, "report.json")["trials"] for name in EMITTED)
    assert {trial["key"] for trial in cheap} < {trial["key"] for trial in dear} == set(keys)
    assert jobs.count("shares") == len({job.arguments[0] for job in jobs.done if job.method == "shares"})


def test_a_point_out_of_reach_is_listed(swept: tuple[Path, Outcome, Any]) -> None:
    folder, outcome, _ = swept
    point = read(folder, "front.json")["points"][0]
    assert (point["feasible"], point["folder"], point["cost"], point["accuracy"]) == (False, None, None, None)
    assert point["reason"].startswith("budget energy=0.1 cannot be met: the smallest reachable energy is 0.2715 of 8/8")
    lines = outcome.out.splitlines()
    assert [line.split()[0] for line in lines if line.startswith("energy=")] == [
        "energy=0.1",
        "energy=0.35",
        "energy=0.7",
    ]
    assert "not met" in next(line for line in lines if line.startswith("energy=0.1 "))
    assert "budget energy=0.1 cannot be met" in outcome.out


def test_the_table_and_the_picture_say_the_same(swept: tuple[Path, Outcome, Any]) -> None:
    folder, outcome, _ = swept
    points = read(folder, "front.json")["points"]
    rows = list(csv.DictReader(io.StringIO((folder / "front.csv").read_text(encoding="utf-8"))))
    assert tuple(rows[0]) == FRONT_COLUMNS
    assert [row["emitted"] for row in rows] == ["", *(str(point["accuracy"]["emitted"]) for point in points[1:])]
    assert [row["energy_j"] for row in rows] == ["", *(str(point["cost"]["energy_j"]) for point in points[1:])]
    picture = ElementTree.parse(folder / "front.svg").getroot()
    titles = [circle[0].text for circle in picture.iter("{http://www.w3.org/2000/svg}circle")]
    assert titles == [f"{p['budget']}: {p['accuracy']['emitted']:.2f} %" for p in points[1:]]
    for point in points[1:]:
        assert f"{point['accuracy']['emitted']:.2f} %" in outcome.out


def test_the_front_is_printed_again(haqc: CommandLine, swept: tuple[Path, Outcome, Any], tmp_path: Path) -> None:
    folder, outcome, _ = swept
    again = haqc("report", folder)
    assert (again.code, again.out) == (0, outcome.out)
    assert json.loads(haqc("report", folder, "--json").out) == read(folder, "front.json")
    front = read(folder, "front.json")
    damaged = {
        "[1, 2": "cannot be read as a report",
        "[]": "is no front of haqc",
        json.dumps(front | {"schema": 2}): "has front schema 2; this haqc reads 1",
        json.dumps(front | {"points": [{"budget": 5}]}): "is no front as haqc writes them",
    }
    for text, said in damaged.items():
        (tmp_path / "front.json").write_text(text, encoding="utf-8")
        assert said in haqc("report", tmp_path).sentence(2)


def test_the_front_is_drawn(haqc: CommandLine, swept: tuple[Path, Outcome, Any], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib: pip install '.[plot]'")
    picture = haqc("plot", swept[0], "--kind", "front", "--out", "-")
    assert picture.code == 0, picture.err
    words = "".join(ElementTree.fromstring(picture.out).itertext())
    assert "energy" in words and "float, " in words
    assert "the folder of a sweep, which has a front; add --kind front" in haqc("plot", swept[0]).sentence(2)
    front = read(swept[0], "front.json")
    (tmp_path / "front.json").write_text(json.dumps(front | {"points": [{"budget": 5}]}), encoding="utf-8")
    said = haqc("plot", tmp_path, "--kind", "front", "--out", "-").sentence(2)
    assert said.endswith("front.json' is no front as haqc writes them; sweep again")


def test_names_are_escaped(swept: tuple[Path, Outcome, Any]) -> None:
    front = read(swept[0], "front.json")
    front["model"]["name"] = "<script>&\x1b[2J\x00"
    picture = ElementTree.fromstring(front_svg(front))
    assert "<script>&" in "".join(picture.itertext())
    assert "\x1b" not in front_svg(front)
    front["points"] = front["points"][:1]  # nothing to draw
    assert ElementTree.fromstring(front_svg(front)).find("{http://www.w3.org/2000/svg}circle") is None


def test_every_field_is_documented(swept: tuple[Path, Outcome, Any]) -> None:
    front = read(swept[0], "front.json")
    text = (ROOT / "docs" / "sweep.md").read_text(encoding="utf-8")
    fields = {*front, *front["accuracy"], *front["points"][1], *front["points"][1]["accuracy"], *FRONT_COLUMNS[:5]}
    assert [field for field in sorted(fields) if f"`{field}`" not in text] == []
    assert [name for name in FRONT_FILES if f"`{name}`" not in text] == []


@pytest.mark.slow
def test_a_killed_sweep_is_resumed(haqc: CommandLine, jobs: Any, tmp_path: Path) -> None:
    tiny = ("--finetune", "8", "--final-finetune", "16", "--evaluations", "3")
    options = (*tiny, "--at", "0.4", "--at", "0.6", "--at", "1")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert sweep(haqc, whole, *options).code == 0
    total = len(jobs.done)
    assert jobs.count("tune") <= 3
    assert jobs.count("tune_float") == 2  # what everything starts from, and what the winners are compared with
    for number, place in enumerate((jobs.count("shares") + 4, total - 1)):  # what comes before is measured as a whole
        before = len(jobs.done)

        def kill(job: Any, count: int, at: int = before + place) -> None:
            if len(jobs.done) == at:
                raise SystemExit(9)

        jobs.fault = kill
        assert sweep(haqc, killed, *options, *(["--force"] if number else [])).code == 9
        jobs.fault = None
        resumed = sweep(haqc, killed, *options, "--resume")
        assert resumed.code == 0, resumed.err
        assert len(jobs.done) - before == total + 1  # the job that was killed runs twice
        assert lasting(killed) == lasting(whole)
    qualities = [point["accuracy"]["search"] for point in read(whole, "front.json")["points"]]
    assert qualities == sorted(qualities)
    refused = sweep(haqc, killed, *options, "--at", "0.8", "--resume").sentence(2)
    assert "sweep.at changed" in refused


@pytest.mark.slow
def test_ctrl_c_ends_the_search_and_emits_what_there_is(haqc: CommandLine, jobs: Any, tmp_path: Path) -> None:
    def interrupt(job: Any, count: int) -> None:
        if job.method == "score" and count == 5:
            raise KeyboardInterrupt

    jobs.fault = interrupt
    outcome = sweep(haqc, tmp_path / "out", "--at", "0.4", "--at", "0.8", "--evaluations", "8")
    assert outcome.code == 0, outcome.err
    front = read(tmp_path / "out", "front.json")
    assert all(point["feasible"] for point in front["points"])
    reports = [read(tmp_path / "out" / point["folder"], "report.json") for point in front["points"]]
    assert [report["interrupted"] for report in reports] == [True, True]
    assert reports[1]["allocators"] == [] or front["evaluations"] > 4


def test_force_removes_the_points_of_before(haqc: CommandLine, jobs: Any, swept: tuple[Path, Outcome, Any]) -> None:
    import shutil

    out = swept[0].parent / "forced"
    shutil.copytree(swept[0], out)
    (out / "model.onnx").write_bytes(b"of a compile before")
    (out / "energy-0.35" / "notes.txt").write_text("mine", encoding="utf-8")
    assert "is not empty" in sweep(haqc, out, "--at", "0.5").sentence(2)
    (out / "energy-0.50").symlink_to(swept[0].parent)
    assert "is a link" in sweep(haqc, out, "--at", "0.5", "--force").sentence(2)
    (out / "energy-0.50").unlink()
    assert sweep(haqc, out, "--at", "0.5", "--force").code == 0
    assert sorted(path.name for path in out.iterdir()) == sorted([".state", *FRONT_FILES, "energy-0.35", "energy-0.50"])
    assert [path.name for path in (out / "energy-0.35").iterdir()] == ["notes.txt"]


def test_no_point_within_reach(haqc: CommandLine, jobs: Any, tmp_path: Path) -> None:
    sentence = sweep(haqc, tmp_path / "out", "--at", "0.1", "--at", "0.2").sentence(3)
    assert sentence.startswith("budget energy=0.2 cannot be met: the smallest reachable energy is")
    assert not any(path.name == "front.json" for path in (tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--metric", "enrgy"), r"unknown budget metric 'enrgy' \(did you mean 'energy'\?\)"),
        (("--at", "1.5"), r"--at 1\.5 is no share of what 8/8 costs"),
        (("--points", "1"), "Invalid value for '--points'"),
        (("--budget", "energy=0.5"), "budget 'energy=0.5' and a sweep of energy contradict each other"),
        (("--weights", "kmeans"), "a sweep of energy needs quantised activations"),
    ],
)
def test_what_cannot_be_swept(haqc: CommandLine, tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    assert re.match(said, sweep(haqc, tmp_path / "out", *options).sentence(2))
    assert haqc.tree(tmp_path) == {}


def test_it_takes_the_options_of_a_compile() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    compiles, sweeps = ({parameter.name for parameter in commands[name].params} for name in ("compile", "sweep"))
    assert compiles - sweeps == {"minimise", "max_drop"}
    assert sweeps - compiles == {"at", "points", "quality"}


def test_budgets_are_spread_from_the_floor_to_the_whole() -> None:
    assert Sweep("energy", 8).shares(0.2) == (0.2, 0.31, 0.43, 0.54, 0.66, 0.77, 0.89, 1.0)
    assert Sweep("energy", 2).shares(0.20001) == (0.21, 1.0)
    assert Sweep("energy", 8).shares(0.97) == (0.97, 0.98, 0.99, 1.0)
    assert Sweep("energy", 8).shares(1.0) == (1.0,)
    assert Sweep("energy", at=(0.7, 0.125, 0.7)).shares(0.2) == (0.125, 0.7)
    for points in (1, 0):
        with pytest.raises(BudgetError, match="makes no front"):
            Sweep("energy", points)


@pytest.mark.slow
def test_in_python(haqc: CommandLine, jobs: Any, swept: tuple[Path, Outcome, Any], tmp_path: Path) -> None:
    options = Options(finetune=0, reconstruct=0, evaluations=6, allocators=("integer", "ddpg"))
    front = package.sweep(haqc.digits, "edge", at=(0.1, 0.35, 0.7), out=tmp_path / "out", **options)
    assert lasting(front.folder) == lasting(swept[0])
    assert list(front.results) == ["energy=0.35", "energy=0.7"]
    assert front.results["energy=0.7"].cost["energy_j"] == front.points()[2]["cost"]["energy_j"]
    assert all(row["budget"] in str(front) and row["budget"] in front._repr_html_() for row in front.points())
