"""``haqc targets`` from its words to its output."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from haqc import targets
from haqc.cli import app
from haqc.errors import HaqcError, OutputError, TargetError

EDGE = targets.load("edge")


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["targets", *map(str, words)], catch_exceptions=False)


@pytest.mark.parametrize("words", [(), ("list",)])
def test_the_list_shows_kind_grades_and_title(words: tuple[str, ...]) -> None:
    shown = run(*words).output
    for name in targets.names():
        target = targets.load(name)
        (row,) = [line.split() for line in shown.splitlines() if line.split()[:1] == [name]]
        assert row == [name, target.kind, str(target.batch), target.latency_grade, target.energy_grade]
        assert f"{name}: {target.title}" in " ".join(shown.split())
    assert max(map(len, shown.splitlines())) <= 80


def test_the_sheet_of_edge() -> None:
    shown = run("show", "edge").output
    assert "Grades: latency exact, energy estimate" in shown
    assert "8/8      51.2 G            225 M           16     66.6 pJ" in shown
    assert "Memory: 3.2 GB/s at 8/8, 120 pJ per byte moved" in shown
    assert "energy: BISMO on an Ultra96: 15.4 binary TOPS under 8 W" in shown
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize("name", targets.names())
def test_every_sheet_fits_and_names_every_source(name: str) -> None:
    shown = run("show", name).output
    assert max(map(len, shown.splitlines())) <= 80
    flat = " ".join(shown.split())
    assert all(" ".join(source.split()) in flat for _, source in targets.load(name).sources)


def test_the_file_itself_with_toml() -> None:
    assert run("show", "edge", "--toml").output.strip() == EDGE.text.strip()


def test_a_new_file_is_a_valid_copy_without_the_grades(tmp_path: Path) -> None:
    path = tmp_path / "my-chip.toml"
    assert "copy of cloud" in run("new", "--from", "cloud", path).output
    copy, cloud = targets.load(str(path)), targets.load("cloud")
    assert copy.hardware == cloud.hardware and copy.precision == cloud.precision and copy.batch == cloud.batch
    assert (copy.latency_grade, copy.energy_grade) == ("estimate", "estimate")
    assert "nothing yet" in dict(copy.sources)["grades"]
    assert f"{path} is a valid target" in run("check", path).output


@pytest.mark.parametrize("name", targets.names())
def test_every_target_can_be_started_from(tmp_path: Path, name: str) -> None:
    run("new", "--from", name, tmp_path / "mine.toml")
    assert targets.check(tmp_path / "mine.toml") == []
    assert targets.load(str(tmp_path / "mine.toml")).hardware == targets.load(name).hardware


def test_a_hyphen_is_standard_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    printed = run("new", "--from", "cloud", "-").stdout_bytes
    assert not list(tmp_path.iterdir())
    run("new", "--from", "cloud", "cloud.toml")
    assert printed == (tmp_path / "cloud.toml").read_bytes()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "my-chip.toml"
    path.write_text("mine")
    with pytest.raises(OutputError, match="is there already, and nothing is overwritten"):
        run("new", "--from", "edge", path)
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "kind", "expected"),
    [
        (("new", "--from", "egde", "x.toml"), TargetError, "did you mean 'edge'"),
        (("new", "--from", "edge", "x.json"), TargetError, "does not end in .toml"),
        (("new", "--from", "edge", "none/x.toml"), OutputError, "name a file in a folder that exists"),
        (("show", "egde"), TargetError, "did you mean 'edge'"),
    ],
)
def test_mistakes_of_the_words_are_named(words: tuple[str, ...], kind: type[HaqcError], expected: str) -> None:
    with pytest.raises(kind, match=expected):
        run(*words)


def test_check_names_every_mistake_with_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    changes = [
        ("clock_mhz", "clock"),
        ("rows = 8", "rows = -8"),
        ("batch = 1\n", "batch = 1\nbatch = 2\n"),
        ("buffer_words", "bufer_words"),
        ("source = \"HAQ table 2: 4", "sauce = \"HAQ table 2: 4"),
        ("= 1.04", "= 1e30"),
        ("accumulator_bits = 32", "accumulator_bits 32"),
    ]  # fmt: skip
    text = EDGE.text
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path.write_text(text)
    result = run("check", path)
    assert result.exit_code == 2
    assert [line.removeprefix(f"{path}: ").split(";")[0] for line in result.stderr.splitlines()] == [
        "line 4: key 'batch' stands already in line 3",
        "line 10: is no TOML text (Expected '=' after a key in a key/value pair)",
        "line 15: key 'clock' in [array] lacks its unit",
        "line 16: key 'rows' in [array] must be greater than 0, not -8",
        "line 23: unknown key 'bufer_words' in [memory] (did you mean 'buffer_words'?)",
        "line 24: unknown key 'sauce' in [memory] (did you mean 'source'?)",
        "line 33: key 'binary_mac_energy_pj' in [energy] must be less than or equal to 1000000000, not 1e+30",
        f"haqc: {path} has 7 mistakes",
    ]


def test_the_schema_is_printed() -> None:
    assert run("schema").output.startswith("# What a target file says\n")
