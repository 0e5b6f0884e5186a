"""What a key of a target file may hold, in words read off its type."""

from __future__ import annotations

from collections.abc import Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from haqc.targets.description import Table
from haqc.targets.units import unit_of


def table_of(annotation: object) -> type[Table] | None:
    """Gives the table that a field holds, if it holds one; optional tables and lists of tables are seen through."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return annotation if issubclass(annotation, Table) else None
    if get_origin(annotation) in (Union, UnionType, tuple, list, Annotated):
        return next((table for one in get_args(annotation) if (table := table_of(one))), None)
    return None


def described(key: str, field: FieldInfo) -> str:
    """Gives what a key may hold: its type and its range, no further than its unit goes within reason.

    >>> from pydantic import Field
    >>> described("dot_bits", FieldInfo.from_annotation(Annotated[int, Field(gt=0, le=64)]))
    'a whole number from 1 to 64'
    """
    unit = unit_of(key)
    return _words(field.annotation, field.metadata, None if unit is None else unit.largest)


def _words(annotation: object, metadata: Sequence[object], largest: float | None) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        inner = [one for item in arguments[1:] for one in (item.metadata if isinstance(item, FieldInfo) else [item])]
        return _words(arguments[0], inner, largest)
    if origin in (Union, UnionType):
        return " or ".join(_words(one, (), largest) for one in arguments if one is not NoneType)
    if origin is Literal:
        return " or ".join(f'"{value}"' for value in arguments)
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return f"a list{_length(metadata)}, each {_words(arguments[0], (), largest)}"
        return f"[{', '.join(_words(one, (), largest) for one in arguments)}]"
    if origin is dict:
        return f"a table by name, each {_words(arguments[1], (), largest)}"
    table = table_of(annotation)
    if table is not None:
        return "a table"
    names = {bool: "true or false", str: "text", int: "a whole number", float: "a number"}
    return names.get(annotation, "a value") + _range(annotation, metadata, largest)  # type: ignore[call-overload, no-any-return]


def _range(annotation: object, metadata: Sequence[object], largest: float | None) -> str:
    low, high = _bound(metadata, "ge"), _bound(metadata, "le")
    above, below = _bound(metadata, "gt"), _bound(metadata, "lt")
    high = high if largest is None else min(largest, largest if high is None else high)
    if annotation is int:
        low = low if above is None else above + 1
        high = high if below is None else below - 1
        above = below = None
    if low is not None and high is not None:
        return f" from {_number(low)} to {_number(high)}"
    words = [
        *([f"from {_number(low)}"] if low is not None else []),
        *([f"above {_number(above)}"] if above is not None else []),
        *([f"below {_number(below)}"] if below is not None else []),
        *([f"at most {_number(high)}"] if high is not None else []),
    ]
    return f" {', '.join(words)}" if words and annotation in (int, float) else ""


def _length(metadata: Sequence[object]) -> str:
    least, most = _bound(metadata, "min_length"), _bound(metadata, "max_length")
    if least is not None and least == most:
        return f" of {least}"
    return f" of at most {most}" if most is not None else ""


def _bound(metadata: Sequence[object], name: str) -> Any:
    return next((bound for item in metadata if (bound := getattr(item, name, None)) is not None), None)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"
