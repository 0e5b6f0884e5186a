"""Cases are the same for the same seed, and a short campaign passes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.cases import make

ROOT = Path(__file__).resolve().parents[2]
QUICK = ("target", "data", "line")
"""Kinds that need neither a compile nor ONNX's cases."""


@pytest.mark.parametrize("kind", QUICK)
def test_the_same_seed_makes_the_same_case(kind: str) -> None:
    assert [make(3, index, (kind,)) for index in range(5)] == [make(3, index, (kind,)) for index in range(5)]
    assert make(3, 0, (kind,)) != make(4, 0, (kind,))


@pytest.mark.slow
def test_a_short_campaign_passes() -> None:
    words = ["-m", "tests.fuzz", "--cases", "60", "--minutes", "4", "--seed", "0"]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = re.match(r"(\d+) cases \((\d+) not made\)", done.stdout)
    assert counts is not None
    assert sum(map(int, counts.groups())) == 60
    assert int(counts[1]) > 50
