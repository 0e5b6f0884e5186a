"""The integer program: the policies within the budget with the least sum of sensitivities, proven to be the least."""

from __future__ import annotations

from haqc.passes.search.evaluator import Account
from haqc.passes.search.problem import Problem, Widths
from haqc.passes.search.program import Program
from haqc.passes.search.weighing import WEIGHINGS
from haqc.terms import Terms

PROPOSALS = 16
"""The most policies it proposes: one for each weighing, then others that are nearly as good by the best weighing."""

APART = 8
"""The others differ from all before in one of so many operands at least, or in one."""


def propose_integer(problem: Problem, terms: Terms, account: Account, batch: int) -> None:
    """Evaluates the best policy by each weighing, and then the next best ones by the weighing that scored best.

    Args:
        problem: the problem.
        terms: its prices.
        account: takes the proposals.
        batch: policies evaluated at a time.
    """
    program = Program(problem, terms)
    count = min(PROPOSALS, account.remaining)
    found: dict[str, tuple[int, Widths]] = {}
    for index, weighing in enumerate(WEIGHINGS[:count]):
        if found and not account.has_time:
            break
        widths = program.solve(weighing.of(problem), (), 0)
        if widths is not None:
            found.setdefault(problem.space.policy(widths).key, (index, widths))
    if not found:
        return
    trials = account.evaluate_all([problem.space.policy(widths) for _, widths in found.values()], batch)
    best = max(trials, key=lambda trial: trial.merit)  # the first of equal ones: the plain weighing comes first
    weight = WEIGHINGS[found[best.policy.key][0]].of(problem)
    known = [widths for _, widths in found.values()]
    apart = max(1, len(terms.choices) // APART)
    others = []
    while len(known) < count and account.has_time:
        widths = program.solve(weight, known, apart)
        if widths is None:
            break
        known.append(widths)
        others.append(problem.space.policy(widths))
    account.evaluate_all(others, batch)
