"""Which trials may be the best ones once they are reconstructed.

What quantised weights lose, a reconstruction largely learns again; what activations lose stays lost. So a network of
narrower weights and wider activations than the best trial's may overtake it. Which one does, nothing but a
reconstruction says; here is chosen on which to try a short one.
"""

from __future__ import annotations

from haqc.passes.search.problem import Sensitivity
from haqc.passes.search.weighing import Weighing, summed
from haqc.policy import Space
from haqc.result import SearchResult, Trial

WEIGHINGS = (Weighing(1.0, 4.0), Weighing(1.0, 16.0), Weighing(1.0, 1.0))
"""How much more than the errors of weights those of activations count, the most telling first."""


def recoverable(found: SearchResult, space: Space, sensitivity: Sensitivity, count: int) -> list[Trial]:
    """Gives the winner of a search, and for each weighing the trial of least predicted error; no trial twice.

    Args:
        found: the search.
        space: the policies.
        sensitivity: output error that each free operand alone makes at each width, by (tensor, bits).
        count: how many at most.
    """
    chosen = {found.best.policy.key: found.best}
    for weighing in WEIGHINGS:
        errors = summed(weighing.weighed(space, sensitivity), found.trials)
        least = found.trials[errors.index(min(errors))]
        chosen.setdefault(least.policy.key, least)
    return list(chosen.values())[:count]
