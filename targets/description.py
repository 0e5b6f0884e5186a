"""What every target file says, whatever its kind of hardware, and the sentences about what is wrong with one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from haqc.errors import nearest
from haqc.graph import FULL_BITS
from haqc.hardware import Hardware
from haqc.precision import Precision
from haqc.target import Grade, Target

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

    def target(self, name: str, text: str) -> Target:
        """Makes the target of the file ``text``.

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
            hardware=self.hardware(),
            latency_grade=self.grades.latency,
            energy_grade=self.grades.energy,
            sources=(("target", self.source), *((key, table.source) for key, table in tables.items())),
            text=text,
        )


def read_description(
    content: Mapping[str, Any], descriptions: Mapping[str, type[Description]]
) -> Description | list[str]:
    """Reads a parsed target file; gives every mistake in it, one sentence each, when there are any.

    Args:
        content: the parsed file.
        descriptions: what a file may say, by kind.
    """
    kind = content.get("kind")
    if kind is None:
        return [f"key 'kind' is missing; write one of {', '.join(descriptions)}, and the tables that it has"]
    if not isinstance(kind, str) or kind not in descriptions:
        hint = nearest(kind, descriptions) if isinstance(kind, str) else ""
        return [f"key 'kind' must be one of {', '.join(descriptions)}{_given(kind)}{hint}"]
    try:
        return descriptions[kind].model_validate(content)
    except ValidationError as error:
        return [_sentence(detail, descriptions[kind]) for detail in _in_file_order(error)]


def _in_file_order(error: ValidationError) -> Iterator[Mapping[str, Any]]:
    """Yields wrong and unknown keys first, each once: a misspelt key explains the one that is missing."""
    details = error.errors(include_url=False)
    yield from (detail for detail in details if detail["type"] != "missing")
    yield from (detail for detail in details if detail["type"] == "missing")


def _sentence(detail: Mapping[str, Any], description: type[Description]) -> str:
    path = [str(part) for part in detail["loc"]]
    tables = {key: made for key, field in description.model_fields.items() if (made := _table_of(field.annotation))}
    table: type[Table] | None = tables.get(path[0]) if len(path) > 1 else description
    known = list(table.model_fields) if table is not None else []
    place = f" in [{path[0]}]" if len(path) > 1 and known else ""
    key = path[1] if place else path[0]
    if detail["type"] == "missing" and len(path) > (2 if place else 1):
        return f"key '{key}'{place} has an entry that lacks a number; give each entry all of them"
    if detail["type"] == "missing":
        what = f"table [{key}]" if key in tables and not place else f"key '{key}'"
        return f"{what} is missing{place}; {_advice(key)}"
    if detail["type"] == "extra_forbidden":
        with_unit = next((name for name in known if name.startswith(f"{key}_")), None)
        if with_unit is not None:
            return f"key '{key}'{place} lacks its unit; write '{with_unit}'"
        return f"unknown key '{key}'{place}{nearest(key, known)}; allowed are {', '.join(known)}"
    rule = detail["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    rule = rule.replace("String should", "must").replace("Tuple should", "must").replace("a valid tuple", "a list")
    return f"key '{key}'{place} {rule}{_given(detail['input'])}"


def _table_of(annotation: object) -> type[Table] | None:
    """Gives the table that a field holds, if it holds one; optional tables are seen through."""
    candidates = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return next((one for one in candidates if isinstance(one, type) and issubclass(one, Table)), None)


def _advice(key: str) -> str:
    return "say where the numbers come from" if key == "source" else "copy a built-in target and change its numbers"


def _given(value: object) -> str:
    """Tells what stood there, unless it is too long to tell."""
    if isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 2**63):
        return f", not {value}"
    if isinstance(value, str) and 0 < len(value) <= 40:
        return f", not {value!r}"
    return ""
