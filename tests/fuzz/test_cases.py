"""Cases are the same for the same seed, and a short campaign passes."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto

from tests.fuzz.cases import make
from tests.fuzz.initialisers import change_values, recast

ROOT = Path(__file__).resolve().parents[2]
QUICK = ("target", "data", "line")
"""Kinds that need neither a compile nor ONNX's cases."""


@pytest.mark.parametrize("kind", QUICK)
def test_the_same_seed_makes_the_same_case(kind: str) -> None:
    assert [make(3, index, (kind,)) for index in range(5)] == [make(3, index, (kind,)) for index in range(5)]
    assert make(3, 0, (kind,)) != make(4, 0, (kind,))


@pytest.mark.parametrize("mutation", [recast, change_values])
def test_no_mutation_opens_the_file_that_another_named(mutation: Callable[..., None]) -> None:
    model = onnx.ModelProto()
    tensor = model.graph.initializer.add(name="w", dims=[1], data_type=TensorProto.FLOAT)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="a" * 5000)
    with pytest.raises(LookupError, match="lies in a file"):
        mutation(random.Random(0), model)


@pytest.mark.slow
def test_a_short_campaign_passes() -> None:
    words = ["-m", "tests.fuzz", "--cases", "60", "--minutes", "4", "--seed", "0"]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = re.match(r"(\d+) cases \((\d+) not made\)", done.stdout)
    assert counts is not None
    assert sum(map(int, counts.groups())) == 60
    assert int(counts[1]) > 50
