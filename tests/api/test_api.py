"""The Python interface does what the commands do."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

import haqc
from haqc.api.options import Options
from haqc.errors import BudgetError, DataError, InfeasibleBudget, ModelError, PolicyError
from haqc.request import Request
from tests.command_line import inline_jobs

pytest_plugins = ["tests.command_line"]

ROOT = Path(__file__).resolve().parents[2]
DIGITS = ROOT / "models" / "digits.onnx"
SHORT = Options(finetune=0, reconstruct=0, evaluations=2, allocators=("uniform", "integer"), jobs=1)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> haqc.Result:
    with inline_jobs():
        return haqc.compile(DIGITS, "edge", "energy=0.5", out=tmp_path_factory.mktemp("api") / "out", **SHORT)


def test_a_compile_gives_what_its_folder_holds(compiled: haqc.Result) -> None:
    report = json.loads((compiled.folder / "report.json").read_text())
    assert compiled.report == report
    assert {"model.onnx", "policy.json", "report.json", "layers.csv", "search.jsonl"} <= set(compiled.paths)
    assert compiled.model_path.is_file()
    policy = json.loads((compiled.folder / "policy.json").read_text())
    assert compiled.policy == {row["name"]: (row["weight_bits"], row["activation_bits"]) for row in policy["layers"]}
    assert compiled.cost["energy_j"] <= 0.5 * compiled.baseline["energy_j"]
    assert compiled.accuracy["emitted"] == report["accuracy"]["emitted"]
    assert [row["name"] for row in compiled.layers()] == list(compiled.policy)


@pytest.mark.slow
def test_it_says_nothing_unless_asked(compiled: haqc.Result, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    haqc.compile(DIGITS, "edge", {"energy": 0.5}, out=tmp_path / "out", **SHORT)
    assert capfd.readouterr() == ("", "")


def test_a_loaded_result_equals_the_one_that_was_given(compiled: haqc.Result) -> None:
    assert haqc.load(compiled.folder) == compiled
    with pytest.raises(DataError, match=r"no report\.json"):
        haqc.load(compiled.folder.parent)


def test_tables_show_every_layer_and_escape_its_name(compiled: haqc.Result) -> None:
    page, text = compiled._repr_html_(), str(compiled)
    assert all(name in page and name in text for name in compiled.policy)
    rows = [dict(compiled.report["layers"][0]) | {"name": "<script>alert(1)</script>"}]
    hostile = haqc.Result(compiled.folder, dict(compiled.report) | {"layers": rows})
    assert "<script>" not in hostile._repr_html_()
    assert "&lt;script&gt;" in hostile._repr_html_()


@pytest.mark.slow
@pytest.mark.usefixtures("jobs")
def test_arrays_are_taken_in_place_of_a_file(tmp_path: Path) -> None:
    with np.load(ROOT / "models" / "digits.npz") as archive:
        arrays = {name: archive[name] / np.float32(16) if name.startswith("x") else archive[name] for name in archive}
    result = haqc.compile(DIGITS, "edge", ["energy=0.5", "size=0.9"], data=arrays, out=tmp_path / "out", **SHORT)
    assert result.accuracy["count"] > 0
    assert "agreement" not in result.accuracy["metric"]


@pytest.mark.slow
def test_costs_are_those_of_the_command() -> None:
    priced = haqc.cost(DIGITS, "edge", bits=(4, 8))
    command = [sys.executable, "-m", "haqc", "cost", str(DIGITS), "-t", "edge", "--bits", "4/8", "--format", "json"]
    printed = subprocess.run(command, capture_output=True, check=True, cwd=ROOT).stdout
    assert json.loads(json.dumps(priced.to_json())) == json.loads(printed)
    assert all(row.layer.name in str(priced) and row.layer.name in priced._repr_html_() for row in priced.layers)


def test_a_saved_policy_is_priced(compiled: haqc.Result) -> None:
    priced = haqc.cost(DIGITS, "edge", policy=compiled.folder / "policy.json")
    assert priced.total.energy_j == pytest.approx(compiled.cost["energy_j"], rel=1e-12)
    with pytest.raises(PolicyError, match="cannot be read"):
        haqc.cost(DIGITS, "edge", policy=compiled.folder / "nothing.json")


def test_options_are_the_fields_of_a_request() -> None:
    own = {"model", "target", "demands", "out", "data", "sweep"}
    assert set(Options.__annotations__) == {field.name for field in fields(Request)} - own


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        (("no.onnx", "edge", "energy=0.5"), {}, ModelError, r"no\.onnx"),
        ((DIGITS, "edge", "power=0.5"), {}, BudgetError, "unknown budget metric 'power'"),
        ((DIGITS, "edge", "energy=0.5"), {"epochs": 3}, PolicyError, "there is no option 'epochs'"),
        (
            (DIGITS, "edge", "energy=0.5"),
            {"allocators": ["greedy", "annealing"]},
            PolicyError,
            "option 'allocators' cannot be 'annealing'; there are uniform, greedy, integer",
        ),
        ((DIGITS, "edge", "energy=0.5"), {"device": "tpu"}, PolicyError, "cannot be 'tpu'; there are cpu, cuda, auto"),
        ((DIGITS, "edge", "energy=0.5"), {"pins": {"*": "9/9"}}, PolicyError, "bits '9/9' are malformed"),
        ((DIGITS, "edge", "energy=0.5"), {"at_least": {"no": 4}}, PolicyError, "--at-least 'no' matches no layer"),
        ((DIGITS, "edge", "energy=0.5"), {"same_bits": "block"}, PolicyError, "--same-bits 'block' matches no layer"),
        ((DIGITS, "edge", "energy=0.5"), {"agent_from": "nowhere"}, DataError, "'nowhere' holds no agent"),
        ((DIGITS, "edge", "energy=0.5"), {"trials_from": "nowhere"}, DataError, "'nowhere' holds no trials"),
        ((DIGITS, "edge", "energy=0.5"), {"trials_from": [Path("none")]}, DataError, "'none' holds no trials"),
        ((DIGITS, "edge", "energy=0.01"), SHORT, InfeasibleBudget, "smallest"),
    ],
)
def test_mistakes_are_the_sentences_of_the_command_line(
    arguments: tuple[str, str, str], options: Options, error: type[Exception], words: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=words):
        haqc.compile(*arguments, out=tmp_path / "out", **options)


@pytest.mark.slow
def test_a_script_needs_no_guard(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        f"import haqc\nresult = haqc.compile({str(DIGITS)!r}, 'edge', 'energy=0.5', out='out', finetune=0, "
        "reconstruct=0, evaluations=2, allocators=['uniform'], jobs=2)\nprint('once', result.cost['energy_j'] > 0)\n"
    )
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("once True\n", "", 0)


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert {"compile", "cost", "load"} <= set(dir(haqc))
    with pytest.raises(AttributeError, match="no attribute 'kompile'"):
        haqc.kompile  # type: ignore[attr-defined]  # noqa: B018
