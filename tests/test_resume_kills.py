"""Killed at twenty random instants and resumed: the bytes of a run that was left alone, and nothing scored twice."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.forked import compile_until, forking
from tests.test_resume import same_bytes, scored

ROOT = Path(__file__).resolve().parents[1]
KILLS_EACH = 4
ARGUMENTS = (
    "--target",
    "edge",
    "--budget",
    "energy=0.5",
    "--finetune",
    "0",
    "--reconstruct",
    "64",
    "--evaluations",
    "3",
)


@pytest.mark.slow
def test_killed_at_twenty_random_instants(tmp_path: Path) -> None:
    context, begun = forking(), tmp_path / "begun"
    compile_digits = "compile", ROOT / "models" / "digits.onnx", *ARGUMENTS, "--out"
    alone = tmp_path / "alone"
    taken_s = compile_until(context, 300.0, begun, *compile_digits, alone)
    assert taken_s is not None
    every = scored(alone)
    draw, killed = random.Random(6), 0
    for out in (tmp_path / f"killed{number}" for number in range(20 // KILLS_EACH)):
        for limit_s in (*(draw.uniform(0.0, taken_s) for _ in range(KILLS_EACH)), 300.0):
            known = scored(out)
            begun.write_bytes(b"")
            ended = compile_until(context, limit_s, begun, *compile_digits, out, "--resume")
            asked = begun.read_text(encoding="ascii").split()
            assert len(asked) == len(set(asked))
            assert not known & set(asked)
            assert known | set(asked) <= every
            killed += ended is None
        assert scored(out) == every
        same_bytes(alone, out)
    assert killed >= 12  # what is left to do grows shorter, so that some instants come too late
