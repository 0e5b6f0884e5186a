"""The site of docs/ builds without a warning, and every page is in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("sphinx", reason="the site needs Sphinx: pip install '.[docs]'")
    pytest.importorskip("myst_parser", reason="the site needs MyST: pip install '.[docs]'")
    pytest.importorskip("furo", reason="the site needs its theme: pip install '.[docs]'")
    options = ["--quiet", "--fail-on-warning", "--keep-going", "-d", str(tmp_path / "doctrees")]
    command = [sys.executable, "-m", "sphinx", *options, str(ROOT / "docs"), str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    missing = [
        page.stem for page in (ROOT / "docs").glob("*.md") if not (tmp_path / "site" / f"{page.stem}.html").exists()
    ]
    assert missing == []
    front = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert 'class="reference internal" href="commands.html"' in front
    assert 'href="../' not in front
