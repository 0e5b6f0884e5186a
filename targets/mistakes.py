"""What is wrong with a target file: one sentence a mistake, with its line, the key, and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from haqc.errors import nearest
from haqc.targets.description import Description, Table
from haqc.targets.lines import KeyPath, Located
from haqc.targets.types import described, table_of

_RANGE_ERRORS = ("greater_than", "greater_than_equal", "less_than", "less_than_equal", "int_type", "float_type")


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake.

    Attributes:
        line: the line of the file that it stands in, from 1.
        sentence: what is wrong, what is allowed, what to do.
        missing: the key that is missing, if that is the mistake.
    """

    line: int
    sentence: str
    missing: str = ""

    def __str__(self) -> str:
        return f"line {self.line}: {self.sentence}"


@dataclass(frozen=True, slots=True)
class _Place:
    """What a path of pydantic's leads to: the table, the key in it, and what that key may hold."""

    table: type[Table]
    names: tuple[str, ...]
    key: str
    field: FieldInfo | None
    entry: str

    @property
    def within(self) -> str:
        """The table in words; nothing for the top of the file."""
        return f" in [{'.'.join(self.names)}]" if self.names else ""


@dataclass(frozen=True, slots=True)
class _Wrong:
    """A key that is wrong: what it is, what it must be, and what stands behind that."""

    line: int
    subject: str
    rules: list[str]
    after: str


def read_description(
    content: Mapping[str, Any], descriptions: Mapping[str, type[Description]], found: Located
) -> Description | list[Mistake]:
    """Reads a parsed target file; gives every mistake in it, wrong and unknown keys first, when there are any.

    Args:
        content: the parsed file.
        descriptions: what a file may say, by kind.
        found: where things stand in it.
    """
    kind = content.get("kind")
    if kind is None:
        sentence = f"key 'kind' is missing; write one of {', '.join(descriptions)}, and the tables that it has"
        return [Mistake(1, sentence)]
    if not isinstance(kind, str) or kind not in descriptions:
        hint = nearest(kind, descriptions) if isinstance(kind, str) else ""
        sentence = f"key 'kind' must be one of {', '.join(descriptions)}{_given(kind)}{hint}"
        return [Mistake(found.line(("kind",)), sentence)]
    try:
        return descriptions[kind].model_validate(content)
    except ValidationError as error:
        return _mistakes(error.errors(include_url=False), descriptions[kind], found)


def in_hardware(sentence: str, found: Located) -> Mistake:
    """Gives the mistake of a file whose keys are fine one by one and contradict one another, with the line of the
    first key that the sentence names.
    """
    place = re.search(r"'(\w+)' in \[([\w.]+)\]", sentence)
    if place:
        return Mistake(found.line((*place[2].split("."), place[1])), sentence)
    by_key = {path[-1]: line for path, line in reversed(found.lines.items()) if "_" in str(path[-1])}
    return Mistake(next((by_key[word] for word in re.findall(r"\w+", sentence) if word in by_key), 1), sentence)


def _mistakes(details: Iterable[Mapping[str, Any]], description: type[Description], found: Located) -> list[Mistake]:
    """Gives one mistake for each key that is wrong; a key that is missing because it is misspelt is not told again."""
    wrong: dict[tuple[str, ...], _Wrong] = {}
    missing, explained = [], set(found.broken)
    for detail in details:
        path: KeyPath = detail["loc"]
        place, line = _place(path, description), found.line(path)
        if detail["type"] == "missing":
            missing.append(Mistake(line, _missing(place), "" if place.entry else place.key))
        elif detail["type"] == "extra_forbidden":
            meant = _meant(place)
            explained.add(meant)
            wrong[tuple(map(str, path))] = _Wrong(line, _unknown(place, meant), [], "")
        else:
            # The branches of a union fail one by one; together they are one mistake.
            subject = f"key '{place.key}'{place.within}{place.entry} "
            fresh = _Wrong(line, subject, [], _after(detail, place))
            one = wrong.setdefault((*place.names, place.key, place.entry), fresh)
            one.rules.extend([rule] if (rule := _rule(detail)) not in one.rules else [])
    told = [Mistake(one.line, f"{one.subject}{', or '.join(one.rules)}{one.after}") for one in wrong.values()]
    told += [mistake for mistake in missing if mistake.missing not in explained]
    return sorted(told, key=lambda mistake: (bool(mistake.missing), mistake.line))


def _place(path: KeyPath, description: type[Description]) -> _Place:
    table: type[Table] | None = description
    owner: type[Table] = description
    names: list[str] = []
    key, field, entry = "", None, ""
    for part in path:
        if table is not None and isinstance(part, str):
            if key:
                names.append(key)
            owner, key, field = table, part, table.model_fields.get(part)
            table = table_of(field.annotation) if field else None
        elif isinstance(part, int) and not entry:
            entry = f", entry {part + 1},"
        elif isinstance(part, str) and field and get_origin(field.annotation) is dict and part != "[key]":
            entry = f" at '{part}'"
    return _Place(owner, tuple(names), key, field, entry)


def _missing(place: _Place) -> str:
    if place.entry:
        return f"key '{place.key}'{place.within} has an entry that lacks a number; give each entry all of them"
    if place.field is not None and table_of(place.field.annotation) is not None:
        name = ".".join((*place.names, place.key))
        return f"table [{name}] is missing; copy a built-in target and change its numbers"
    if place.key == "source":
        return f"key 'source' is missing{place.within}; say where the numbers come from"
    allowed = f"; allowed is {described(place.key, place.field)}" if place.field is not None else ""
    return f"key '{place.key}' is missing{place.within}; copy a built-in target and change its numbers{allowed}"


def _meant(place: _Place) -> str:
    """Gives the known key that an unknown one stands for, or nothing."""
    known = list(place.table.model_fields)
    with_unit = next((name for name in known if name.startswith(f"{place.key}_")), None)
    return with_unit or (re.findall("'(.*)'", nearest(place.key, known)) or [""])[0]


def _unknown(place: _Place, meant: str) -> str:
    if meant.startswith(f"{place.key}_"):
        return f"key '{place.key}'{place.within} lacks its unit; write '{meant}'"
    hint = f" (did you mean '{meant}'?)" if meant else ""
    return f"unknown key '{place.key}'{place.within}{hint}; allowed are {', '.join(place.table.model_fields)}"


def _rule(detail: Mapping[str, Any]) -> str:
    rule = str(detail["msg"]).removeprefix("Value error, ").replace("Input should be", "must be")
    return rule.replace("String should", "must").replace("Tuple should", "must").replace("a valid tuple", "a list")


def _after(detail: Mapping[str, Any], place: _Place) -> str:
    """Gives the end of a sentence: what stood there, and the range."""
    given = "" if detail["type"] == "value_error" else _given(detail["input"])
    if place.field is None or detail["type"] not in _RANGE_ERRORS:
        return given
    return f"{given}; allowed is {described(place.key, place.field)}"


def _given(value: object) -> str:
    """Tells what stood there, unless it is too long to tell."""
    if isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 2**63):
        return f", not {value}"
    if isinstance(value, str) and 0 < len(value) <= 40:
        return f", not {value!r}"
    return ""
