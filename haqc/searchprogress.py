"""How far a search is: the best so far, what is being tried, and how long it may still take."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from haqc.duration import duration
from haqc.judge import Judge
from haqc.passes.report.wording import figure
from haqc.passes.search import SearchOptions, allowance
from haqc.policy import Policy
from haqc.result import Trial
from haqc.score import Score
from haqc.ui import Task, Ui


@dataclass
class SearchProgress:
    """Says after each batch of policies how far a search is; nothing of it stands in any file.

    The time left is what the policies that are still allowed would take at the pace of those scored so far. It is too
    long where allocators end before their allowance, or propose what others did.

    Attributes:
        ui: shows it.
        judge: says what scores are worth.
        options: the allocators, their allowances and the time they have.
        now_s: a clock that never goes back.
    """

    ui: Ui
    judge: Judge
    options: SearchOptions
    now_s: Callable[[], float] = time.monotonic
    _tasks: dict[str, Task] = field(default_factory=dict)
    _done: dict[str, int] = field(default_factory=dict)
    _best: tuple[Score, Policy] | None = None
    _scored: int = 0
    _scoring_s: float = 0.0
    _start_s: float = math.nan

    def __post_init__(self) -> None:
        self._start_s = self.now_s()

    @contextmanager
    def scoring(self, count: int) -> Iterator[None]:
        """Takes the time in which so many policies are scored."""
        start_s = self.now_s()
        yield
        if count:
            self._scored, self._scoring_s = self._scored + count, self._scoring_s + self.now_s() - start_s

    def offer(self, policies: Sequence[Policy], scores: Sequence[Score]) -> None:
        """Takes note of scores; the first of the best counts."""
        for policy, score in zip(policies, scores, strict=True):
            if self._best is None or score.merit > self._best[0].merit:
                self._best = score, policy

    def __call__(self, allocator: str, evaluated: int, total: int, best: Trial) -> None:
        """Shows what an allocator has come to, see :data:`haqc.passes.search.evaluator.Progress`."""
        if allocator not in self._tasks:
            for task in [*self._tasks.values()][-1:]:  # what it said of the time left is past
                task.advance(0, self._best_words(best))
            self._tasks[allocator] = self.ui.task(f"search: {allocator}", total)
        before = self._done.get(allocator, 0)
        self._done[allocator] = evaluated
        self._tasks[allocator].advance(evaluated - before, " · ".join(self._words(allocator, total - evaluated, best)))

    def _words(self, allocator: str, left: int, best: Trial) -> Iterator[str]:
        yield self._best_words(best)
        left_s = self._left_s(allocator, left)
        if left_s is not None:
            yield f"{duration(left_s)} left"
        if self._best is not None:
            yield f"{mean_bits(self._best[1])} mean bits"

    def _best_words(self, best: Trial) -> str:
        score = best.score
        if self._best is not None:
            score = max(self._best[0], score, key=lambda each: each.merit)
        return f"best {figure(self.judge.value_at(score.accuracy), self.judge.metric.traits.unit)}"

    def _left_s(self, allocator: str, left: int) -> float | None:
        """Gives the seconds that what is still allowed takes; ``None`` before anything was scored."""
        if not self._scored:
            return None
        names: list[str] = [*self.options.allocators]
        later = names[names.index(allocator) + 1 :] if allocator in names else []  # what fills the slack comes last
        left += sum(allowance(name, self.options) for name in later)
        spent_s = self.now_s() - self._start_s
        return max(0.0, min(left * self._scoring_s / self._scored, self.options.seconds - spent_s))


def mean_bits(policy: Policy) -> str:
    """Gives the mean widths of a policy's quantised layers, weights and data apart."""
    bits = [policy.bits(layer) for layer in policy.graph.quantised_layers]
    count = max(1, len(bits))
    return f"{sum(b.weight for b in bits) / count:.1f}/{sum(b.activation for b in bits) / count:.1f}"
