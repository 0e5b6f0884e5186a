"""What a target file may say, key by key, and its conversion to SI."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from haqc.errors import nearest
from haqc.graph import FULL_BITS
from haqc.target import BitSerial, DepthwiseMode, Grade, Target

_MEGA, _PICO = 1e6, 1e-12

Count = Annotated[int, Field(gt=0, le=2**30)]
Quantity = Annotated[float, Field(gt=0, le=1e9)]
Text = Annotated[str, Field(min_length=1, max_length=1000)]
Widths = Annotated[tuple[Annotated[int, Field(ge=1, le=FULL_BITS)], ...], Field(strict=False, min_length=1)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, str_strip_whitespace=True)

    source: Text


class WidthsTable(_Table):
    """The widths that the chip computes with."""

    weight: Widths
    activation: Widths

    @field_validator("weight", "activation")
    @classmethod
    def _ascends_to_full(cls, widths: tuple[int, ...]) -> tuple[int, ...]:
        if any(left >= right for left, right in pairwise(widths)) or widths[-1] != FULL_BITS:
            raise ValueError(f"must ascend and end with {FULL_BITS}, the width that budgets refer to")
        return widths


class ArrayTable(_Table):
    """The array of dot-product units."""

    clock_mhz: Quantity
    rows: Annotated[int, Field(gt=0, le=4096)]
    dot_bits: Count
    depthwise: DepthwiseMode


class MemoryTable(_Table):
    """On-chip buffers and the way to DRAM."""

    fetch_bits_per_cycle: Count
    buffer_words: Count
    output_bits: Annotated[int, Field(gt=0, le=64)]


class EnergyTable(_Table):
    """Energy per action."""

    binary_mac_energy_pj: Quantity
    dram_energy_pj_per_bit: Quantity


class GradesTable(_Table):
    """How far the figures may be trusted."""

    latency: Grade
    energy: Grade


class BitSerialDescription(_Table):
    """A whole target file of kind ``bit-serial``."""

    title: Text
    kind: Literal["bit-serial"]
    batch: Annotated[int, Field(gt=0, le=65_536)]
    widths: WidthsTable
    array: ArrayTable
    memory: MemoryTable
    energy: EnergyTable
    grades: GradesTable

    def target(self, name: str, text: str) -> Target:
        """Converts to SI.

        Raises:
            TargetError: the parameters contradict one another.
        """
        tables = {key: value for key in type(self).model_fields if isinstance(value := getattr(self, key), _Table)}
        return Target(
            name=name,
            title=self.title,
            batch=self.batch,
            weight_widths=self.widths.weight,
            activation_widths=self.widths.activation,
            hardware=BitSerial(
                clock_hz=self.array.clock_mhz * _MEGA,
                rows=self.array.rows,
                dot_bits=self.array.dot_bits,
                fetch_bits_per_cycle=self.memory.fetch_bits_per_cycle,
                buffer_words=self.memory.buffer_words,
                depthwise=self.array.depthwise,
                binary_mac_energy_j=self.energy.binary_mac_energy_pj * _PICO,
                dram_energy_j_per_bit=self.energy.dram_energy_pj_per_bit * _PICO,
                output_bits=self.memory.output_bits,
            ),
            latency_grade=self.grades.latency,
            energy_grade=self.grades.energy,
            sources=(("target", self.source), *((key, table.source) for key, table in tables.items())),
            text=text,
        )


def read_description(content: Mapping[str, Any]) -> BitSerialDescription | list[str]:
    """Reads a parsed target file; gives every mistake in it, one sentence each, when there are any."""
    try:
        return BitSerialDescription.model_validate(content)
    except ValidationError as error:
        return [_sentence(detail) for detail in _in_file_order(error)]


def _in_file_order(error: ValidationError) -> Iterator[Mapping[str, Any]]:
    """Yields wrong and unknown keys first: a misspelt key explains the one that is missing."""
    details = error.errors(include_url=False)
    yield from (detail for detail in details if detail["type"] != "missing")
    yield from (detail for detail in details if detail["type"] == "missing")


def _sentence(detail: Mapping[str, Any]) -> str:
    path = [str(part) for part in detail["loc"]]
    tables = {key: field.annotation for key, field in BitSerialDescription.model_fields.items()}
    table = tables.get(path[0]) if len(path) > 1 else BitSerialDescription
    known = list(table.model_fields) if isinstance(table, type) and issubclass(table, BaseModel) else []
    place = f" in [{path[0]}]" if len(path) > 1 and known else ""
    key = path[1] if place else path[0]
    if detail["type"] == "missing":
        return f"{_noun(key, tables if not place else {})} is missing{place}; {_advice(key)}"
    if detail["type"] == "extra_forbidden":
        with_unit = next((name for name in known if name.startswith(f"{key}_")), None)
        if with_unit is not None:
            return f"key '{key}'{place} lacks its unit; write '{with_unit}'"
        return f"unknown key '{key}'{place}{nearest(key, known)}; allowed are {', '.join(known)}"
    rule = detail["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    rule = rule.replace("String should", "must").replace("Tuple should", "must").replace("a valid tuple", "a list")
    return f"key '{key}'{place} {rule}{_given(detail['input'])}"


def _noun(key: str, tables: Mapping[str, object]) -> str:
    kind = tables.get(key)
    return f"table [{key}]" if isinstance(kind, type) and issubclass(kind, BaseModel) else f"key '{key}'"


def _advice(key: str) -> str:
    return "say where the numbers come from" if key == "source" else "copy a built-in target and change its numbers"


def _given(value: object) -> str:
    """Tells what stood there, unless it is too long to tell."""
    if isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 2**63):
        return f", not {value}"
    if isinstance(value, str) and 0 < len(value) <= 40:
        return f", not {value!r}"
    return ""
