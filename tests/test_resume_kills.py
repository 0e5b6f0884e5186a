"""Killed at twenty random instants and resumed: the bytes of a run that was left alone, and nothing scored twice."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest

from tests.forked import compile_until, forking
from tests.test_resume import same_bytes, scored

ROOT = Path(__file__).resolve().parents[1]
KILLS = 20
LONGEST_S = 600.0
ARGUMENTS = (
    "--target",
    "edge",
    "--budget",
    "energy=0.5",
    "--finetune",
    "0",
    "--reconstruct",
    "16",
    "--evaluations",
    "2",
)


@pytest.mark.slow
@pytest.mark.timeout(1200)  # half a minute of a processor, of which there may be little
def test_killed_at_twenty_random_instants(tmp_path: Path) -> None:
    context, begun = forking(), tmp_path / "begun"
    compile_digits = "compile", ROOT / "models" / "digits.onnx", *ARGUMENTS, "--out"
    alone = tmp_path / "alone"
    taken_s = compile_until(context, LONGEST_S, begun, *compile_digits, alone)
    assert taken_s is not None
    every, draw, killed = scored(alone), random.Random(6), 0
    for number in itertools.count():
        out, is_done = tmp_path / f"killed{number}", False
        while not is_done:
            known = scored(out)
            begun.write_bytes(b"")
            limit_s = draw.uniform(0.0, taken_s) if killed < KILLS else LONGEST_S
            is_done = compile_until(context, limit_s, begun, *compile_digits, out, "--resume") is not None
            killed += not is_done
            asked = begun.read_text(encoding="ascii").split()
            assert len(asked) == len(set(asked))
            assert not known & set(asked)
            assert known | set(asked) <= every
        assert scored(out) == every
        same_bytes(alone, out)
        if killed == KILLS:
            return
