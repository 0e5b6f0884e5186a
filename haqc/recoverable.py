"""Which trials may be the best ones once they are reconstructed.

What quantised weights lose, a reconstruction largely learns again; what activations lose stays lost. So a network of
narrower weights and wider activations than the best trial's may overtake it. Which one does, nothing but a
reconstruction says; here is chosen on which to try a short one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from haqc.effect import Effect
from haqc.policy import Space
from haqc.result import SearchResult, Trial

FACTORS = (4.0, 16.0, 1.0)
"""How much more than the errors of weights those of activations count, the most telling first."""


def recoverable(
    found: SearchResult, space: Space, effects: Mapping[tuple[str, int], Effect], count: int
) -> list[Trial]:
    """Gives the winner of a search, and for each factor the trial of least predicted error; no trial twice.

    Args:
        found: the search.
        space: the policies.
        effects: what each free operand alone does at each width, by (tensor, bits).
        count: how many at most.
    """
    weights = [choice.operand.tensor for choice in space.free if choice.operand.kind == "weight"]
    others = [choice.operand.tensor for choice in space.free if choice.operand.kind != "weight"]

    def error(trial: Trial, tensors: Sequence[str]) -> float:
        return sum(effects[tensor, trial.policy.widths[tensor]].output for tensor in tensors)

    errors = [(error(trial, weights), error(trial, others)) for trial in found.trials]
    chosen = {found.best.policy.key: found.best}
    for factor in FACTORS:
        least = min(range(len(errors)), key=lambda index: errors[index][0] + factor * errors[index][1])
        chosen.setdefault(found.trials[least].policy.key, found.trials[least])
    return list(chosen.values())[:count]
