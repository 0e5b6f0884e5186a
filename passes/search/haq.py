"""The agent of HAQ: it starts from nothing, explores at random first, and learns from its own proposals alone."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from haqc.ddpg import Agent, AgentOptions
from haqc.passes.search.evaluator import Account
from haqc.passes.search.options import SearchOptions
from haqc.passes.search.problem import Problem
from haqc.passes.search.state import STATE_SIZE
from haqc.passes.search.walk import Path, Wall, propose
from haqc.policy import Policy
from haqc.result import Trial

PAPER = AgentOptions(warm_up=21 / 600)
"""The paper's agent; what the paper leaves open, as in its code."""

PROPOSALS_PER_EVALUATION = 4
"""An agent that keeps proposing what it has proposed before is stopped after this many times its allowance."""

WIDENING = 1.5
"""Factor on the noise at each repeat."""


def propose_haq(problem: Problem, account: Account, options: SearchOptions) -> None:
    """Lets an agent propose policies in batches, and learn after each.

    All walks of a batch come from the same agent, so what is proposed does not depend on how many evaluations run at a
    time. A policy that another allocator made before is not evaluated again, and counts. What budgets leave is left, as
    in the paper.
    """
    if not problem.space.free:
        account.evaluate([problem.space.widest])
        return
    propose(Proposer(problem, account, options), account)


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
        self._space = problem.space
        self._path = Path(problem.space)
        self._enter = Wall(problem, spend_slack=False)
        self._account = account
        self._batch = options.batch
        self._agent = Agent(STATE_SIZE, len(self._path.steps), account.allowance, PAPER, options.seed)
        self._proposals_left = PROPOSALS_PER_EVALUATION * account.allowance
        self._widening = 1.0

    def batch(self) -> list[Policy]:
        """Gives the next policies, distinct and new; none when the agent keeps repeating itself."""
        policies: dict[str, Policy] = {}
        first = self._account.allowance - self._account.remaining
        count = min(self._batch, self._account.remaining)
        while len(policies) < count and self._proposals_left:
            self._proposals_left -= 1
            act = functools.partial(self._agent.act, episode=first + len(policies), widening=self._widening)
            policy = self._space.policy(self._enter(self._path.walk(act)))
            if policy.key in policies or self._account.has_proposed(policy):
                self._widening *= WIDENING
            else:
                self._widening = max(1.0, self._widening / WIDENING)
                policies[policy.key] = policy
        return list(policies.values())

    def learn(self, trials: Sequence[Trial]) -> None:
        """Lets the agent learn from what its walks scored."""
        self._path.teach(self._agent, trials, [trial.reward for trial in trials])
