"""What every target file says, whatever its kind of hardware."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from haqc.graph import FULL_BITS
from haqc.hardware import Hardware
from haqc.precision import Precision
from haqc.target import Grade, Target
from haqc.targets.units import unit_of

Count = Annotated[int, Field(gt=0, le=2**30)]
Quantity = Annotated[float, Field(gt=0, le=1e9)]
Text = Annotated[str, Field(min_length=1, max_length=1000)]
Width = Annotated[int, Field(ge=1, le=FULL_BITS)]
Widths = Annotated[tuple[Width, ...], Field(strict=False, min_length=1)]
Pair = Annotated[tuple[Width, Width], Field(strict=False)]
Pairs = Annotated[tuple[Pair, ...], Field(strict=False, min_length=1)]
StoredWidths = Annotated[tuple[Annotated[int, Field(ge=1, le=64)], ...], Field(strict=False, min_length=1)]
Container = Literal["exact", "next-power-of-two"] | StoredWidths
OutputBits = Literal["consumers"] | Annotated[int, Field(gt=0, le=64)]


class Table(BaseModel):
    """One table of a target file: frozen, no unknown key, no implicit conversion, and a source."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, str_strip_whitespace=True)

    source: Text

    @field_validator("*", mode="after")
    @classmethod
    def _is_within_reason(cls, value: Any, info: ValidationInfo) -> Any:
        unit = unit_of(info.field_name or "")
        numbers = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else (value,)
        large = [number for number in numbers if isinstance(number, int | float) and unit and number > unit.largest]
        if unit and large:
            raise ValueError(
                f"must be at most {unit.largest:,.0f} {unit.symbol}, more than any chip has, and not {large[0]:g}; "
                "is it given in another unit?"
            )
        return value


class WidthsTable(Table):
    """The widths that the chip computes with, and how it stores them (:class:`haqc.precision.Precision`)."""

    weight: Widths
    activation: Widths
    pairs: Pairs | None = None
    weight_container: Container = "exact"
    activation_container: Container = "exact"
    has_float: bool = False
    accumulator_bits: Annotated[int, Field(gt=0, le=64)]
    output_bits: OutputBits

    @field_validator("weight", "activation")
    @classmethod
    def _ascends_to_full(cls, widths: tuple[int, ...]) -> tuple[int, ...]:
        if any(left >= right for left, right in pairwise(widths)) or widths[-1] != FULL_BITS:
            raise ValueError(f"must ascend and end with {FULL_BITS}, the width that budgets refer to")
        return widths

    @field_validator("pairs")
    @classmethod
    def _lies_within_widths(
        cls, pairs: tuple[tuple[int, int], ...] | None, info: ValidationInfo
    ) -> tuple[tuple[int, int], ...] | None:
        weights, activations = info.data.get("weight"), info.data.get("activation")
        if pairs is None or weights is None or activations is None:
            return pairs
        outside = [pair for pair in pairs if pair[0] not in weights or pair[1] not in activations]
        if outside:
            raise ValueError(f"must hold [weight, activation] pairs of the widths above, which {outside[0]} is not")
        if (FULL_BITS, FULL_BITS) not in pairs:
            raise ValueError(f"must hold [{FULL_BITS}, {FULL_BITS}], which budgets refer to")
        return pairs

    @field_validator("weight_container", "activation_container")
    @classmethod
    def _holds_full(cls, container: str | tuple[int, ...]) -> str | tuple[int, ...]:
        if isinstance(container, tuple) and max(container) < FULL_BITS:
            raise ValueError(f"must list a container of at least {FULL_BITS} bits")
        return container

    def precision(self) -> Precision:
        """Gives the precision of the chip."""
        return Precision(
            weight_widths=self.weight,
            activation_widths=self.activation,
            pairs=None if self.pairs is None else frozenset(self.pairs),
            weight_container=self.weight_container,
            activation_container=self.activation_container,
            has_float=self.has_float,
            accumulator_bits=self.accumulator_bits,
            output_bits=self.output_bits,
        )


class GradesTable(Table):
    """How far the figures may be trusted."""

    latency: Grade
    energy: Grade


class Description(Table):
    """A whole target file; each kind adds its own tables, and says what hardware they make."""

    title: Text
    kind: str
    batch: Annotated[int, Field(gt=0, le=65_536)]
    widths: WidthsTable
    grades: GradesTable

    def hardware(self) -> Hardware:
        """Converts the tables of a kind to SI.

        Raises:
            TargetError: the parameters contradict one another.
        """
        raise NotImplementedError

    def hardware_in(self, folder: Path) -> Hardware:
        """Converts the tables of a kind that names files beside the target file, in ``folder``; most name none.

        Raises:
            TargetError: the parameters contradict one another, or a file is not there or wrong.
        """
        del folder
        return self.hardware()

    def target(self, name: str, text: str, folder: Path) -> Target:
        """Makes the target of the file ``text``, which lies in ``folder``.

        Raises:
            TargetError: the parameters contradict one another.
        """
        keys = [*(key for key in type(self).model_fields if key != "grades"), "grades"]
        tables = {key: value for key in keys if isinstance(value := getattr(self, key), Table)}
        return Target(
            name=name,
            title=self.title,
            batch=self.batch,
            precision=self.widths.precision(),
            hardware=self.hardware_in(folder),
            latency_grade=self.grades.latency,
            energy_grade=self.grades.energy,
            sources=(("target", self.source), *((key, table.source) for key, table in tables.items())),
            text=text,
        )
