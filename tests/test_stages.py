"""The stages of a compile: what is kept for resuming, and what is not."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from haqc.effect import Share
from haqc.errors import ModelError
from haqc.folder import OutputFolder
from haqc.stages import measure_effects


class Samples:
    """So many samples, which run together."""

    samples_per_run = None

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count


class Pool:
    """Answers every job with shares of two widths."""

    def __init__(self, output: float) -> None:
        self._share = Share(output, 0.0, 1.0, None)

    def run(self, jobs: list[Any], advance: Any) -> list[Any]:
        return [[self._share, self._share] for _ in jobs]


def test_an_effect_that_overflows_is_named_again_when_the_compile_is_resumed(tmp_path: Path) -> None:
    folder = OutputFolder(tmp_path)
    folder.take(resume=False)
    choices = [SimpleNamespace(operand=SimpleNamespace(tensor=name), widths=(2, 8)) for name in ("w", "x")]
    problem: Any = SimpleNamespace(space=SimpleNamespace(free=choices))
    bench: Any = SimpleNamespace(probe=Samples(4), run=4)
    ui: Any = SimpleNamespace(task=lambda *_: SimpleNamespace(advance=None))
    for _ in range(2):
        overflowing: Any = Pool(math.inf)
        with pytest.raises(ModelError, match="what quantising 'w' does to the output cannot be measured"):
            measure_effects(problem, bench, folder, overflowing, ui)
    fine: Any = Pool(0.25)
    effects = measure_effects(problem, bench, folder, fine, ui)
    assert {key: effect.output for key, effect in effects.items()} == dict.fromkeys(
        [("w", 2), ("w", 8), ("x", 2), ("x", 8)], 0.25
    )
    assert measure_effects(problem, bench, folder, overflowing, ui) == effects  # kept
