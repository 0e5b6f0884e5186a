"""The page of ``haqc inspect``: 80 columns, and names that steer nothing."""

from __future__ import annotations

import dataclasses
import io
import json
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len
from typer.testing import CliRunner

from haqc.cli import app
from haqc.console import show
from haqc.inspection import Fixed, Inspection, Obstacle
from haqc.inspectview import inspection
from haqc.survey import survey
from tests.test_survey import DIGITS, strange

HOSTILE = (
    "<script>alert(1)</script>",
    "[bold red]markup[/] [link=file:x]y[/link] [/nothing]",
    "\x1b[2J\x1b]0;title\x07\r\n\u202eabc",
    "\N{GRINNING FACE}\u6f22\u5b57" * 60,
    "a" * 300,
    "",
)


@pytest.fixture(scope="module")
def digits() -> Inspection:
    return survey(DIGITS)


def printed(seen: Inspection, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", stream)
    show(inspection(seen))
    monkeypatch.undo()
    stream.seek(0)
    return stream.read().splitlines()


def named(seen: Inspection, name: str) -> Inspection:
    """The inspection with a name in every place where a file could have put it."""
    return dataclasses.replace(
        seen,
        source=dataclasses.replace(
            seen.source, name=name, file=name, producer=name, external=((name, 5),), opsets={name: 1}
        ),
        remarks=(name,),
        inputs=tuple(dataclasses.replace(port, name=name, shape=(name, 2), option=name) for port in seen.inputs),
        layers=tuple(dataclasses.replace(layer, name=name, kind="conv") for layer in seen.layers),
        agreements=tuple(dataclasses.replace(entry, layers=(name,) * 9) for entry in seen.agreements),
        fixed=(Fixed(name, name, None, name), Fixed(name, "", 8, "a reason")),
        operators=tuple(dataclasses.replace(use, op=name, domain=name) for use in seen.operators),
        obstacles=(Obstacle("cost", name), Obstacle("compile", name * 3)),
    )


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_names_of_strangers_fit_and_steer_nothing(
    digits: Inspection, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = printed(named(digits, name), monkeypatch)
    assert [line for line in lines if cell_len(line) > 80] == []
    assert all(line.isprintable() for line in lines)
    if name.isprintable() and 0 < len(name) < 30:
        assert any(name in line for line in lines)


def test_a_large_model_takes_few_lines(digits: Inspection, monkeypatch: pytest.MonkeyPatch) -> None:
    layers = tuple(dataclasses.replace(digits.layers[0], name=f"layer{i}", rows=i) for i in range(1000))
    fixed = tuple(Fixed(f"tensor{i}", "", 8, f"reason {i}") for i in range(1000))
    seen = dataclasses.replace(digits, layers=layers, fixed=fixed, inputs=digits.inputs * 1000)
    lines = printed(seen, monkeypatch)
    assert len(lines) < 150
    assert "The 30 largest layers; --json has the other 970 too." in lines


def test_the_command_prints_and_gives_json(tmp_path: Path) -> None:
    path = strange(tmp_path)
    shown = CliRunner().invoke(app, ["inspect", str(path), "-t", "edge"], catch_exceptions=False)
    assert shown.exit_code == 0
    assert "in the way of 'haqc compile':" in shown.output
    assert "RandomUniformLike" in shown.output
    content = json.loads(CliRunner().invoke(app, ["inspect", str(path), "--json"], catch_exceptions=False).output)
    assert content["verdict"]["compile"] is False
    assert "cost" not in content
