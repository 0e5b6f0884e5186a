"""Figures for papers: they show the report's own figures, and the same report gives the same bytes."""

from __future__ import annotations

import importlib.util
import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from haqc.errors import DataError, OutputError
from haqc.figures import FORMATS, KINDS, draw, draw_sweep
from haqc.figures.cost import draw_cost
from haqc.figures.front import draw_front, front
from haqc.figures.policy import draw_policy
from haqc.figures.roofline import draw_roofline
from haqc.figures.swept import draw_swept
from tests.passes.report_pages import Report, deep, hostile, resnet8

if TYPE_CHECKING:
    from tests.command_line import CommandLine, Compiled

pytest_plugins = ["tests.command_line"]

MAGIC = {"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF"}


@pytest.fixture
def axes() -> Any:
    figure = pytest.importorskip("matplotlib.figure", reason="needs matplotlib: pip install '.[plot]'")
    return figure.Figure().add_subplot()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_report_gives_the_same_bytes(axes: Any, kind: str) -> None:
    for file_format in FORMATS:
        first = draw(resnet8(), kind, file_format)
        assert first.startswith(MAGIC[file_format])
        assert draw(resnet8(), kind, file_format) == first


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", [deep, hostile])
def test_names_and_sizes_break_no_figure(axes: Any, kind: str, make: Any) -> None:
    content: Report = make()
    content["layers"] = content["layers"][:150]
    picture = draw(content, kind, "svg")
    assert b"<script" not in picture and b"onerror=alert(1)>" not in picture
    ET.fromstring(picture)  # well formed


def test_a_few_layers_are_named(axes: Any) -> None:
    content = hostile()
    content["layers"] = content["layers"][:9]
    words = "".join(ET.fromstring(draw(content, "policy", "svg")).itertext())
    assert ">alert(1)</script>" in words and "[2J\\u0000" in words
    assert not {"\u202e", "\x1b"} & set(words)


def test_bars_are_as_high_as_bits(axes: Any) -> None:
    content = deep()
    draw_policy(axes, content)
    up = {round(bar.get_x() + bar.get_width() / 2): bar.get_height() for bar in axes.patches if bar.get_height() > 0}
    down = {round(bar.get_x() + bar.get_width() / 2): bar.get_height() for bar in axes.patches if bar.get_height() < 0}
    assert [up[place] for place in range(150)] == [layer["weight_bits"] for layer in content["layers"]]
    assert [-down[place] for place in range(150)] == [layer["activation_bits"] for layer in content["layers"]]


def test_stacks_add_up_to_the_energy(axes: Any) -> None:
    content = resnet8()
    draw_cost(axes, content)
    tops: dict[tuple[int, bool], float] = {}
    for bar in axes.patches:
        middle = bar.get_x() + bar.get_width() / 2
        place = (round(middle), middle > round(middle))
        tops[place] = max(tops.get(place, 0.0), bar.get_y() + bar.get_height())
    for number, layer in enumerate(content["layers"]):
        assert tops[number, True] == pytest.approx(layer["energy_j"], rel=1e-9)
        assert tops[number, False] == pytest.approx(layer["baseline"]["energy_j"], rel=1e-9)


def test_costs_without_energy(axes: Any) -> None:
    content = resnet8()
    for layer in content["layers"]:
        for entry in (layer, layer["baseline"]):
            entry |= {"energy_j": None, "latency_s": None, "energy_parts_j": {}, "moved_bytes": {}}
    draw_cost(axes, content)
    assert axes.get_ylabel() == "weights, packed"
    with pytest.raises(DataError, match="no latencies"):
        draw_roofline(axes, content)
    with pytest.raises(DataError, match="no roofs"):
        draw_roofline(axes, content | {"roofline": None})


def test_layers_lie_where_they_compute_and_move(axes: Any) -> None:
    content = resnet8()
    draw_roofline(axes, content)
    before, after = (collection.get_offsets().tolist() for collection in axes.collections)
    for points, entry_of in ((before, lambda y: y["baseline"]), (after, lambda y: y)):
        for (x, y), layer in zip(points, content["layers"], strict=True):
            entry = entry_of(layer)
            moved = entry["moved_bytes"]["activations"] + entry["moved_bytes"]["weights"]  # writing is free on edge
            assert y == pytest.approx(layer["macs"] / entry["latency_s"], rel=1e-9)
            assert x == pytest.approx(layer["macs"] / moved, rel=1e-9)
            assert y <= 1.000001 * x * content["roofline"]["bandwidth_bytes_per_s"]


def test_the_front_and_the_budget(axes: Any) -> None:
    content = resnet8()
    draw_front(axes, content)
    points = {(trial["cost"]["energy_j"], trial["accuracy"]) for trial in content["trials"]}
    drawn = {tuple(point) for group in axes.collections for point in group.get_offsets().tolist()}
    assert points <= drawn
    steps, limit = axes.lines
    kept = list(zip(*steps.get_data(), strict=True))
    assert set(kept) <= points and kept == sorted(kept)
    assert all(any(x <= cost and y >= score for x, y in kept) for cost, score in points)
    assert list(limit.get_xdata()) == [content["cost"]["budget"][0]["limit"]] * 2
    with pytest.raises(DataError, match="no trial with a score"):
        draw_front(axes, content | {"trials": []})


def test_the_front_of_a_metric_where_less_is_better() -> None:
    assert front([(1, 5.0), (2, 6.0), (2, 4.0), (3, 4.0)], higher_is_better=False) == [(1, 5.0), (2, 4.0)]


FRONT = {
    "metric": "latency",
    "target": {"batch": 16},
    "accuracy": {"metric": "top-1", "unit": "%", "data_free": False, "labels": True, "reference": 91.0},
    "points": [
        {"feasible": False, "cost": None, "accuracy": None, "allocator": None},
        {
            "feasible": True,
            "cost": {"latency_s": 2e-3},
            "accuracy": {"emitted": 80.0, "standard_error": 0.5},
            "allocator": "ddpg",
        },
        {
            "feasible": True,
            "cost": {"latency_s": 3e-3},
            "accuracy": {"emitted": 90.0, "standard_error": None},
            "allocator": "</script>",
        },
    ],
}


def test_a_sweep_is_drawn_at_its_costs_and_scores(axes: Any) -> None:
    draw_swept(axes, FRONT)
    marks = [tuple(place) for group in axes.collections for place in getattr(group, "get_offsets", list)()]
    assert {(2e-3, 80.0), (3e-3, 90.0)} <= {(float(x), float(y)) for x, y in marks}
    assert any(list(line.get_ydata()) == [91.0, 91.0] for line in axes.lines)
    assert axes.get_xlabel() == "latency of one batch of 16"
    first = draw_sweep(FRONT, "svg")
    assert draw_sweep(FRONT, "svg") == first and b"</script>" not in first
    with pytest.raises(DataError, match="no point with a measured file"):
        draw_swept(axes, FRONT | {"points": FRONT["points"][:1]})  # type: ignore[index]


def test_without_matplotlib_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(OutputError, match=r"needs? matplotlib, which is not installed; install it with pip"):
        draw(resnet8(), "policy", "svg")


def _folder(path: Path, content: Report) -> Path:
    (path / "report.json").write_text(json.dumps(content), encoding="utf-8")
    return path


def test_the_command_writes_one_file(
    axes: Any, haqc: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _folder(tmp_path, resnet8())
    monkeypatch.chdir(tmp_path)
    assert haqc("plot", folder).out == ""
    assert (tmp_path / "policy.svg").read_bytes() == draw(resnet8(), "policy", "svg")
    assert haqc("plot", folder, "--kind", "front", "--out", "f.PDF").code == 0
    assert (tmp_path / "f.PDF").read_bytes().startswith(b"%PDF")
    assert haqc("plot", folder, "--kind", "cost", "--out", "-").out.encode() == draw(resnet8(), "cost", "svg")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.PDF", "policy.svg", "report.json"]


def test_what_the_command_refuses(axes: Any, haqc: CommandLine, tmp_path: Path) -> None:
    folder = _folder(tmp_path, resnet8())
    assert "let it end with .svg, .png, .pdf" in haqc("plot", folder, "--out", "a.jpeg").sentence(2)
    assert "cannot be written" in haqc("plot", folder, "--out", tmp_path / "no" / "a.svg").sentence(2)
    assert "holds no report.json" in haqc("plot", tmp_path / "no").sentence(2)
    broken = resnet8()
    del broken["layers"][0]["weight_bits"]
    assert "is no report as haqc writes them" in haqc("plot", _folder(tmp_path, broken), "--out", "-").sentence(2)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_report_of_this_version(axes: Any, haqc: CommandLine, compiled: Compiled, kind: str, tmp_path: Path) -> None:
    assert haqc("plot", compiled.folder, "--kind", kind, "--out", tmp_path / "a.svg").code == 0
    assert (tmp_path / "a.svg").stat().st_size > 5000
