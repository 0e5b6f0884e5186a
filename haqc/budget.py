"""What a policy costs, and what it may cost."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal, get_args

from haqc.errors import BudgetError, nearest

Metric = Literal["energy", "latency", "size", "memory"]
METRICS: tuple[Metric, ...] = get_args(Metric)

UNITS: dict[Metric, dict[str, float]] = {
    "energy": {"J": 1.0, "mJ": 1e-3, "uJ": 1e-6, "nJ": 1e-9, "pJ": 1e-12},
    "latency": {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9},
    "size": {"B": 1.0, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30},
    "memory": {"B": 1.0, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30},
}
"""Units that an absolute budget may carry, as factors to joules, seconds and bytes."""

_EXAMPLE: dict[Metric, str] = {"energy": "mJ", "latency": "ms", "size": "KiB", "memory": "KiB"}
FIELDS: dict[Metric, str] = {
    "energy": "energy_j",
    "latency": "latency_s",
    "size": "weight_bytes",
    "memory": "peak_activation_bytes",
}
"""The figure of a :class:`Cost` that each metric is of."""


def known_metric(name: str) -> Metric:
    """Gives the metric of a name.

    Raises:
        BudgetError: there is none.
    """
    metric = next((known for known in METRICS if known == name), None)
    if metric is None:
        raise BudgetError(f"unknown budget metric '{name}'{nearest(name, METRICS)}; allowed are {', '.join(METRICS)}")
    return metric


@dataclass(frozen=True, slots=True)
class Cost:
    """What a layer or a network costs for one batch of the target.

    Attributes:
        energy_j: energy of one batch, in joules.
        latency_s: time of one batch, in seconds.
        weight_bytes: stored weights, packed at their widths.
        peak_activation_bytes: largest sum of live activations over the schedule, for one batch. It belongs to a
            whole policy; a sum of costs keeps the larger of the two.
    """

    energy_j: float = 0.0
    latency_s: float = 0.0
    weight_bytes: float = 0.0
    peak_activation_bytes: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.energy_j + other.energy_j,
            self.latency_s + other.latency_s,
            self.weight_bytes + other.weight_bytes,
            max(self.peak_activation_bytes, other.peak_activation_bytes),
        )

    def value(self, metric: Metric) -> float:
        """Gives the figure of one metric, in joules, seconds or bytes."""
        return float(getattr(self, FIELDS[metric]))

    def to_json(self) -> dict[str, float | None]:
        """Gives the four figures under their field names; what is not priced, and so no number, is null."""
        values = {metric: self.value(metric) for metric in METRICS}
        return {FIELDS[metric]: None if math.isnan(value) else value for metric, value in values.items()}


@dataclass(frozen=True, slots=True)
class Limit:
    """An upper bound on one metric, for one batch, in joules, seconds or bytes."""

    metric: Metric
    value: float
    text: str

    def allows(self, cost: Cost) -> bool:
        """Whether ``cost`` lies within the limit."""
        return cost.value(self.metric) <= self.value

    def excess(self, cost: Cost) -> float:
        """How far ``cost`` is over, as a share of the limit; 0 when it is within."""
        return 0.0 if self.allows(cost) else cost.value(self.metric) / self.value - 1.0


@dataclass(frozen=True, slots=True)
class Demand:
    """One ``METRIC=VALUE`` as the user wrote it: a fraction of the 8/8 baseline, or an absolute value.

    Attributes:
        metric: what is bounded.
        amount: the fraction, or the value in joules, seconds or bytes.
        is_fraction: whether ``amount`` is a fraction of the model at uniform 8/8 on the same target and batch.
        text: the words of the user.
    """

    metric: Metric
    amount: float
    is_fraction: bool
    text: str

    @classmethod
    def of_share(cls, metric: Metric, share: float) -> Demand:
        """Demands at most a share of what 8/8 costs.

        >>> Demand.of_share("energy", 0.5) == Demand.parse("energy=0.5")
        True
        """
        return cls(metric, share, True, f"{metric}={share:.12g}")

    @classmethod
    def parse(cls, text: str) -> Demand:
        """Reads ``energy=0.5`` or ``latency=10ms``.

        Raises:
            BudgetError: the text is malformed; the message says what would be right.

        >>> Demand.parse("energy=0.5").amount
        0.5
        >>> Demand.parse("latency=10ms").amount
        0.01
        """
        name, equals, value = text.partition("=")
        if not equals:
            raise BudgetError(f"budget '{text}' lacks '='; write METRIC=VALUE, for example energy=0.5 or latency=10ms")
        metric = known_metric(name.strip())
        match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?)\s*([A-Za-zµμ]*)\s*", value)
        if match is None:
            raise BudgetError(
                f"budget '{text}' has no number above zero; write a fraction such as {metric}=0.5 "
                f"or a value with a unit such as {metric}=10{_EXAMPLE[metric]}"
            )
        number = float(match[1])
        unit = match[2].translate({0xB5: "u", 0x3BC: "u"})  # the micro sign and the Greek letter
        if not unit:
            if not 0 < number <= 1:
                hint = f"; did you mean {metric}={match[1]}{_EXAMPLE[metric]}?" if 1 < number < math.inf else ""
                raise BudgetError(f"budget '{text}' is no fraction in (0, 1]{hint}")
            return cls(metric, number, True, text)
        factor = UNITS[metric].get(unit)
        if factor is None:
            allowed = ", ".join(UNITS[metric])
            raise BudgetError(f"unknown unit '{unit}' in budget '{text}'; {metric} takes {allowed}")
        amount = number * factor
        if not 0 < amount < math.inf:
            raise BudgetError(
                f"budget '{text}' must be above zero and finite; write for example {metric}=10{_EXAMPLE[metric]}"
            )
        return cls(metric, amount, False, text)


@dataclass(frozen=True, slots=True)
class Goal:
    """A cost to make as small as the quality allows.

    Attributes:
        metric: the cost.
        max_drop: points by which the quality on the search split may lie under the float reference.
    """

    metric: Metric
    max_drop: float

    def __post_init__(self) -> None:
        if not 0 <= self.max_drop < math.inf:
            raise BudgetError(f"--max-drop {self.max_drop:g} is no loss; give the points that may be lost, such as 0.5")

    @classmethod
    def parse(cls, metric: str | None, max_drop: float | None) -> Goal | None:
        """Reads what stands behind ``--minimise`` and ``--max-drop``, which need each other.

        Raises:
            BudgetError: one is missing, or wrong.
        """
        if metric is None and max_drop is None:
            return None
        if metric is None:
            raise BudgetError(
                "--max-drop says how much quality may be lost, and not for what; add --minimise energy, or another of "
                f"{', '.join(METRICS)}"
            )
        if max_drop is None:
            raise BudgetError(
                f"--minimise {metric} needs to know how many points of quality may be lost; add --max-drop 0.5"
            )
        return cls(known_metric(metric), max_drop)


@dataclass(frozen=True, slots=True)
class Budget:
    """Several limits that hold together, resolved against a model's baseline."""

    limits: tuple[Limit, ...]

    @classmethod
    def resolve(cls, demands: tuple[Demand, ...], baseline: Cost, batch: int) -> Budget:
        """Turns demands into limits for one batch.

        Args:
            demands: what the user asked for.
            baseline: cost of the model at uniform 8/8 on the same target and batch.
            batch: inferences in one batch; absolute energy is given for one inference.
        """
        limits = []
        for demand in demands:
            if demand.is_fraction:
                value = demand.amount * baseline.value(demand.metric)
            else:
                value = demand.amount * (batch if demand.metric == "energy" else 1)
            limits.append(Limit(demand.metric, value, demand.text))
        return cls(tuple(limits))

    def allows(self, cost: Cost) -> bool:
        """Whether ``cost`` lies within every limit."""
        return all(limit.allows(cost) for limit in self.limits)

    def excess(self, cost: Cost) -> float:
        """The sum of how far ``cost`` is over each limit, as shares; 0 exactly when it is allowed."""
        return sum(limit.excess(cost) for limit in self.limits)
