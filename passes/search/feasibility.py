"""Refuses a budget that no policy of a space can meet."""

from __future__ import annotations

import math

from haqc.budget import Budget, Cost, Limit, Metric
from haqc.errors import InfeasibleBudget
from haqc.policy import Policy, Space

_SCALES: dict[Metric, tuple[tuple[float, str], ...]] = {
    "energy": ((1.0, "J"), (1e-3, "mJ"), (1e-6, "uJ"), (1e-9, "nJ")),
    "latency": ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns")),
    "size": ((2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B")),
    "memory": ((2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B")),
}


def require_feasible(space: Space, budget: Budget, smallest: Cost, baseline: Cost) -> None:
    """Checks that the narrowest policy holds the budget: every cost falls or stays as widths do, so it is the minimum.

    Args:
        space: the policies that may be proposed.
        budget: the limits, for one batch.
        smallest: cost of ``space.narrowest``.
        baseline: cost at uniform 8/8.

    Raises:
        InfeasibleBudget: a limit is below the smallest cost; the message gives that cost and its policy.
    """
    over = [limit for limit in budget.limits if not limit.allows(smallest)]
    if not over:
        return
    asked = " and ".join(limit.text for limit in over)
    reachable = " and ".join(_reachable(limit, smallest, baseline) for limit in over)
    advice = " and ".join(_advice(limit, smallest, baseline) for limit in over)
    raise InfeasibleBudget(
        f"budget {asked} cannot be met: the smallest reachable {reachable}, with {describe_widths(space.narrowest)}; "
        f"allow {advice}, or free pinned layers and narrower widths (--no-default-pins, --min-bits 1)"
    )


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
