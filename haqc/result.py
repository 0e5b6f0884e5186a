"""What a search tried, and what won."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from haqc.budget import Cost
from haqc.policy import Policy


@dataclass(frozen=True, slots=True)
class Trial:
    """One policy that was priced and scored.

    Attributes:
        policy: the policy, within the budget.
        cost: its cost for one batch.
        accuracy: quality on the search split after the short fine-tune: the percentage, or points (see
            :mod:`haqc.metrics.quality`) of a metric that is none.
        reward: HAQ's reward, 0.1 x (accuracy - float accuracy), in points (HAQ section 3.4).
        allocator: who proposed it first.
        seed: the seed of its evaluation.
    """

    policy: Policy
    cost: Cost
    accuracy: float
    reward: float
    allocator: str
    seed: int

    def to_json(self) -> dict[str, Any]:
        """Gives the trial as one line of ``search.jsonl``."""
        return {
            "key": self.policy.key,
            "allocator": self.allocator,
            "bits": [str(bits) for bits in self.policy.layer_bits],
            "cost": self.cost.to_json(),
            "accuracy": self.accuracy,
            "reward": self.reward,
            "seed": self.seed,
        }


@dataclass(frozen=True, slots=True)
class AllocatorResult:
    """What one allocator came to, at the budget all share.

    Attributes:
        name: the allocator.
        best: its best own trial, or ``None`` when it found nothing within the budget.
        evaluations: policies it had evaluated (a policy known from another allocator counts as well).
        seconds: wall-clock seconds it took.
    """

    name: str
    best: Trial | None
    evaluations: int
    seconds: float


@dataclass(frozen=True, slots=True)
class SearchResult:
    """All trials, the allocators' table, and the winner.

    Attributes:
        trials: every distinct policy that was evaluated, in the order of evaluation.
        allocators: one entry each, in the order in which they ran.
        best: the trial to emit.
        finalists: the trials that were scored again after a longer fine-tune, with that quality.
        interrupted: whether Ctrl-C ended the search early.
    """

    trials: tuple[Trial, ...]
    allocators: tuple[AllocatorResult, ...]
    best: Trial
    interrupted: bool = False
    finalists: tuple[tuple[Trial, float], ...] = ()
