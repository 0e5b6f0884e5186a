"""What a verification found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Compared = Literal["codes", "weights", "values"]


@dataclass(frozen=True, slots=True)
class TensorDifference:
    """How one tensor compares: of codes the largest difference is whole, of floats a share of their magnitude."""

    tensor: str
    values: int
    different: int
    largest: float
    ok: bool


@dataclass(frozen=True, slots=True)
class Consumer:
    """What one runtime, at one setting, made of the file.

    Attributes:
        name: the runtime and its setting.
        against: what it was compared with.
        ok: whether it is equal by the rule.
        compared: what was compared: ``codes``, or of weight-only files ``weights`` and ``values`` between layers.
        tensors, values, different: how much was compared, and how many codes, weights or values differ.
        worst: the tensor with the largest share of differences, or ``None``.
        first_difference: the first tensor that breaks the rule, in graph order, in words; ``None`` when none does.
    """

    name: str
    against: str
    compared: Compared
    ok: bool
    tensors: int
    values: int
    different: int
    worst: TensorDifference | None
    first_difference: str | None

    def to_json(self) -> dict[str, Any]:
        """Gives the consumer as in ``report.json``."""
        content = asdict(self)
        content["share"] = self.different / self.values if self.values else 0.0
        if self.worst is not None:
            share = self.worst.different / self.worst.values
            content["worst"] = {"tensor": self.worst.tensor, "share": share, "largest": self.worst.largest}
        return content


@dataclass(frozen=True, slots=True)
class Verification:
    """The verdict over one emitted file."""

    probes: int
    consumers: tuple[Consumer, ...]

    @property
    def ok(self) -> bool:
        """Whether every consumer is equal by the rule."""
        return all(consumer.ok for consumer in self.consumers)

    @property
    def first_difference(self) -> str:
        """The first difference that breaks the rule, in words; empty when there is none."""
        return next((f"{c.name}: {c.first_difference}" for c in self.consumers if c.first_difference), "")

    def to_json(self) -> dict[str, Any]:
        """Gives the verdict as in ``report.json``."""
        consumers = [consumer.to_json() for consumer in self.consumers]
        return {"checker": "passed", "probes": self.probes, "ok": self.ok, "consumers": consumers}


def consumer(
    name: str, against: str, compared: Compared, differences: Sequence[TensorDifference], output: str | None
) -> Consumer:
    """Sums up how the tensors compare; ``output`` says how an output of the model differs, if one does."""
    broken = next((d for d in differences if not d.ok), None)
    first = output
    if broken is not None:
        first = (
            f"the {compared} of tensor '{broken.tensor}' differ from {against} on {broken.different} of "
            f"{broken.values} values, by up to {broken.largest:g}"
        )
    return Consumer(
        name=name,
        against=against,
        compared=compared,
        ok=first is None,
        tensors=len(differences),
        values=sum(d.values for d in differences),
        different=sum(d.different for d in differences),
        worst=max(differences, key=lambda d: d.different / d.values, default=None),
        first_difference=first,
    )
