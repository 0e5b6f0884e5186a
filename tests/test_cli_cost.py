"""``haqc cost`` from its words to its output."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from haqc.cli import app
from haqc.errors import HaqcError, ModelError, PolicyError, TargetError
from tests.small_model import draw, small_model

MODEL = str(Path(__file__).resolve().parents[1] / "models" / "digits.onnx")


def run(*words: str) -> str:
    """Gives what the command prints; raises what it raises."""
    result = CliRunner().invoke(app, ["cost", MODEL, *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_one_target_is_an_object_and_several_are_a_list() -> None:
    single = json.loads(run("--target", "edge", "--format", "json"))
    several = json.loads(run("--compare", "edge, cloud", "--format", "json"))
    assert [content["target"] for content in several] == ["edge", "cloud"]
    assert several[0] == single


def test_targets_side_by_side() -> None:
    shown = run("--compare", "edge,cloud", "--bits", "4/6")
    assert "edge: latency exact, energy estimate" in shown
    rows = list(csv.DictReader(io.StringIO(run("--compare", "edge,cloud", "--format", "csv"))))
    assert {row["target"] for row in rows} == {"edge", "cloud"}
    assert len(rows) == 2 * 15


def test_physical_mode_costs_more() -> None:
    words = ("--target", "edge", "--format", "json", "--mode")
    modes = [json.loads(run(*words, mode)) for mode in ("reference", "physical")]
    assert modes[1]["total"]["latency_s"] > modes[0]["total"]["latency_s"]
    assert modes[1]["total"]["energy_j"] > modes[0]["total"]["energy_j"]
    for reference, physical in zip(modes[0]["layers"], modes[1]["layers"], strict=True):
        assert physical["cycles"] > reference["cycles"]
    listed = [entry["op"] for entry in modes[0]["not_modelled"]["operators"]]
    assert sorted(listed) == ["Add", "ReduceMean"]
    assert modes[1]["not_modelled"]["operators"] == []


@pytest.mark.parametrize(
    ("words", "kind", "expected"),
    [
        ((), TargetError, "give either --target"),
        (("--target", "edge", "--compare", "cloud"), TargetError, "give either --target"),
        (("--compare", "edge,,cloud"), TargetError, "unknown target ''"),
        (("--compare", "edge,clod"), TargetError, "did you mean 'cloud'"),
        (("--target", "edge", "--mode", "phisical"), TargetError, "did you mean 'physical'"),
        (("--target", "edge", "--format", "xml"), PolicyError, "unknown format"),
    ],
)
def test_mistakes_are_named(words: tuple[str, ...], kind: type[HaqcError], expected: str) -> None:
    with pytest.raises(kind, match=expected):
        run(*words)


def test_a_pair_the_chip_lacks_is_raised_where_the_input_forces_it() -> None:
    content = json.loads(run("--target", "a100", "--bits", "4", "--format", "json"))
    widths = [(layer["weight_bits"], layer["activation_bits"]) for layer in content["layers"]]
    assert widths == [(8, 8)] + [(4, 4)] * (len(widths) - 1)
    with pytest.raises(PolicyError, match=r"cannot have 3 bits; allowed are \(1, 4, 8\)"):
        run("--target", "a100", "--bits", "3")


def test_an_open_length_is_bound_by_a_shape_or_asked_for(tmp_path: Path) -> None:
    model = tmp_path / "m.onnx"
    text = """(float[batch,length,8] x, float[batch,length,8] y) => (float[batch,length,4] z) {
        s = Add (x, y)
        z = MatMul (s, w)
    }"""
    model.write_bytes(small_model(text, {"w": draw(8, 4)}).SerializeToString())

    def price(*words: str) -> str:
        command = ["cost", str(model), "--target", "edge", "--format", "json", *words]
        return CliRunner().invoke(app, command, catch_exceptions=False).output

    assert json.loads(price("--shape", "x=1,16,8"))["layers"][0]["macs"] == 16 * 8 * 4
    with pytest.raises(ModelError, match=r"'length' .axis 1.; state what you mean, for example --shape x=1,128,8"):
        price()
    with pytest.raises(ModelError, match="the symbol 'length', is 17, but 16 in another place"):
        price("--shape", "x=1,16,8", "--shape", "y=1,17,8")
