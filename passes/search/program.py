"""A search's budget as an integer program: a multiple-choice knapsack with a row for each limit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from haqc import stdout
from haqc.budget import Limit, Metric
from haqc.passes.search.problem import Problem, Widths
from haqc.terms import Reals, Term, Terms

NODE_LIMIT = 20_000
"""Nodes of the branch and bound after which the best solution so far is taken, so that the work has a bound."""

_PLACE: dict[Metric, int] = {"energy": 0, "latency": 1, "size": 2}
_TIGHTER = 4e-6
"""Share by which limits are made smaller where a solution is over by what the solver tolerates (1e-6)."""

_LARGEST = 1e3
"""Weights are scaled to this: far from the solver's tolerances and from its largest numbers."""


@dataclass(frozen=True, slots=True)
class Row:
    """An inequality: the sum of some columns, each times its factor, is at least ``least`` and at most ``most``."""

    factors: tuple[tuple[int, float], ...]
    least: float
    most: float


class Program:
    """The policies of a problem that hold its budget, as integer points.

    There is one column, 0 or 1, for each width of each free operand, and one for each combination of widths in a term
    of several operands. Rows equate the combinations that a width takes part in with that width; so a combination is 1
    exactly where its widths are. Axes of a term along which neither a limited figure nor what the target allows changes
    are left out.

    Args:
        problem: the problem.
        terms: its prices.
    """

    def __init__(self, problem: Problem, terms: Terms) -> None:
        self._problem = problem
        self._terms = terms
        pairs = [(choice.operand.tensor, bits) for choice in terms.choices for bits in choice.widths]
        self._column = {pair: column for column, pair in enumerate(pairs)}
        self._highest = [1.0] * len(pairs)
        self._rows: list[Row] = []
        for choice in terms.choices:
            ones = tuple((self._column[choice.operand.tensor, bits], 1.0) for bits in choice.widths)
            self._rows.append(Row(ones, 1.0, 1.0))
        self._limits = [limit for limit in problem.budget.limits if limit.metric in _PLACE]
        self._spent: list[list[tuple[int, float]]] = [[] for _ in self._limits]
        self._constant = [terms.constant[_PLACE[limit.metric]] for limit in self._limits]
        for term in terms.terms:
            self._add(term)

    def solve(self, weight: Mapping[tuple[str, int], float], others: Sequence[Widths], apart: int) -> Widths | None:
        """Gives the widths within the budget with the least sum of weights.

        Args:
            weight: what each width of each free operand adds, by (tensor, bits).
            others: widths that the solution has to differ from.
            apart: in how many operands, at least.

        Returns:
            ``None`` where there are none, or none was found in time. What was found in time need not be the least.
        """
        if not self._column:
            return {} if self._problem.budget.allows(self._problem.cost({})) and not others else None
        scale = _LARGEST / (max((abs(value) for value in weight.values()), default=0.0) or 1.0)
        costs = np.zeros(len(self._highest))
        for pair, column in self._column.items():
            costs[column] = weight[pair] * scale
        for room in (1.0, 1.0 - _TIGHTER):
            rows = [*self._rows, *self._budget(room), *self._distances(others, apart)]
            with stdout.muted():
                found = milp(
                    costs,
                    integrality=np.ones(len(costs)),
                    bounds=Bounds(0.0, np.array(self._highest)),
                    constraints=_constraint(rows, len(costs)),
                    options={"node_limit": NODE_LIMIT, "mip_rel_gap": 0.0},
                )
            if found.x is None:
                return None
            widths = {tensor: bits for (tensor, bits), column in self._column.items() if found.x[column] > 0.5}
            if self._problem.budget.allows(self._problem.cost(widths)):
                return widths
        return None

    def _add(self, term: Term) -> None:
        """Adds a term to what the limits count, and forbids the combinations that the target lacks."""
        forbidden = np.isinf(term.costs).any(axis=-1, keepdims=True)
        places = [_PLACE[limit.metric] for limit in self._limits]
        figures = np.concatenate((np.where(forbidden, 0.0, term.costs[..., places]), forbidden), axis=-1)
        tensors, figures = _without_constant_axes(term.tensors, figures)
        columns = self._columns(tensors)
        for column, (*costs, is_forbidden) in zip(columns, figures.reshape(-1, len(places) + 1).tolist(), strict=True):
            if is_forbidden:
                self._highest[column] = 0.0
            for spent, cost in zip(self._spent, costs, strict=True):
                spent.append((column, cost))

    def _columns(self, tensors: tuple[str, ...]) -> list[int]:
        """Gives the columns of all combinations of some operands' widths; those of several are made."""
        widths = [self._problem.space.free_widths[tensor] for tensor in tensors]
        if len(tensors) == 1:
            return [self._column[tensors[0], bits] for bits in widths[0]]
        shape = tuple(map(len, widths))
        products = len(self._highest) + np.arange(math.prod(shape)).reshape(shape)
        self._highest += [1.0] * products.size
        for axis, tensor in enumerate(tensors):
            for place, bits in enumerate(widths[axis]):
                ones = tuple((int(column), 1.0) for column in products.take(place, axis).ravel())
                self._rows.append(Row((*ones, (self._column[tensor, bits], -1.0)), 0.0, 0.0))
        if not tensors:
            self._rows.append(Row(((int(products.item()), 1.0),), 1.0, 1.0))
        return list(map(int, products.ravel()))

    def _budget(self, room: float) -> list[Row]:
        """Gives the limits as shares of themselves."""
        rows = [
            _share(spent, constant, limit, room)
            for limit, spent, constant in zip(self._limits, self._spent, self._constant, strict=True)
        ]
        for limit in self._problem.budget.limits:
            if limit.metric == "memory":
                for moment in self._terms.moments:
                    stored = [
                        (self._column[tensor, bits], size)
                        for tensor, sizes in moment.stored_bytes.items()
                        for bits, size in zip(self._problem.space.free_widths[tensor], sizes.tolist(), strict=True)
                    ]
                    rows.append(_share(stored, moment.fixed_bytes, limit, room))
        return rows

    def _distances(self, others: Sequence[Widths], apart: int) -> list[Row]:
        most = float(len(self._terms.choices) - apart)
        return [Row(tuple((self._column[pair], 1.0) for pair in other.items()), 0.0, most) for other in others]


def _share(spent: Sequence[tuple[int, float]], constant: float, limit: Limit, room: float) -> Row:
    scale = 1.0 / limit.value if limit.value > 0 else 1.0
    most = (limit.value * room - constant) * scale
    return Row(tuple((column, cost * scale) for column, cost in spent), -np.inf, most)


def _without_constant_axes(tensors: tuple[str, ...], figures: Reals) -> tuple[tuple[str, ...], Reals]:
    """Leaves out the operands whose widths change nothing."""
    kept = []
    for axis, tensor in reversed(list(enumerate(tensors))):
        first = figures.take([0], axis)
        if (figures == first).all():
            figures = first[(slice(None),) * axis + (0,)]
        else:
            kept.append(tensor)
    return tuple(reversed(kept)), figures


def _constraint(rows: Sequence[Row], columns: int) -> LinearConstraint:
    entries = [(row, column, factor) for row, each in enumerate(rows) for column, factor in each.factors]
    places = np.array([entry[:2] for entry in entries], np.int64).reshape(-1, 2)
    factors = np.array([entry[2] for entry in entries], np.float64)
    # What stands twice in a place is summed, as when two terms count for the same width.
    matrix = csr_array((factors, (places[:, 0], places[:, 1])), shape=(len(rows), columns))
    return LinearConstraint(matrix, [row.least for row in rows], [row.most for row in rows])
