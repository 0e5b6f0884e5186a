"""Where the processor time of a compile goes: ``python -m benchmarks.profile MODEL [options of haqc compile]``.

The jobs run in this process, one after the other, so that the time of each kind is known: seconds of the processor, not
of the clock. What the search takes itself is what is left of it when the scores are taken away: the allocators, the
agent's networks, its predictor, the integer program, and all prices.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from haqc.cli import main as haqc
from haqc.passes.search import search
from haqc.workers import Job
from tests.command_line import InlinePool, Jobs

KINDS = {
    "tune_float": "fine-tunes of the float network",
    "shares": "sensitivities",
    "score": "scores of the search, fine-tunes included",
    "rescore": "scores of the finalists, fine-tunes included",
    "tune": "fine-tune of the winner",
    "recover": "reconstruction of the winner",
    "shift": "biases of the winner, shifted",
}
SEARCH = "the search itself: allocators, agent, prices"
REST = "everything else: reading, grids, emission, verification, report"


class TimedPool(InlinePool):
    """Runs jobs in this process, and books the time of each on its kind."""

    def __init__(self, spent_s: dict[str, float]) -> None:
        super().__init__(Jobs())
        self._spent_s = spent_s

    def do(self, job: Job, advance: Callable[[int], None]) -> Any:
        """Does one job."""
        begun_s = time.process_time()
        result = super().do(job, advance)
        self._spent_s[KINDS[job.method]] += time.process_time() - begun_s
        return result


def main() -> None:
    spent_s = dict.fromkeys((*KINDS.values(), SEARCH), 0.0)

    def timed(*arguments: Any, **options: Any) -> Any:
        scores = KINDS["score"]
        begun_s, before_s = time.process_time(), spent_s[scores]
        found = search(*arguments, **options)
        spent_s[SEARCH] += time.process_time() - begun_s - (spent_s[scores] - before_s)
        return found

    sys.argv = ["haqc", "compile", *sys.argv[1:]]
    patch("haqc.compiler.WorkerPool", lambda count: TimedPool(spent_s)).start()
    patch("haqc.stages.search", timed).start()
    begun_s = time.process_time()
    try:
        haqc()
    except SystemExit as end:
        if end.code:
            raise
    whole_s = time.process_time() - begun_s
    spent_s[REST] = whole_s - sum(spent_s.values())
    print("| part | CPU s | share |\n|---|---|---|")
    for part, part_s in sorted(spent_s.items(), key=lambda entry: -entry[1]):
        print(f"| {part} | {part_s:.1f} | {100 * part_s / whole_s:.1f} % |")


if __name__ == "__main__":
    main()
