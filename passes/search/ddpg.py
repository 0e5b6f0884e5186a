"""The DDPG allocator: HAQ's agent walks the layers and decides one width at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from haqc.ddpg import Agent, Array, Episode
from haqc.passes.search.evaluator import Account
from haqc.passes.search.options import SearchOptions
from haqc.passes.search.problem import Problem
from haqc.passes.search.state import FIRST_ACTION, STATE_SIZE, action_of, plan_steps, width_of
from haqc.passes.search.wall import confine
from haqc.policy import Policy
from haqc.result import Trial

PROPOSALS_PER_EVALUATION = 4
"""An agent that keeps proposing what it has proposed before is stopped after this many times its allowance."""

WIDENING = 1.5
"""Factor on the noise at each repeat."""


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """One proposal: the policy that was executed, with the states and actions that lead to it."""

    policy: Policy
    states: Array
    actions: Array


def propose_ddpg(problem: Problem, account: Account, options: SearchOptions) -> None:
    """Lets an agent propose policies in batches, and learn after each.

    All walks of a batch come from the same agent, so what is proposed does not depend on how many evaluations run at a
    time. The agent starts from nothing: it learns from its own proposals only, though one that another allocator made
    before is not evaluated again.
    """
    if not problem.space.free:
        account.evaluate([problem.space.widest])
        return
    proposer = Proposer(problem, account, options)
    while account.remaining:
        walks = proposer.batch()
        if not walks:
            return
        trials = account.evaluate([walk.policy for walk in walks])
        proposer.learn(walks, trials)


class Proposer:
    """An agent with its plan of steps, and with the noise that keeps its proposals distinct.

    What the agent proposed before teaches it nothing, so a repeat is dropped, and the noise widens until something new
    comes up; it narrows again with each new proposal.

    Args:
        problem: the problem.
        account: what was proposed, and how much may still be.
        options: batch, seed and the agent's options.
    """

    def __init__(self, problem: Problem, account: Account, options: SearchOptions) -> None:
        self._problem = problem
        self._account = account
        self._options = options
        self._steps = plan_steps(problem.space)
        self._agent = Agent(STATE_SIZE, len(self._steps), account.allowance, options.agent, options.seed)
        self._proposals_left = PROPOSALS_PER_EVALUATION * account.allowance
        self._widening = 1.0

    def batch(self) -> list[Walk]:
        """Gives the next walks, with distinct new policies; none when the agent keeps repeating itself."""
        walks: dict[str, Walk] = {}
        first = self._account.allowance - self._account.remaining
        count = min(self._options.batch, self._account.remaining)
        while len(walks) < count and self._proposals_left:
            self._proposals_left -= 1
            walk = self._walk(first + len(walks))
            if walk.policy.key in walks or self._account.has_proposed(walk.policy):
                self._widening *= WIDENING
            else:
                self._widening = max(1.0, self._widening / WIDENING)
                walks[walk.policy.key] = walk
        return list(walks.values())

    def learn(self, walks: Sequence[Walk], trials: Sequence[Trial]) -> None:
        """Lets the agent learn from what its walks scored."""
        for walk, trial in zip(walks, trials, strict=True):
            self._agent.remember(Episode(walk.states, walk.actions, trial.reward))
        self._agent.train(len(walks))

    def _walk(self, episode: int) -> Walk:
        """Decides every step in turn, then puts the policy inside the budget."""
        asked = {}
        previous = FIRST_ACTION
        for step in self._steps:
            action = self._agent.act(step.state(previous), episode, self._widening)
            width = width_of(action, step.choice.widths)
            asked[step.choice.operand.tensor] = width
            previous = action_of(width, step.choice.widths)
        order = [step.choice for step in self._steps]
        executed = confine(self._problem, asked, order, spend_slack=self._options.spend_slack)
        actions = [action_of(executed[choice.operand.tensor], choice.widths) for choice in order]
        # The states are those of the executed walk: what the agent learns from is what was scored.
        states = [step.state(before) for step, before in zip(self._steps, [FIRST_ACTION, *actions], strict=False)]
        return Walk(self._problem.space.policy(executed), np.stack(states), np.asarray(actions, np.float32))
