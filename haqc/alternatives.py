"""Why a layer of the winner has its widths: what stood next to them, what it would cost, and why it was not taken."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from haqc.budget import METRICS, Budget, Cost
from haqc.costmodel.pricelist import PriceList
from haqc.effect import Effect
from haqc.graph import Layer
from haqc.judge import Judge
from haqc.policy import Policy, Space
from haqc.result import SearchResult


@dataclass(frozen=True, slots=True)
class Alternative:
    """The winner with one operand of one layer a width wider or narrower.

    Attributes:
        policy: its widths; where the target does not allow every pair, what has to come along has changed too.
        cost: its cost for one batch.
        is_wider: whether the operand is wider than in the winner.
        loss: how much worse it is, in the metric's unit; ``None`` where that is not known.
        is_measured: whether the search scored it; else the loss is estimated from what operands do alone.
        error: what it adds to the sum of the output errors of operands alone.
    """

    policy: Policy
    cost: Cost
    is_wider: bool
    loss: float | None
    is_measured: bool
    error: float


@dataclass(frozen=True)
class Alternatives:
    """The neighbours of a winner.

    Attributes:
        space: the policies.
        table: their prices.
        budget: the limits.
        effects: what each free operand alone does at each width, by (tensor, bits).
        found: the search.
        judge: says what its scores are worth.
    """

    space: Space
    table: PriceList
    budget: Budget
    effects: Mapping[tuple[str, int], Effect]
    found: SearchResult
    judge: Judge

    def of(self, layer: Layer) -> list[dict[str, Any]]:
        """Gives the field ``alternatives`` of a layer in a report: each operand a width wider, and a width narrower."""
        return [self._to_json(layer, alternative) for alternative in self._beside(layer)]

    def _beside(self, layer: Layer) -> Iterator[Alternative]:
        seen = {self._winner.key}
        for tensor in (layer.weight, layer.activation) if not layer.float_reason else ():
            leader = self.space.graph.leader(tensor)
            widths = self.space.free_widths.get(leader, ())
            for width in _next(widths, self._winner.widths.get(leader, 0)):
                policy = self._moved(leader, width)
                if policy is not None and policy.key not in seen:
                    seen.add(policy.key)
                    yield self._weighed(policy, is_wider=width > self._winner.widths[leader])

    def _moved(self, leader: str, width: int) -> Policy | None:
        """Gives the legal policy nearest to the winner with one operand at a width; ``None`` where there is none."""
        if width > self._winner.widths[leader]:
            return self.space.policy({**self._winner.widths, leader: width})
        return self.space.lowered(self._winner, leader, width)

    def _weighed(self, policy: Policy, *, is_wider: bool) -> Alternative:
        loss = self._measured_loss(policy)
        estimated, error = self._estimated(policy)
        is_measured = loss is not None
        return Alternative(
            policy, self.table.price(policy), is_wider, loss if is_measured else estimated, is_measured, error
        )

    def _measured_loss(self, policy: Policy) -> float | None:
        """Gives what a trial lost against the winner's, by the longer of the fine-tunes that both had."""
        for scores in (self._finalists, self._trials):
            if policy.key in scores and self._winner.key in scores:
                best, other = (self.judge.value_at(scores[key]) for key in (self._winner.key, policy.key))
                worse = best - other if self.judge.metric.traits.higher_is_better else other - best
                return worse if math.isfinite(worse) else None
        return None

    def _estimated(self, policy: Policy) -> tuple[float | None, float]:
        """Gives the points and the output error that the changed operands add, each alone."""
        changed = [t for t in self.space.free_widths if policy.widths[t] != self._winner.widths[t]]
        after = [self.effects[tensor, policy.widths[tensor]] for tensor in changed]
        before = [self.effects[tensor, self._winner.widths[tensor]] for tensor in changed]
        error = sum(effect.output for effect in after) - sum(effect.output for effect in before)
        lost = [(new.lost, old.lost) for new, old in zip(after, before, strict=True)]
        known = [new - old for new, old in lost if new is not None and old is not None]
        is_known = len(known) == len(lost) and self.judge.metric.traits.unit == "%"
        return (sum(known) if is_known else None), error

    def _to_json(self, layer: Layer, alternative: Alternative) -> dict[str, Any]:
        bits = alternative.policy.bits(layer)
        before = self._winner.widths
        moved = (
            self.space.graph.operand[t].layers for t, width in alternative.policy.widths.items() if width != before[t]
        )
        others = {name for names in moved for name in names} - {layer.name}
        return {
            "weight_bits": bits.weight,
            "activation_bits": bits.activation,
            "others": len(others),
            "cost": _difference(alternative.cost, self._cost),
            "loss": alternative.loss,
            "measured": alternative.is_measured,
            "output_error": alternative.error,
            "reason": self._reason(alternative),
        }

    def _reason(self, alternative: Alternative) -> str:
        over = [limit for limit in self.budget.limits if not limit.allows(alternative.cost)]
        if over:
            return (
                f"over {' and '.join(f'{limit.text} by {_percent(limit.excess(alternative.cost))}' for limit in over)}"
            )
        if alternative.is_measured:
            return self._reason_of_trial(alternative.loss)
        return f"within the budget, and not tried; {self._estimate(alternative)}"

    def _reason_of_trial(self, loss: float | None) -> str:
        if loss is None:
            return "within the budget; its score in the search is not finite"
        if loss > 0:
            return f"within the budget; the search scored it {_figure(loss, self._unit)} worse"
        if loss < 0:
            return f"within the budget; the search scored it {_figure(-loss, self._unit)} better, but another one best"
        return "within the budget; scored the same, and was found later or is predicted to lose more"

    def _estimate(self, alternative: Alternative) -> str:
        """Says what an alternative is estimated to change, of which the budget has no need where it is narrower."""
        loss, error = alternative.loss, f"{alternative.error:+.2g} of output error"
        need = "" if alternative.is_wider else "; the budget holds without it"
        if not loss:
            return f"estimated {'at' if loss is None else 'to lose nothing, at'} {error}{need}"
        return f"estimated to {'lose' if loss > 0 else 'gain'} {_figure(abs(loss), self._unit)}, at {error}{need}"

    @property
    def _unit(self) -> str:
        unit = self.judge.metric.traits.unit
        return "points" if unit == "%" else unit

    @property
    def _winner(self) -> Policy:
        return self.found.best.policy

    @cached_property
    def _cost(self) -> Cost:
        return self.table.price(self._winner)

    @cached_property
    def _trials(self) -> dict[str, float]:
        return {trial.policy.key: trial.accuracy for trial in self.found.trials}

    @cached_property
    def _finalists(self) -> dict[str, float]:
        return {trial.policy.key: score.accuracy for trial, score in self.found.finalists}


def _next(widths: tuple[int, ...], width: int) -> Iterator[int]:
    """Yields the next wider and the next narrower of some widths.

    >>> list(_next((2, 4, 8), 4)), list(_next((2, 4, 8), 8)), list(_next((), 8))
    ([8, 2], [4], [])
    """
    yield from [wider for wider in widths if wider > width][:1]
    yield from [narrower for narrower in widths if narrower < width][-1:]


def _figure(value: float, unit: str) -> str:
    return f"{value:.2f} {unit}" if unit == "points" else f"{value:.3g} {unit}".rstrip()


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"


def _difference(after: Cost, before: Cost) -> dict[str, float | None]:
    """Gives the change of each figure; ``None`` where it is not priced."""
    gained = {metric: after.value(metric) - before.value(metric) for metric in METRICS}
    named = Cost(gained["energy"], gained["latency"], gained["size"], gained["memory"])
    return named.to_json()
