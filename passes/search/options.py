"""What a search can be told."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from haqc.ddpg import AgentOptions
from haqc.request import USUAL, AllocatorName


def _short_run_agent() -> AgentOptions:
    """Gives HAQ's agent with smaller networks and larger rates, which has something to learn from at once."""
    return AgentOptions(hidden=(64, 64), actor_rate=1e-3, critic_rate=3e-3, warm_up=0.0)


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """What a search can be told, apart from its problem.

    Attributes:
        evaluations: the most policies each allocator may have evaluated.
        uniform_evaluations: the most of them the uniform allocator uses; there are only a few pairs worth a look.
        batch: policies proposed at a time; a part of the search's definition, whatever runs in parallel.
        seed: seed of the agent, and the one that trials carry.
        seconds: what the search may take; each allocator has an even share of what those before it have left.
        allocators: who proposes, in this order.
        networks: the default agent's networks and rates: those of a run that is ten times shorter than HAQ's.
    """

    evaluations: int = 48
    uniform_evaluations: int = 8
    batch: int = 4
    seed: int = 0
    seconds: float = math.inf
    allocators: tuple[AllocatorName, ...] = USUAL
    networks: AgentOptions = field(default_factory=_short_run_agent)

    def __post_init__(self) -> None:
        for name in ("evaluations", "uniform_evaluations", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
