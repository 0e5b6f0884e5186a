"""What every test shares: one thread for each numerical library, and the data beside the repository."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

# Thread pools read these when the libraries are first loaded, so they stand before anything that loads one. Two
# workers with a pool each would fight over the cores, and sums over threads differ from run to run.
for _pool in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_pool] = "1"

import gc  # noqa: E402
import shutil  # noqa: E402
import tempfile  # noqa: E402

import numpy as np  # noqa: E402
import pytest  # noqa: E402

CACHE = pytest.StashKey[str]()
ROOT = Path(__file__).resolve().parents[1]


def pytest_configure(config: pytest.Config) -> None:
    """Gives every process of a run a cache folder of its own, so that no test reads what another version kept."""
    os.environ["XDG_CACHE_HOME"] = config.stash[CACHE] = tempfile.mkdtemp(prefix="haqc-cache-")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Removes that folder."""
    shutil.rmtree(config.stash.get(CACHE, ""), ignore_errors=True)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[object]:
    """Keeps the collector of garbage from the millions of objects that are loaded once, and stay."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begins with what may take longest, so that no worker is left with it at the end."""
    items.sort(key=_limit_s, reverse=True)  # stable: what shares fixtures stays together


def _limit_s(item: pytest.Item) -> float:
    mark = item.get_closest_marker("timeout")
    return 0.0 if mark is None else float(mark.args[0])


@pytest.fixture
def rng() -> np.random.Generator:
    """Gives each test the same draws, whatever ran before it."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the repository; the test is skipped where there is none."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs ../shared/data, which is not beside this repository")
    return folder
