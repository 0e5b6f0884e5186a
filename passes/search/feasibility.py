"""Refuses a budget that no policy of a space can meet."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from haqc.budget import Budget, Cost, Limit, Metric
from haqc.errors import InfeasibleBudget
from haqc.graph import Layer
from haqc.policy import Policy, Space

_SCALES: dict[Metric, tuple[tuple[float, str], ...]] = {
    "energy": ((1.0, "J"), (1e-3, "mJ"), (1e-6, "uJ"), (1e-9, "nJ")),
    "latency": ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns")),
    "size": ((2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B")),
    "memory": ((2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B")),
}


def require_feasible(space: Space, budget: Budget, price: Callable[[Policy], Cost], baseline: Cost) -> None:
    """Checks that the cheapest policy holds the budget.

    Args:
        space: the policies that may be proposed.
        budget: the limits, for one batch.
        price: gives the cost of a policy for one batch.
        baseline: cost at uniform 8/8.

    Raises:
        InfeasibleBudget: a limit is below the smallest cost; the message gives that cost and its policy.
    """
    least = cheapest(space, price, budget.excess)
    smallest = price(least)
    over = [limit for limit in budget.limits if not limit.allows(smallest)]
    if not over:
        return
    asked = " and ".join(limit.text for limit in over)
    reachable = " and ".join(_reachable(limit, smallest, baseline) for limit in over)
    advice = " and ".join(_advice(limit, smallest, baseline) for limit in over)
    raise InfeasibleBudget(
        f"budget {asked} cannot be met: the smallest reachable {reachable}, with {describe_widths(least)}; "
        f"allow {advice}, or free pinned layers and narrower widths (--no-default-pins, --min-bits 1)"
    )


def cheapest(space: Space, price: Callable[[Policy], Cost], measure: Callable[[Cost], float]) -> Policy:
    """Finds the policy with the least measure of its cost, or one whose measure is zero.

    It starts from the narrowest legal policy, and gives each layer in turn the allowed pair that lowers the measure
    most, as long as one does. Where every cost falls or stays as widths do, that is the narrowest policy, which is the
    minimum. Elsewhere it is the minimum where layers share no tensor, and for one limit; otherwise nearly so.

    Args:
        space: the policies.
        price: gives the cost of a policy.
        measure: what is made small, at least 0, of a cost.
    """
    best = space.narrowest
    least = measure(price(best))
    is_lowered = True
    while is_lowered and least > 0:
        is_lowered = False
        for layer in space.graph.quantised_layers:
            for candidate in _with_other_pairs(space, best, layer):
                found = measure(price(candidate))
                if found < least:
                    best, least, is_lowered = candidate, found, True
    return best


def _with_other_pairs(space: Space, policy: Policy, layer: Layer) -> Iterator[Policy]:
    """Yields a policy with every other allowed pair of widths of one layer."""
    for bits in space.pairs(layer):
        if bits != policy.bits(layer):
            yield space.with_bits(policy, layer, bits)


def describe_widths(policy: Policy) -> str:
    """Says in a few words which widths the layers of a policy have, the most frequent first."""
    layers = policy.graph.quantised_layers
    names: dict[str, list[str]] = {}
    for layer in layers:
        names.setdefault(str(policy.bits(layer)), []).append(layer.name)
    ranked = sorted(names.items(), key=lambda item: -len(item[1]))
    if not ranked:
        return "nothing to quantise"
    (common, _), *rest = ranked
    exceptions = [f"{_enumerate(layers)} at {bits}" for bits, layers in rest]
    return f"{common} everywhere" + (f" but {' and '.join(exceptions)}" if exceptions else "")


def _enumerate(names: list[str]) -> str:
    """Names up to three layers, and counts more."""
    quoted = [f"'{name}'" for name in names]
    if len(quoted) > 3:
        return f"{len(quoted)} layers"
    return ", ".join(quoted[:-1]) + f" and {quoted[-1]}" if len(quoted) > 1 else quoted[0]


def _reachable(limit: Limit, smallest: Cost, baseline: Cost) -> str:
    value, whole = smallest.value(limit.metric), baseline.value(limit.metric)
    fraction = f"{value / whole:.4g} of 8/8, " if whole > 0 else ""
    return f"{limit.metric} is {fraction}{_with_unit(limit.metric, value)} per batch"


def _advice(limit: Limit, smallest: Cost, baseline: Cost) -> str:
    """The next rounder budget that can be met, as it would be written."""
    value, whole = smallest.value(limit.metric), baseline.value(limit.metric)
    if whole > 0 and value <= whole:
        return f"{limit.metric}={min(1.0, math.ceil(1e3 * value / whole) / 1e3):g}"
    return f"more {limit.metric}"


def _with_unit(metric: Metric, value: float) -> str:
    scales = _SCALES[metric]
    factor, unit = next(((factor, unit) for factor, unit in scales if value >= factor), scales[-1])
    return f"{value / factor:.4g} {unit}"
