"""Walks over the layers: what an agent asks for, what the budget makes of it, and what there is to learn from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from haqc.ddpg import Agent
from haqc.passes.search.evaluator import Account
from haqc.passes.search.greedy import Descent
from haqc.passes.search.problem import Problem, Sensitivity, Widths
from haqc.passes.search.state import FIRST_ACTION, Step, action_of, plan_steps, width_of
from haqc.passes.search.wall import confine
from haqc.policy import Choice, Policy, Space
from haqc.replay import Array, Episode
from haqc.result import Trial

Act = Callable[[Array], float]


@dataclass(frozen=True)
class Path:
    """The decisions of a walk, in order.

    Attributes:
        space: the policies.
    """

    space: Space

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The decisions."""
        return plan_steps(self.space)

    def walk(self, act: Act) -> Widths:
        """Decides every step in turn, whatever it costs.

        Args:
            act: gives an action in [0, 1] for a state.
        """
        asked = {}
        previous = FIRST_ACTION
        for step in self.steps:
            width = width_of(act(step.state(previous)), step.choice.widths)
            asked[step.choice.operand.tensor] = width
            previous = action_of(width, step.choice.widths)
        return asked

    def teach(self, agent: Agent, trials: Sequence[Trial], rewards: Sequence[float]) -> None:
        """Lets an agent learn from the walks that execute the policies of trials, a reward for each."""
        for trial, reward in zip(trials, rewards, strict=True):
            agent.remember(self.episode(trial.policy, reward))
        agent.train(len(trials))

    def episode(self, policy: Policy, reward: float) -> Episode:
        """Gives the walk that executes a policy: what an agent learns from is what was scored."""
        actions = [action_of(policy.widths[s.choice.operand.tensor], s.choice.widths) for s in self.steps]
        states = [step.state(before) for step, before in zip(self.steps, [FIRST_ACTION, *actions], strict=False)]
        return Episode(np.stack(states), np.asarray(actions, np.float32), reward)


class Proposer(Protocol):
    """An agent at work."""

    def batch(self) -> list[Policy]:
        """Gives the next policies, none when it has nothing new to propose."""

    def learn(self, trials: Sequence[Trial]) -> None:
        """Lets it learn from what was scored."""


def propose(proposer: Proposer, account: Account) -> None:
    """Has an agent's proposals evaluated, and the agent learn after each batch, until either comes to an end."""
    while account.remaining:
        policies = proposer.batch()
        if not policies:
            return
        proposer.learn(account.evaluate(policies))


@dataclass(frozen=True)
class Wall:
    """HAQ's way into the budget: see :func:`haqc.passes.search.wall.confine`."""

    problem: Problem
    spend_slack: bool

    def __call__(self, asked: Widths) -> Widths:
        """Narrows from the last decision to the first."""
        return confine(self.problem, asked, self._order, spend_slack=self.spend_slack)

    @cached_property
    def _order(self) -> list[Choice]:
        return [step.choice for step in plan_steps(self.problem.space)]


@dataclass(frozen=True)
class Margin:
    """The way into the budget by marginal error: narrows where least is lost, and spends slack where most is won.

    Attributes:
        problem: the problem.
        weighed: what each width of each free operand adds to the error, by (tensor, bits).
    """

    problem: Problem
    weighed: Sensitivity

    def __call__(self, asked: Widths) -> Widths:
        """Narrows and widens as the greedy allocator does, from what was asked for."""
        return Descent(self.problem, self.weighed, asked).run()
