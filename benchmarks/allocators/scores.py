"""Scores of policies, kept in a file as they come: no policy of a network is ever scored twice."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from haqc.policy import Policy
from haqc.score import Score

Evaluate = Callable[[Mapping[str, int]], Score]


@dataclass(frozen=True)
class Scores:
    """The scores of one network's policies.

    Attributes:
        path: one line of JSON for each: key, accuracy and merit in percent, seconds of the processor.
        score: scores widths by operand.
        spent_s: seconds spent on scores in this process, one entry for each.
    """

    path: Path
    score: Evaluate
    spent_s: list[float] = field(default_factory=list)

    @cached_property
    def _known(self) -> dict[str, tuple[Score, float]]:
        if not self.path.is_file():
            return {}
        *lines, half_written = self.path.read_bytes().split(b"\n")
        if half_written:
            self.path.write_bytes(b"".join(line + b"\n" for line in lines))
        rows = (json.loads(line) for line in lines)
        return {key: (Score(accuracy, merit), cpu_s) for key, accuracy, merit, cpu_s in rows}

    def __call__(self, policies: Sequence[Policy]) -> list[Score]:
        """Gives the scores of policies."""
        return [self._of(policy) for policy in policies]

    @property
    def mean_s(self) -> float:
        """Seconds of the processor that one score takes."""
        return sum(cpu_s for _, cpu_s in self._known.values()) / max(1, len(self._known))

    def _of(self, policy: Policy) -> Score:
        if policy.key not in self._known:
            begun_s = time.process_time()
            score = self.score(dict(policy.widths))
            self.spent_s.append(time.process_time() - begun_s)
            self._known[policy.key] = score, self.spent_s[-1]
            with self.path.open("a", encoding="utf-8") as stream:
                row = [policy.key, score.accuracy, score.merit, round(self.spent_s[-1], 4)]
                stream.write(json.dumps(row) + "\n")
        return self._known[policy.key][0]
