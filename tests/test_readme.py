"""What the README tells a reader to type works, in the order in which it stands there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

# What a reader types stands behind "$ " in console blocks; the other lines of a block are what it prints.
COMMANDS = [
    line.removeprefix("$ ").strip()
    for block in re.findall(r"^```console\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
    if line.startswith("$ ")
]
HAQC_LINES = [line for line in COMMANDS if line.split()[0] == "haqc"]


def test_every_line_is_of_a_known_kind() -> None:
    assert {line.split()[0] for line in COMMANDS} <= {"haqc", "make"}


def test_every_make_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    wanted = [line.split()[1] for line in COMMANDS if line.startswith("make ")]
    assert {"demo", "test"} <= set(wanted)
    assert [name for name in wanted if not re.search(rf"^{name}:", makefile, re.MULTILINE)] == []


def test_every_link_leads_to_a_file() -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_demo_is_the_first_example() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    compiles = [line for line in HAQC_LINES if line.startswith("haqc compile")]
    assert compiles
    assert compiles[0] in makefile


# One test for all lines, because later ones read the folder that the first one writes.
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_command_line_runs(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "models", tmp_path / "models", ignore=shutil.ignore_patterns("__pycache__"))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    assert len(HAQC_LINES) >= 4
    for line in HAQC_LINES:
        done = subprocess.run(
            [sys.executable, "-m", *shlex.split(line)],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{line}\nexit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert done.stdout.strip(), f"'{line}' printed nothing"
