"""What a search can be told."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from haqc.ddpg import AgentOptions
from haqc.replay import Array
from haqc.request import USUAL, AllocatorName


def _short_run_agent() -> AgentOptions:
    """Gives HAQ's agent with smaller networks and larger rates, which has something to learn from at once."""
    return AgentOptions(hidden=(64, 64), actor_rate=1e-3, critic_rate=3e-3, warm_up=0.0)


@dataclass(frozen=True, slots=True)
class Traits:
    """What the default agent has over the paper's; each may be taken from it, to see what it is worth.

    Attributes:
        starts_warm: its replay begins with the walks of all trials, and it is trained on them before it proposes.
        enters_by_margin: widths enter the budget by marginal error, which spends the slack; else by HAQ's wall.
        changes_good: half of the candidates are changes of good trials; else all are walks.
        screens: a predictor chooses among candidates; else the first ones are taken.
        walks: the other candidates are the agent's; else their widths are drawn evenly.
    """

    starts_warm: bool = True
    enters_by_margin: bool = True
    changes_good: bool = True
    screens: bool = True
    walks: bool = True


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
        traits: what else the default agent has.
        start: the weights that the default agent starts from, those of one that learnt on other problems; ``None`` for
            chance.
    """

    evaluations: int = 48
    uniform_evaluations: int = 8
    batch: int = 4
    seed: int = 0
    seconds: float = math.inf
    allocators: tuple[AllocatorName, ...] = USUAL
    networks: AgentOptions = field(default_factory=_short_run_agent)
    traits: Traits = Traits()
    start: Mapping[str, Array] | None = None

    def __post_init__(self) -> None:
        for name in ("evaluations", "uniform_evaluations", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
