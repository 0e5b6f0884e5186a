"""What a verification found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from haqc.formats import MAIN_FILE

Compared = Literal["codes", "weights", "values"]
Status = Literal["equal", "differs", "refused", "absent"]


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
    """What one runtime, at one setting, made of a file.

    Attributes:
        name: the runtime and its setting.
        version: its version; empty where it is absent or fails before it says so.
        status: ``equal`` by the rule, ``differs``, ``refused`` where it fails on the file, ``absent`` where it is not
            installed.
        against: what it was compared with.
        compared: what was compared: ``codes``, or of weight-only files ``weights`` and ``values`` between layers.
        tensors, values, different: how much was compared, and how many codes, weights or values differ.
        worst: the tensor with the largest share of differences, or ``None``.
        first_difference: the first tensor that breaks the rule, in graph order, or why the file is refused, in words;
            ``None`` where there is neither.
        decides: whether the file counts as wrong where it is not equal here.
        file: the file that was read.
    """

    name: str
    version: str
    status: Status
    against: str
    compared: Compared
    tensors: int = 0
    values: int = 0
    different: int = 0
    worst: TensorDifference | None = None
    first_difference: str | None = None
    decides: bool = True
    file: str = MAIN_FILE

    @property
    def ok(self) -> bool | None:
        """Whether it is equal by the rule; ``None`` where the runtime is absent."""
        return None if self.status == "absent" else self.status == "equal"

    def to_json(self) -> dict[str, Any]:
        """Gives the consumer as in ``report.json``."""
        worst = None
        if self.worst is not None:
            share = self.worst.different / self.worst.values
            worst = {"tensor": self.worst.tensor, "share": share, "largest": self.worst.largest}
        return {
            "consumer": self.name,
            "version": self.version,
            "file": self.file,
            "status": self.status,
            "detail": self.first_difference or "",
            "decides": self.decides,
            "name": self.name,
            "against": self.against,
            "compared": self.compared,
            "ok": self.ok,
            "tensors": self.tensors,
            "values": self.values,
            "different": self.different,
            "worst": worst,
            "first_difference": self.first_difference,
            "share": self.different / self.values if self.values else 0.0,
        }


@dataclass(frozen=True, slots=True)
class Verification:
    """The verdict over the emitted files.

    Attributes:
        probes: inputs that were compared.
        consumers: what each runtime made of each file.
        margins: steps around a tie within which codes may differ, by tensor, where these are more than usual.
    """

    probes: int
    consumers: tuple[Consumer, ...]
    margins: Mapping[str, float] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether every consumer that decides, and is there, is equal by the rule."""
        return self._first is None

    @property
    def first_difference(self) -> str:
        """The first difference that makes a file wrong, in words; empty when there is none."""
        return "" if self._first is None else f"{self._first.name}: {self._first.first_difference}"

    @property
    def first_file(self) -> str:
        """The file that this is about; empty when there is none."""
        return "" if self._first is None else self._first.file

    @property
    def _first(self) -> Consumer | None:
        return next((consumer for consumer in self.consumers if consumer.decides and consumer.ok is False), None)

    def to_json(self) -> dict[str, Any]:
        """Gives the verdict as in ``report.json``."""
        consumers = [consumer.to_json() for consumer in self.consumers]
        margins = [{"tensor": tensor, "steps": steps} for tensor, steps in self.margins.items()]
        return {"checker": "passed", "probes": self.probes, "ok": self.ok, "margins": margins, "consumers": consumers}

    def of_file(self, file: str) -> Verification:
        """Gives the same verdict, of a file of this name."""
        return replace(self, consumers=tuple(replace(consumer, file=file) for consumer in self.consumers))

    def with_consumers(self, *consumers: Consumer) -> Verification:
        """Gives the verdict with more consumers."""
        return replace(self, consumers=(*self.consumers, *consumers))


def consumer(
    name: str,
    version: str,
    against: str,
    compared: Compared,
    differences: Sequence[TensorDifference],
    output: str | None,
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
        version=version,
        status="equal" if first is None else "differs",
        against=against,
        compared=compared,
        tensors=len(differences),
        values=sum(d.values for d in differences),
        different=sum(d.different for d in differences),
        worst=max(differences, key=lambda d: d.different / d.values, default=None),
        first_difference=first,
    )
