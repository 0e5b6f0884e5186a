"""The random allocator: widths by chance, put inside the budget. What is no better than this has learnt nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable

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
    tries = range(TRIES * account.allowance)
    made = (problem.space.policy(enter(drawn(problem, draw))) for _ in tries)
    while account.remaining:
        policies = distinct(made, min(batch, account.remaining), account.has_proposed)
        if not policies:
            return
        account.evaluate(policies)


def distinct(made: Iterable[Policy], count: int, is_known: Callable[[Policy], bool]) -> list[Policy]:
    """Takes policies that are not known, each once, until there are so many or no more are made."""
    taken: dict[str, Policy] = {}
    for policy in made:
        if not is_known(policy):
            taken.setdefault(policy.key, policy)
        if len(taken) == count:
            break
    return list(taken.values())


def drawn(problem: Problem, draw: np.random.Generator) -> Widths:
    """Draws a width for every free operand, whatever it costs."""
    return {choice.operand.tensor: int(draw.choice(choice.widths)) for choice in problem.space.free}
