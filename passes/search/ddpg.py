"""The DDPG allocator: HAQ's agent walks the layers and decides one width at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from haqc.ddpg import Agent, Array, Episode
from haqc.passes.search.evaluator import Account
from haqc.passes.search.options import SearchOptions
from haqc.passes.search.problem import Problem
from haqc.passes.search.state import FIRST_ACTION, STATE_SIZE, Step, action_of, plan_steps, width_of
from haqc.passes.search.wall import confine
from haqc.policy import Policy

PROPOSALS_PER_EVALUATION = 4
"""An agent that keeps proposing what it has proposed before is stopped after this many times its allowance."""


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
    before is not evaluated again. The noise follows the evaluations, so repeats do not use up the exploration.
    """
    steps = plan_steps(problem.space)
    if not steps:
        account.evaluate([problem.space.widest])
        return
    agent = Agent(STATE_SIZE, len(steps), account.allowance, options.agent, options.seed)
    proposals_left = PROPOSALS_PER_EVALUATION * account.allowance
    while account.remaining and proposals_left:
        count = min(options.batch, account.remaining, proposals_left)
        first = account.allowance - account.remaining
        walks = [_walk(problem, steps, agent, first + place, options.spend_slack) for place in range(count)]
        trials = account.evaluate([walk.policy for walk in walks])
        for walk, trial in zip(walks, trials, strict=True):
            agent.remember(Episode(walk.states, walk.actions, trial.reward))
        agent.train(count)
        proposals_left -= count


def _walk(problem: Problem, steps: tuple[Step, ...], agent: Agent, episode: int, spend_slack: bool) -> Walk:
    """Decides every step in turn, then puts the policy inside the budget."""
    asked = {}
    previous = FIRST_ACTION
    for step in steps:
        width = width_of(agent.act(step.state(previous), episode), step.choice.widths)
        asked[step.choice.operand.tensor] = width
        previous = action_of(width, step.choice.widths)
    executed = confine(problem, asked, [step.choice for step in steps], spend_slack=spend_slack)
    actions = [action_of(executed[step.choice.operand.tensor], step.choice.widths) for step in steps]
    # The states are those of the executed walk: what the agent learns from is what was scored.
    states = [step.state(before) for step, before in zip(steps, [FIRST_ACTION, *actions], strict=False)]
    return Walk(problem.space.policy(executed), np.stack(states), np.asarray(actions, np.float32))
