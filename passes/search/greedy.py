"""The greedy allocator: marginal sensitivity per marginal cost, down to the budget and up again into the slack."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from haqc.budget import Cost, Metric
from haqc.graph import FULL_BITS, Graph
from haqc.passes.search.evaluator import Account
from haqc.passes.search.problem import Move, Problem, Sensitivity, Widths
from haqc.passes.search.weighing import WEIGHINGS
from haqc.policy import Choice, Policy

Find = Callable[[Widths, Cost, Choice], Move | None]


def propose_greedy(problem: Problem, account: Account, batch: int) -> None:
    """Evaluates one greedy policy per weighing, without repeats, as far as the allowance goes."""
    policies: dict[str, Policy] = {}
    for weighing in WEIGHINGS:
        if policies and not account.has_time:
            break
        widths = Descent(problem, weighing.of(problem)).run()
        policy = problem.space.policy(widths)
        policies.setdefault(policy.key, policy)
    account.evaluate_all(list(policies.values())[: account.remaining], batch)


class Descent:
    """One greedy walk into the budget.

    Moves are remembered until something they depend on changes. A layer's cost depends on the widths of what it reads
    and of what it writes, so one move spoils only the moves of neighbours; peak memory depends on all activations,
    which matters while it is exceeded. Where the target does not allow every pair of widths, a move takes along what it
    must, and one that was remembered is made anew when it is taken.

    Args:
        problem: the problem.
        weighed: what each width of each free operand adds to the error, by (tensor, bits).
        start: where it begins; by default at the widest policy.
    """

    def __init__(self, problem: Problem, weighed: Sensitivity, start: Widths | None = None) -> None:
        self._problem = problem
        self._weighed = weighed
        self._choices = {choice.operand.tensor: choice for choice in problem.space.free}
        self._neighbours = _neighbours(problem.space.graph)
        self._widths = problem.settled(problem.space.widest if start is None else problem.space.policy(start))
        self._cost = problem.cost(self._widths)

    def run(self) -> Widths:
        """Gives the widths at which the walk ends: within the budget, with no widening left that is worth its cost."""
        self._narrow()
        self._widen()
        return self._widths

    def _narrow(self) -> None:
        """Takes the moves with the least added error per saved share, until the budget holds.

        When nothing saves alone, as where two tensors tie for the peak, the least error is added blindly; widening
        undoes what turns out to have been in vain. When nothing can be narrowed and the budget does not hold, as may be
        where narrower is not always cheaper, the walk goes on from the cheapest policy.
        """
        find: Find = lambda widths, cost, choice: self._problem.narrowing(widths, cost, choice, FULL_BITS)  # noqa: E731
        moves: dict[str, Move] = {}
        stale: Iterable[str] = self._choices
        while not self._problem.budget.allows(self._cost):
            self._refresh(moves, stale, find)
            if not moves and not self._problem.space.is_product:
                self._refresh(moves, self._choices, find)  # what has come along may have freed others further away
            if moves:
                taken = min(moves.values(), key=lambda move: self._added_error(move) / move.change)
            else:
                blind = list(self._blind_moves())
                if not blind:
                    self._widths = self._problem.within_budget()
                    self._cost = self._problem.cost(self._widths)
                    return
                taken = min(blind, key=self._added_error)
            stale = self._take(taken)
            if not stale:
                moves.pop(taken.tensor, None)

    def _widen(self) -> None:
        """Takes the moves with the most error removed per added share, free ones first, while the budget allows."""
        moves: dict[str, Move] = {}
        stale: Iterable[str] = self._choices
        while True:
            self._refresh(moves, stale, self._problem.widening)
            worthwhile = [move for move in moves.values() if self._added_error(move) < 0]
            if not worthwhile and stale is not self._choices:
                stale = self._choices  # where wider may be cheaper, room was made for what did not fit before
                continue
            if not worthwhile:
                return
            best = min(worthwhile, key=self._rank_of_widening)
            # What else was widened may have used up the slack, or raised the peak, that a remembered move counts on.
            stale = [best.tensor]
            fresh = self._problem.widening(self._widths, self._cost, self._choices[best.tensor])
            if fresh is not None and self._rank_of_widening(fresh) <= self._rank_of_widening(best):
                stale = self._take(fresh)

    def _rank_of_widening(self, move: Move) -> tuple[bool, float]:
        is_free = move.change <= 0
        return not is_free, self._added_error(move) / (1.0 if is_free else move.change)

    def _refresh(self, moves: dict[str, Move], stale: Iterable[str], find: Find) -> None:
        for tensor in stale:
            move = find(self._widths, self._cost, self._choices[tensor])
            moves.pop(tensor, None)
            if move is not None:
                moves[tensor] = move

    def _take(self, move: Move) -> list[str]:
        """Makes a move; gives the operands whose remembered moves it spoils, none when it cannot be made any more."""
        made = self._problem.move(self._widths, self._choices[move.tensor], move.width)
        if made is None:
            return []
        before = self._exceeded()
        self._widths = {**self._widths, **made.changes}
        self._cost = made.cost
        after = self._exceeded()
        if before != after:
            return list(self._choices)
        spoilt = set(made.changes).union(*(self._neighbours.get(tensor, set()) for tensor in made.changes))
        if "memory" in after:
            spoilt |= {t for t, choice in self._choices.items() if choice.operand.kind == "activation"}
        return [other for other in self._choices if other in spoilt]

    def _exceeded(self) -> set[Metric]:
        return {limit.metric for limit in self._problem.budget.limits if not limit.allows(self._cost)}

    def _added_error(self, move: Move) -> float:
        return sum(
            self._weighed[tensor, new] - self._weighed[tensor, self._widths[tensor]]
            for tensor, new in move.changes.items()
        )

    def _blind_moves(self) -> Iterator[Move]:
        for tensor, choice in self._choices.items():
            narrower = [width for width in choice.widths if width < self._widths[tensor]]
            move = self._problem.move(self._widths, choice, narrower[-1]) if narrower else None
            if move is not None:
                yield move


def _neighbours(graph: Graph) -> dict[str, set[str]]:
    """Gives for each tensor those that a layer has to do with at the same time."""
    found: dict[str, set[str]] = {}
    for layer in graph.quantised_layers:
        together = {graph.leader(tensor) for tensor in (layer.weight, layer.activation, layer.output)}
        for tensor in together:
            found.setdefault(tensor, set()).update(together)
    return found
