"""What a report says of prices: of the policy, of its limits, and of the target that they are for."""

from __future__ import annotations

import math
from typing import Any

from haqc.budget import Budget, Cost, Limit
from haqc.costmodel.pricelist import PriceList
from haqc.policy import Policy
from haqc.target import Target

_UNITS = {"energy": "J", "latency": "s", "size": "B", "memory": "B"}


def cost_json(table: PriceList, budget: Budget, policy: Policy) -> dict[str, Any]:
    """Gives a report's block ``cost``: the limits, and the policy beside 8/8 everywhere."""
    before, after = table.baseline, table.price(policy)
    return {
        "budget": [_limit(limit, after) for limit in budget.limits],
        "baseline": before.to_json(),
        "policy": after.to_json(),
        "per_inference": {
            "baseline": _per_inference(before, table.batch),
            "policy": _per_inference(after, table.batch),
        },
    }


def target_json(target: Target, table: PriceList) -> dict[str, Any]:
    """Gives a report's block ``target``."""
    latency_grade, energy_grade = target.grades(table.mode)
    return {
        "name": target.name,
        "title": target.title,
        "kind": target.kind,
        "mode": table.mode,
        "batch": table.batch,
        "latency_grade": latency_grade,
        "energy_grade": energy_grade,
        "sources": dict(target.sources),
    }


def share(part: float, whole: float) -> float | None:
    """Gives a part of a whole, 0 of nothing; nothing where one of them is not priced."""
    return figure(part / whole if whole else 0.0)


def figure(value: float) -> float | None:
    """Gives a figure, or nothing where it is not priced."""
    return None if math.isnan(value) else value


def _limit(limit: Limit, cost: Cost) -> dict[str, Any]:
    value = cost.value(limit.metric)
    return {
        "metric": limit.metric,
        "text": limit.text,
        "limit": limit.value,
        "value": value,
        "unit": _UNITS[limit.metric],
        "share": share(value, limit.value),
        "met": limit.allows(cost),
    }


def _per_inference(cost: Cost, batch: int) -> dict[str, float | None]:
    return {"energy_j": figure(cost.energy_j / batch), "latency_s": figure(cost.latency_s / batch)}
