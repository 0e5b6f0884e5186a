"""The wheel, built through the source distribution and installed elsewhere, holds what it must and runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]

# What a build reads; the copy is built, so that nothing is written into the working tree.
BUILT_FROM = ("haqc", "passes", "targets", "pyproject.toml", "README.md", "LICENSE")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.egg-info")

pytestmark = pytest.mark.slow


def run(command: list[str], folder: Path, **environment: str) -> str:
    """Runs a command in a folder and gives what it printed."""
    done = subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def expected_files() -> set[str]:
    """Names in the wheel: every package's own sources, and the data files that pyproject.toml names."""
    names = set()
    for package in SETUPTOOLS["packages"]:
        folder = ROOT / package.replace(".", "/")
        for pattern in ("*.py", *SETUPTOOLS["package-data"].get(package, [])):
            files = (path for path in folder.glob(pattern) if path.is_file())
            names.update(f"{package.replace('.', '/')}/{path.relative_to(folder).as_posix()}" for path in files)
    return names


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source distribution, built from a copy of the sources."""
    copy = tmp_path_factory.mktemp("sources") / "haqc"
    copy.mkdir()
    for name in BUILT_FROM:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=LEFT_OUT)
        else:
            shutil.copy2(ROOT / name, copy / name)
    out = tmp_path_factory.mktemp("dist")
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(copy)], out)
    assert len(list(out.glob("*.tar.gz"))) == 1
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but the installed wheel."""
    folder = tmp_path_factory.mktemp("installed")
    run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-index",
            "--no-deps",
            "--target",
            str(folder),
            str(wheel),
        ],
        folder,
    )
    return folder


def test_the_wheel_holds_exactly_the_packages(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == expected_files()


def test_the_wheel_carries_licence_and_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {name.partition(".dist-info/")[2]: name for name in archive.namelist() if ".dist-info/" in name}
        assert "licenses/LICENSE" in inside
        assert "haqc = haqc.cli:main" in archive.read(inside["entry_points.txt"]).decode()
        assert "License-Expression: Apache-2.0" in archive.read(inside["METADATA"]).decode()


def test_the_installed_package_is_whole(installed: Path, tmp_path: Path) -> None:
    code = "import haqc, haqc.targets as t; print(haqc.__file__); print(t.__file__); print(*t.names())"
    package, targets, names = run([sys.executable, "-c", code], tmp_path, PYTHONPATH=str(installed)).splitlines()
    assert Path(package).is_relative_to(installed)
    assert Path(targets).is_relative_to(installed)
    assert sorted(names.split()) == sorted(path.stem for path in (ROOT / "targets").glob("*.toml"))


def test_the_installed_command_runs(installed: Path, tmp_path: Path) -> None:
    help_text = run([sys.executable, "-m", "haqc", "--help"], tmp_path, PYTHONPATH=str(installed))
    assert "compile" in help_text
