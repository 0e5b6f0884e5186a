"""The terminal: 80 columns, 40 lines, plain text in a pipe, and names that steer nothing."""

from __future__ import annotations

import copy
import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType

from haqc.console import columns, comparison, cost_comparison, cost_table, layer_table, quantity, show, summary
from haqc.console.story import _height

EXAMPLE = Path(__file__).parent / "passes" / "report_example.json"
TENSORFLOW = "model/block_1/expand/Conv2D;model/block_1/bn/FusedBatchNormV3;" * 4
HOSTILE = (
    "<script>alert(1)</script>",
    "[bold red]markup[/] [link=file:x]y[/link] [/nothing]",
    ":smile: =cmd() \"'",
    "\x1b[2J\x1b]0;title\x07\r\n\u202eabc",
    "\N{GRINNING FACE}\u6f22\u5b57" * 60,
    "a" * 300,
    TENSORFLOW,
)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def content() -> dict[str, Any]:
    return json.loads(EXAMPLE.read_text(encoding="utf-8"))


def lines(renderable: RenderableType, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Gives what ``show`` prints into a pipe, line by line."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", stream)
    show(renderable)
    monkeypatch.undo()
    stream.seek(0)
    return stream.read().splitlines()


def many(content: dict[str, Any], count: int, name: str = "") -> dict[str, Any]:
    """Gives the report with ``count`` layers of rising energy."""
    layer = content["layers"][1]
    content["layers"] = [layer | {"name": name or f"layer{i}", "energy_j": 1e-6 * (i + 1)} for i in range(count)]
    return content


def test_layer_table_gives_bits_figures_and_errors(content: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    shown = lines(layer_table(content["layers"]), monkeypatch)
    assert shown[0].split() == ["Layer", "W/A", "MACs", "Latency", "Energy", "Share", "Weights", "Error"]
    assert " ".join(shown[2].split()) == "conv1 8/8 118 k 15.1 µs 8.25 µJ 33.0 % 150 B n/a"
    assert " ".join(shown[4].split()) == "conv3 2/2 600 73.8 µs 11.0 µJ 44.0 % 61 B 8.4e-05"
    assert len(shown) == 5


def test_layer_table_without_errors_has_no_column_of_them(
    content: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for layer in content["layers"]:
        del layer["output_error"]
    assert "Error" not in lines(layer_table(content["layers"]), monkeypatch)[0]


@pytest.mark.parametrize("name", HOSTILE)
def test_tables_fit_80_columns(content: dict[str, Any], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    widest = {"macs": 999_400_000_000, "energy_j": 0.9991, "latency_s": 0.9991, "weight_bytes": 1023 * 1024}
    content["layers"] = [layer | widest | {"name": name, "output_error": 1.5e-05} for layer in content["layers"]]
    shown = lines(layer_table(content["layers"]), monkeypatch)
    assert len(shown) == 5
    assert max(cell_len(line) for line in shown) <= 80
    last = "1.5e-05" if shown[0].endswith("Error") else "KiB"
    assert all(line.endswith(last) for line in shown[2:])


def test_errors_cost_no_name_a_letter(content: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []
    for letters in (10, 20, 24, 28, 40):
        content["layers"][2]["name"] = "n" * letters
        title, _, *rows = lines(layer_table(content["layers"]), monkeypatch)
        assert max(map(cell_len, (title, *rows))) <= 80
        shown.append(("Error" in title, "n" * letters in rows[2]))
    # With the column while names fit beside it, then whole names without it, then shortened ones.
    assert shown == sorted(shown, reverse=True)
    assert set(shown) == {(True, True), (False, True), (False, False)}


def test_long_names_keep_both_ends(content: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    content["layers"][0]["name"] = TENSORFLOW
    line = lines(layer_table(content["layers"]), monkeypatch)[2]
    assert re.match(r"model/bl[\w/;]*\.\.\.[\w/;]*NormV3;  8/8 ", line)
    assert cell_len(line) == 80


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_neither_markup_nor_control(
    content: dict[str, Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content["model"]["name"] = content["target"]["name"] = content["accuracy"]["data"] = name
    content["layers"][0]["name"] = name
    stream = Terminal()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("COLUMNS", "80")
    show(summary(content, Path(name.replace("\x00", ""))))
    text = stream.getvalue()
    assert "\x1b[2J" not in text
    assert "\x1b]" not in text
    assert not {"\x07", "\r", "\u202e"} & set(text)
    if name.startswith("[bold"):
        assert "[bold red]" in text


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("count", [1, 24, 25, 26, 300])
def test_summary_fits_40_lines_of_80(
    content: dict[str, Any], name: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(content, count, name)
    content["accuracy"] |= {"data_free": True, "data": name}
    content["model"]["name"] = content["target"]["name"] = name
    content["cost"]["budget"] *= 2
    shown = lines(summary(content, Path("out/digits.haqc")), monkeypatch)
    assert len(shown) <= 40
    assert max(cell_len(line) for line in shown) <= 80
    assert shown[-1] == "Report: out/digits.haqc/report.html"


def test_summary_tells_the_whole_story(content: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n".join(lines(summary(content, Path("out")), monkeypatch))
    assert text.startswith("digits on edge, batch 1: 3 layers, 358 k MACs\n\nLayer")
    assert "Top-1 accuracy on 1,437 held-out samples of digits.npz:" in text
    assert "emitted file 96.59 % (95 %: 95.52 % to 97.41 %, standard error 0.48 points)" in text
    assert "-0.35 points (paired standard error 0.21 points) against 96.94 %" in text
    assert "float 96.17 %, float fine-tuned 96.94 %, mirror 96.52 %" in text
    assert "Budget energy=0.5: 25.0 µJ of 33.1 µJ (75.5 %), met" in text
    assert "integer program n/a, random 95.26 %, ddpg 96.11 % (emitted)" in text.replace("\n", " ")
    assert "Verified: the mirror's codes in onnxruntime, unoptimised; onnxruntime, defaults" in text
    assert text.endswith("Report: out/report.html")


def test_summary_of_25_layers_has_them_all(content: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    shown = lines(summary(many(content, 25), Path("out")), monkeypatch)
    assert sum(line.startswith("layer") for line in shown) == 25


def test_summary_of_more_has_the_dearest_15_in_order(content: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    shown = lines(summary(many(content, 26), Path("out")), monkeypatch)
    assert [line.split()[0] for line in shown if line.startswith("layer")] == [f"layer{i}" for i in range(11, 26)]
    assert all(" 23.0 %" in line for line in shown if line.startswith("layer"))
    assert "The 15 layers that take the most energy; 11 more stand in layers.csv." in shown


def test_summary_of_what_has_no_price_has_the_largest_15(
    content: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = many(content, 26)
    for index, layer in enumerate(layers["layers"]):
        layer |= {"energy_j": None, "latency_s": None, "energy_share": None, "weight_bytes": 100 - index}
    shown = lines(summary(layers, Path("out")), monkeypatch)
    assert [line.split()[0] for line in shown if line.startswith("layer")] == [f"layer{i}" for i in range(15)]
    assert "The 15 layers that take the most bytes; 11 more stand in layers.csv." in shown


def test_summary_says_loudly_what_is_no_accuracy(content: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    content["accuracy"] |= {"labels": False, "metric": "agreement"}
    text = "\n".join(lines(summary(content), monkeypatch))
    assert "AGREEMENT WITH THE FLOAT MODEL, NOT ACCURACY: THE DATA HAS NO LABELS" in text
    assert "Agreement with the float model on 1,437 held-out" in text
    assert "ccuracy on" not in text
    assert "Report:" not in text


def test_summary_says_what_failed(content: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    content["cost"]["budget"][0]["met"] = False
    content["verification"]["consumers"][1] |= {"ok": False, "first_difference": "layer conv2, value 7"}
    content["verification"]["accuracy"]["ok"] = False
    text = "\n".join(lines(summary(content), monkeypatch))
    assert "(75.5 %), NOT MET" in text
    assert "NOT VERIFIED in onnxruntime, defaults: layer conv2, value 7" in text
    assert "NOT VERIFIED: mirror 96.52 %, emitted file 96.59 %, tolerance 0.42 points" in text


def test_cost_table_has_every_layer_and_the_sums(content: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    many(content, 60)
    for layer in content["layers"]:
        del layer["output_error"], layer["energy_share"]
    cost = {
        "model": "digits",
        "target": "cloud",
        "batch": 16,
        "layers": content["layers"],
        "total": content["cost"]["policy"],
        "baseline": content["cost"]["baseline"],
        "mode": "reference",
        "grades": {"latency": "exact", "energy": "estimate"},
        "operations": [{"latency_s": 1e-6, "energy_j": 2e-6, "moved_bytes": 3.0}] * 2,
        "not_modelled": {"share_of_bytes": 0.05, "operators": [{"op": "Softmax", "count": 2}]},
    }
    shown = lines(cost_table(cost), monkeypatch)
    assert shown[0] == "digits on cloud, batch 16"
    assert sum(line.startswith("layer") for line in shown) == 60
    assert max(cell_len(line) for line in shown) <= 80
    assert ["energy", "25.0", "µJ", "66.2", "µJ", "37.7", "%"] in [line.split() for line in shown]
    assert "one batch" in shown[-4]
    assert shown[-3:] == [
        "Mode reference: latency exact, energy estimate.",
        "Beside the layers, in the totals: 2 operators, 2.00 µs, 4.00 µJ, 6 B moved.",
        "Not modelled: Softmax (2), 5.0 % of the bytes.",
    ]
    cost["not_modelled"]["share_of_bytes"] = 0.01
    assert "Not modelled" not in "".join(lines(cost_table(cost), monkeypatch))


def test_what_binds_a_layer_has_a_column(content: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for layer, bound in zip(content["layers"], ("compute", "activations", "weights"), strict=True):
        layer["bound"] = bound
    shown = lines(layer_table(content["layers"]), monkeypatch)
    assert shown[0].split()[-2:] == ["Bound", "Error"]
    assert [line.split()[-2] for line in shown[2:]] == ["compute", "data", "weights"]
    assert max(cell_len(line) for line in shown) <= 80


@pytest.mark.parametrize("count", [1, 2, 5, 6])
@pytest.mark.parametrize("name", ["edge", *HOSTILE])
def test_targets_stand_side_by_side_in_80_columns(
    content: dict[str, Any], name: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    cost = {
        "model": name,
        "target": name,
        "batch": 16,
        "layers": [layer | {"name": name} for layer in content["layers"]],
        "total": content["cost"]["policy"],
        "baseline": content["cost"]["baseline"],
        "per_inference": content["cost"]["per_inference"]["policy"],
        "grades": {"latency": "calibrated", "energy": "calibrated"},
        "not_modelled": {"share_of_bytes": 0.5, "operators": [{"op": name, "count": 2}]},
    }
    shown = lines(cost_comparison([cost] * count), monkeypatch)
    assert max(cell_len(line) for line in shown) <= 80
    assert any("Latency of each layer" in line for line in shown) == (count <= 5)
    if name == "edge":
        assert sum(line.startswith("edge  ") for line in shown) == count + (3 if count <= 5 else 0)


def test_a_pipe_gets_plain_text(content: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    shown = lines(summary(content), monkeypatch)
    assert all(line == line.rstrip() for line in shown)
    assert not {"\x1b", "─", "━", "│"} & set("".join(shown))


def test_a_terminal_gets_colour(content: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    show(summary(content))
    assert "\x1b[1m" in stream.getvalue()


def test_an_ascii_pipe_gets_replacements(content: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    content["layers"][0]["name"] = "\u6f22\u5b57"
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    show(summary(content))
    stream.seek(0)
    text = stream.read()
    assert "15.1 us" in text
    assert "\n?? " in text


def test_quantity_is_offered_here() -> None:
    assert quantity(1.23e-3, "J") == "1.23 mJ"


def test_height_is_that_of_the_printed_text(content: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    story = summary(content)
    assert _height(story) == len(lines(story, monkeypatch))


def test_a_wide_terminal_gets_more_columns(content: dict[str, Any]) -> None:
    def printed(width: int) -> list[str]:
        stream = io.StringIO()
        Console(file=stream, width=width, color_system=None).print(summary(many(content, 60, "n" * 90), None, width))
        return stream.getvalue().splitlines()

    narrow, wide = printed(80), printed(130)
    assert max(map(cell_len, narrow)) <= 80 < max(map(cell_len, wide)) <= 130
    assert len(wide) <= 40
    headings = next(line for line in wide if line.startswith("Layer"))
    assert headings.count("of 8/8") == 3 and "of 8/8" not in next(y for y in narrow if y.startswith("Layer"))


def test_the_columns_of_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert columns() == 80
    for wide, expected in ((60, 80), (132, 132), (400, 160)):
        monkeypatch.setattr(sys, "stdout", Terminal())
        monkeypatch.setenv("COLUMNS", str(wide))
        assert columns() == expected


# Two reports side by side.


def test_two_reports_side_by_side(content: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    second = copy.deepcopy(content)
    second["accuracy"]["emitted"] = 95.59
    second["cost"]["per_inference"]["policy"]["energy_j"] = content["cost"]["per_inference"]["policy"]["energy_j"] / 2
    second["cost"]["budget"][0]["met"] = False
    second["verification"]["ok"] = False
    second["layers"][1]["weight_bits"] = 2
    shown = lines(comparison(content, second, ("a.haqc", "b.haqc")), monkeypatch)
    assert max(map(cell_len, shown)) <= 80
    text = " ".join(" ".join(shown).split())
    assert "A: a.haqc: digits on edge, energy=0.5, size=2KiB B: b.haqc" in text
    assert "emitted file 96.59 % 95.59 % -1.00 points" in text
    assert "95.52 to 97.41 % 94.40 to 96.54 %" in text
    assert "energy, one inference 25.0 µJ (37.7 %) 12.5 µJ (18.9 %) -50.0 %" in text
    assert "budget met NOT MET verification equal NOT EQUAL found by ddpg ddpg" in text
    assert "1 of 3 layers have other widths; figures of one inference:" in text
    assert "conv2 4/3 2/3" in text


def test_layers_are_compared_by_inference(content: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    second = copy.deepcopy(content)
    second["target"]["batch"] = 10
    second["layers"][1] |= {"weight_bits": 2, "energy_j": content["layers"][1]["energy_j"] * 10}
    text = " ".join(" ".join(lines(comparison(content, second, ("a", "b")), monkeypatch)).split())
    assert "conv2 4/3 2/3 5.75 µJ 5.75 µJ" in text
    assert "The batches differ" in text


@pytest.mark.parametrize(
    ("block", "change"),
    [
        ("accuracy", {"data": "other.npz"}),
        ("accuracy", {"metric": "top-5"}),
        ("provenance", {"digests": {"data": "x"}}),
    ],
)
def test_scores_of_other_data_are_not_compared(
    content: dict[str, Any], block: str, change: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    second = copy.deepcopy(content)
    second[block] |= change
    text = " ".join(" ".join(lines(comparison(content, second, ("a", "b")), monkeypatch)).split())
    assert "so they are not compared" in text
    assert "emitted file 96.59 % 96.59 % n/a" in text


def test_other_layers_are_not_compared(content: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    second = copy.deepcopy(content)
    second["layers"].pop()
    text = "\n".join(lines(comparison(content, second, ("a", "b")), monkeypatch))
    assert "The models have different layers, so layers are not compared." in text


@pytest.mark.parametrize("name", HOSTILE)
def test_a_comparison_fits_80_columns_whatever_the_names(
    content: dict[str, Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = many(content, 60, name)
    for block in ("model", "target"):
        content[block]["name"] = name
    second = copy.deepcopy(content)
    for layer in second["layers"]:
        layer["weight_bits"] = 7
    shown = lines(comparison(content, second, (name, name)), monkeypatch)
    assert max(map(cell_len, shown)) <= 80
    assert len(shown) < 60
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202e]", "".join(shown))


def test_a_layer_in_float_shows_no_widths(content: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    content["layers"][1]["float"] = "kept in float by 'x'"
    row = lines(layer_table(content["layers"]), monkeypatch)[3]
    assert content["layers"][1]["name"][:4] in row
    assert " float " in row and "/" not in row
