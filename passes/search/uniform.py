"""The uniform allocator: the same widths everywhere, as far as pins and the target let them be."""

from __future__ import annotations

import itertools

from haqc.graph import FULL_BITS, OperandKind
from haqc.passes.search.evaluator import Account
from haqc.passes.search.problem import Problem
from haqc.policy import Bits, Policy


def propose_uniform(problem: Problem, account: Account, batch: int) -> None:
    """Evaluates the uniform policies that fit the budget and are not dominated, the most promising first.

    A pair is dominated when another that fits is at least as wide in both operands. The most promising is the one
    with the least sum of sensitivities.
    """
    pairs = itertools.product(_offered(problem, "weight"), _offered(problem, "activation"))
    fitting: dict[Bits, Policy] = {}
    for weight, activation in pairs:
        policy = problem.space.uniform(weight, activation)
        if problem.budget.allows(problem.price(policy)):
            fitting[Bits(weight, activation)] = policy
    kept = {fitting[bits].key: fitting[bits] for bits in fitting if not _is_dominated(bits, fitting)}
    ranked = sorted(kept.values(), key=problem.error)[: account.remaining]
    account.evaluate_all(ranked, batch)


def _offered(problem: Problem, kind: OperandKind) -> list[int]:
    """Every width that some free operand of a kind may take, ascending."""
    widths = {width for c in problem.space.free if c.operand.kind == kind for width in c.widths}
    return sorted(widths) or [FULL_BITS]


def _is_dominated(bits: Bits, others: dict[Bits, Policy]) -> bool:
    return any(
        other != bits and other.weight >= bits.weight and other.activation >= bits.activation for other in others
    )
