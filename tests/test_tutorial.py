"""The tutorial, by its own files and commands, ends as it says."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
# A block that begins with a comment of one file name is that file; what a reader types stands behind "$ ".
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# ([\w.]+)\n")
BUDGET = 0.4


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_tutorial_ends_as_it_says(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "models", tmp_path / "models", ignore=shutil.ignore_patterns("__pycache__"))
    printed = {}
    for language, text in BLOCK.findall(TUTORIAL):
        if name := FILE.match(text):
            (tmp_path / name[1]).write_text(text, encoding="utf-8")
        elif language == "console":
            lines = [line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ ")]
            printed |= {line: type_in(line, tmp_path) for line in lines if "pip install" not in line}
    report = json.loads((tmp_path / "mine.haqc" / "report.json").read_text(encoding="utf-8"))
    assert f"--budget energy={BUDGET}" in TUTORIAL
    assert report["cost"]["policy"]["energy_j"] <= BUDGET * report["cost"]["baseline"]["energy_j"]
    assert report["verification"]["ok"]
    assert percent(printed["python train.py"]) == pytest.approx(report["accuracy"]["float"], abs=0.01)
    assert percent(printed["python run.py"]) == pytest.approx(report["accuracy"]["emitted"], abs=0.01)
    assert report["accuracy"]["emitted"] > report["accuracy"]["float"] - 2


def type_in(line: str, folder: Path) -> str:
    """Runs a line as a reader would, who has haqc installed; gives what it prints."""
    name, *words = shlex.split(line)
    command = [sys.executable, *(["-m", "haqc"] if name == "haqc" else []), *words]
    assert name in ("haqc", "python"), line
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{line}: {done.stderr}"
    return done.stdout


def percent(text: str) -> float:
    found = re.search(r"([\d.]+) %", text)
    assert found, text
    return float(found[1])
