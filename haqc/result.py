"""What a search tried, and what won."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from haqc.budget import Cost, Goal
from haqc.policy import Policy
from haqc.score import Score

REWARD_SCALE = 0.1
"""Reward per point (lambda of HAQ)."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One policy that was priced and scored.

    Attributes:
        policy: the policy, within the budget.
        cost: its cost for one batch.
        accuracy: quality on the search split after the short fine-tune: the percentage, or points (see
            :mod:`haqc.metrics.quality`) of a metric that is none.
        merit: what trials are ranked by and what agents learn from, see :class:`haqc.score.Score`.
        reward: HAQ's reward, 0.1 x (accuracy - float accuracy), in points (HAQ section 3.4).
        allocator: who proposed it first.
        seed: the seed of its evaluation.
    """

    policy: Policy
    cost: Cost
    accuracy: float
    merit: float
    reward: float
    allocator: str
    seed: int

    @classmethod
    def of(cls, policy: Policy, cost: Cost, score: Score, float_accuracy: float, allocator: str, seed: int) -> Trial:
        """Gives the trial of a policy that was scored."""
        reward = REWARD_SCALE * (score.accuracy - float_accuracy)
        return cls(policy, cost, score.accuracy, score.merit, reward, allocator, seed)

    @property
    def score(self) -> Score:
        """What its evaluation said."""
        return Score(self.accuracy, self.merit)

    def to_json(self) -> dict[str, Any]:
        """Gives the trial as one line of ``search.jsonl``."""
        return {
            "key": self.policy.key,
            "allocator": self.allocator,
            "bits": [str(bits) for bits in self.policy.layer_bits],
            "widths": [self.policy.widths[operand.tensor] for operand in self.policy.graph.operands],
            "cost": self.cost.to_json(),
            "accuracy": self.accuracy,
            "merit": self.merit,
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
class Step:
    """A budget that was tried on the way to the smallest cost.

    Attributes:
        budget: the budget, as a share of what 8/8 costs.
        cost: cost of the best within it, as such a share; infinite where the other budgets leave nothing.
        drop: points by which its quality on the search split lies under the float reference.
        kept: whether that is within what may be lost.
    """

    budget: float
    cost: float
    drop: float
    kept: bool

    def to_json(self) -> dict[str, Any]:
        """Gives a row of the report; what is infinite is null."""
        figures = {"budget": self.budget, "cost": self.cost, "drop": self.drop}
        return {name: value if math.isfinite(value) else None for name, value in figures.items()} | {"kept": self.kept}


@dataclass(frozen=True, slots=True)
class Minimised:
    """What was minimised.

    Attributes:
        goal: the cost, and the points that may be lost.
        reference: quality of the float reference on the search split.
        steps: the budgets that were tried, in their order.
    """

    goal: Goal
    reference: float
    steps: tuple[Step, ...]

    def to_json(self) -> dict[str, Any]:
        """Gives the report's field ``cost.minimised``."""
        steps = [step.to_json() for step in self.steps]
        return {**asdict(self.goal), "reference": self.reference, "steps": steps}


@dataclass(frozen=True, slots=True)
class SearchResult:
    """All trials, the allocators' table, and the winner.

    Attributes:
        trials: every distinct policy that was evaluated, in the order of evaluation.
        allocators: one entry each, in the order in which they ran.
        best: the trial to emit.
        finalists: the trials that were scored again after a longer fine-tune, with what they scored then.
        interrupted: whether Ctrl-C ended the search early.
        minimised: what was minimised, and how; ``None`` for a search within a budget that was given.
    """

    trials: tuple[Trial, ...]
    allocators: tuple[AllocatorResult, ...]
    best: Trial
    interrupted: bool = False
    finalists: tuple[tuple[Trial, Score], ...] = ()
    minimised: Minimised | None = None

    def promising(self, count: int) -> list[Trial]:
        """Gives the trials that deserve a longer fine-tune: the winner, then each allocator's best, then the others.

        Who is ahead after a short fine-tune need not be so after a longer one, and what one allocator proposes tends to
        gain alike: uniform 3 bits begin far behind policies with a few operands at 2 bits, and overtake them.
        """
        leaders = {result.best.policy.key for result in self.allocators if result.best is not None}
        return sorted(
            self.trials,
            key=lambda trial: (trial is not self.best, trial.policy.key not in leaders, -trial.merit),
        )[:count]
