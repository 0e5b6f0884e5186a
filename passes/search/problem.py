"""What every allocator is given, and the arithmetic of narrowing and widening that they share."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from haqc.budget import Budget, Cost
from haqc.passes.search.feasibility import cheapest
from haqc.policy import Choice, Policy, Space

Widths = dict[str, int]
"""Width by operand tensor, for the free operands of a space."""

Sensitivity = Mapping[tuple[str, int], float]
"""Output error, at least 0, of one operand alone at a width, by (tensor, bits)."""


NEGLIGIBLE = 1e-9
"""A saving below this share of a limit is rounding."""


@dataclass(frozen=True, slots=True)
class Move:
    """One operand set to another width, and what has to come along where the target does not allow every pair.

    Attributes:
        tensor: the operand.
        width: the width asked for.
        changes: the new width of every operand that changes, this one included.
        cost: cost of the whole policy after the move.
        change: cost saved when narrowing, added when widening, as a sum of shares of limits.
    """

    tensor: str
    width: int
    changes: Widths
    cost: Cost
    change: float


@dataclass(frozen=True)
class Problem:
    """A space, a budget, and what is known before anything is evaluated.

    Attributes:
        space: the policies that may be proposed.
        budget: the limits they must hold.
        price: gives the cost of a policy for one batch.
        sensitivity: output errors of every free operand at every width it may take.
    """

    space: Space
    budget: Budget
    price: Callable[[Policy], Cost]
    sensitivity: Sensitivity

    def __post_init__(self) -> None:
        for choice in self.space.free:
            for width in choice.widths:
                error = self.sensitivity.get((choice.operand.tensor, width), math.nan)
                if not 0 <= error < math.inf:
                    raise ValueError(f"the sensitivity of '{choice.operand.tensor}' at {width} bits is {error}")

    def cost(self, widths: Widths) -> Cost:
        """Prices the policy that has these widths."""
        return self.price(self.space.policy(widths))

    def settled(self, policy: Policy) -> Widths:
        """Gives the widths of a policy's free operands."""
        return {choice.operand.tensor: policy.widths[choice.operand.tensor] for choice in self.space.free}

    def within_budget(self) -> Widths:
        """Gives widths that hold the budget, for a walk that narrowing alone does not lead there."""
        return dict(self._cheapest)

    @cached_property
    def _cheapest(self) -> Widths:
        """The same for every walk, and it prices every pair of every layer a few times."""
        return self.settled(cheapest(self.space, self.price, self.budget.excess))

    def share(self, cost: Cost) -> float:
        """Gives the sum of ``cost`` over the limits, each as a share of its limit."""
        return sum(cost.value(limit.metric) / limit.value for limit in self.budget.limits if limit.value > 0)

    def error(self, policy: Policy) -> float:
        """Gives the sum of the sensitivities of a policy's free operands."""
        tensors = [choice.operand.tensor for choice in self.space.free]
        return sum(self.sensitivity[tensor, policy.widths[tensor]] for tensor in tensors)

    def saved(self, before: Cost, after: Cost) -> float:
        """Gives what ``after`` saves on the limits that ``before`` exceeds, in shares; nothing counts below a limit."""
        return sum(
            (before.value(limit.metric) - max(after.value(limit.metric), limit.value)) / limit.value
            for limit in self.budget.limits
            if not limit.allows(before) and limit.value > 0
        )

    def narrowing(self, widths: Widths, cost: Cost, choice: Choice, reach: int) -> Move | None:
        """Finds the widest narrower width of an operand that saves something on an exceeded limit.

        Args:
            widths, cost: the policy to narrow, and its cost.
            choice: the operand.
            reach: how many widths down to look; plateaus of the cost may be several widths long.
        """
        place = choice.widths.index(widths[choice.operand.tensor])
        within_reach = choice.widths[max(0, place - reach) : place][::-1]
        if len(within_reach) > 2:
            # Costs never rise as widths fall: where the furthest width saves nothing, none between does.
            nearest = self._saving(widths, cost, choice, within_reach[:1])
            if nearest is not None or self._saving(widths, cost, choice, within_reach[-1:]) is None:
                return nearest
        return self._saving(widths, cost, choice, within_reach)

    def widening(self, widths: Widths, cost: Cost, choice: Choice) -> Move | None:
        """Gives the move to the next wider width, or ``None`` where there is none that keeps the budget."""
        wider = [width for width in choice.widths if width > widths[choice.operand.tensor]]
        if not wider:
            return None
        move = self.move(widths, choice, wider[0])
        if move is None or not self.budget.allows(move.cost):
            return None
        return replace(move, change=self.share(move.cost) - self.share(cost))

    def move(self, widths: Widths, choice: Choice, width: int) -> Move | None:
        """Prices one operand at another width, whatever it saves.

        Where its layers do not allow the pair, narrowing narrows their other operands too, and widening widens them.

        Returns:
            ``None`` when the operand cannot have the width, so that nothing would change.
        """
        tensor = choice.operand.tensor
        if self.space.is_product or width > widths[tensor]:
            policy = self.space.policy({**widths, tensor: width})
        else:
            lowered = self.space.lowered(self.space.policy(widths), tensor, width)
            if lowered is None:
                return None
            policy = lowered
        changes = {name: policy.widths[name] for name, before in widths.items() if policy.widths[name] != before}
        return Move(tensor, width, changes, self.price(policy), 0.0) if tensor in changes else None

    def _saving(self, widths: Widths, cost: Cost, choice: Choice, candidates: tuple[int, ...]) -> Move | None:
        """Gives the move to the first of some widths that saves something on an exceeded limit."""
        for width in candidates:
            move = self.move(widths, choice, width)
            if move is not None and (saved := self.saved(cost, move.cost)) > NEGLIGIBLE:
                return replace(move, change=saved)
        return None
