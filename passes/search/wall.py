"""HAQ's action wall, made aware of cost: narrows what an agent asked for until the budget holds."""

from __future__ import annotations

from collections.abc import Sequence

from haqc.budget import Cost
from haqc.graph import FULL_BITS
from haqc.passes.search.problem import Problem, Widths
from haqc.policy import Choice


def confine(problem: Problem, widths: Widths, order: Sequence[Choice], *, spend_slack: bool) -> Widths:
    """Gives the widths that are executed in place of those that were asked for.

    HAQ sweeps from the last decision to the first and takes one width off each, until the budget holds. Here a step
    that saves nothing on an exceeded limit is left out; when a whole sweep saves nothing, the next looks further down
    each operand's plateau, and when that saves nothing either, the next takes one width off blindly. Where the target
    does not allow every pair of widths, what is asked for is raised to what it allows, and operands of one layer narrow
    together; a width that cannot be had alone is no step. Where narrower is not always cheaper, narrowing may end
    above the budget, and the cheapest policy is executed.

    Args:
        problem: the problem.
        widths: what was asked for, for every free operand.
        order: the free choices in the order of the decisions.
        spend_slack: also widen from the first decision to the last, one width a sweep, while the budget allows.
    """
    narrowed, cost = _narrow(problem, problem.settled(problem.space.policy(widths)), order[::-1])
    return _widen(problem, narrowed, cost, order) if spend_slack else narrowed


def _narrow(problem: Problem, widths: Widths, order: Sequence[Choice]) -> tuple[Widths, Cost]:
    cost = problem.cost(widths)
    reach = 1
    while not problem.budget.allows(cost):
        before = cost
        for choice in order:
            move = problem.narrowing(widths, cost, choice, reach)
            if move is not None:
                widths, cost = {**widths, **move.changes}, move.cost
                if reach > 1 or problem.budget.allows(cost):
                    break
        if cost != before:
            reach = 1
        elif reach == 1:
            reach = FULL_BITS
        else:
            narrowed, cost = _narrow_blindly(problem, widths, cost, order)
            if narrowed == widths:
                widths = problem.within_budget()
                return widths, problem.cost(widths)
            widths, reach = narrowed, 1
    return widths, cost


def _narrow_blindly(problem: Problem, widths: Widths, cost: Cost, order: Sequence[Choice]) -> tuple[Widths, Cost]:
    """Takes one width off each operand until something is saved: two tensors that tie for a peak save together."""
    before = cost
    for choice in order:
        narrower = [width for width in choice.widths if width < widths[choice.operand.tensor]]
        move = problem.move(widths, choice, narrower[-1]) if narrower else None
        if move is not None:
            widths, cost = {**widths, **move.changes}, move.cost
            if problem.saved(before, cost) > 0:
                break
    return widths, cost


def _widen(problem: Problem, widths: Widths, cost: Cost, order: Sequence[Choice]) -> Widths:
    is_widened = True
    while is_widened:
        is_widened = False
        for choice in order:
            move = problem.widening(widths, cost, choice)
            if move is not None:
                widths, cost, is_widened = {**widths, **move.changes}, move.cost, True
    return widths
