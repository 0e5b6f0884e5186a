"""The random allocator: widths by chance, put inside the budget. What is no better than this has learnt nothing."""

from __future__ import annotations

import numpy as np

from haqc.passes.search.evaluator import Account
from haqc.passes.search.problem import Problem, Widths
from haqc.passes.search.walk import Wall
from haqc.policy import Policy

TRIES = 8
"""Draws at most for each policy that is wanted: in a small space many end where others did."""


def propose_random(problem: Problem, account: Account, batch: int, seed: int) -> None:
    """Evaluates policies whose widths are drawn evenly, and narrowed and widened until they fill the budget."""
    draw = np.random.default_rng([seed, 2])
    enter = Wall(problem, spend_slack=True)
    tries = TRIES * account.allowance
    while account.remaining and tries:
        policies: dict[str, Policy] = {}
        while len(policies) < min(batch, account.remaining) and tries:
            tries -= 1
            policy = problem.space.policy(enter(drawn(problem, draw)))
            if not account.has_proposed(policy):
                policies.setdefault(policy.key, policy)
        if policies:
            account.evaluate(list(policies.values()))


def drawn(problem: Problem, draw: np.random.Generator) -> Widths:
    """Draws a width for every free operand, whatever it costs."""
    return {choice.operand.tensor: int(draw.choice(choice.widths)) for choice in problem.space.free}
