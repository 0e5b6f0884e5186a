"""The schema of target files as a page of documentation, read off the types that check them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping

from pydantic_core import PydanticUndefined

from haqc.target import GRADES
from haqc.targets.description import Description, Table
from haqc.targets.types import described, table_of
from haqc.targets.units import unit_of

_HEAD = f"""# What a target file says

This page is what `haqc targets schema` prints; it is read off the code that checks the files.

A target is a TOML file, by custom named after its chip. `haqc targets new --from edge my-chip.toml` starts one from a
built-in target, `haqc targets check my-chip.toml` names every mistake in it with its line, and `haqc targets show
my-chip.toml` prints the peak rates that follow from it.

- Every key carries its unit at its end. An unknown key is refused, and so is a number that no chip has.
- Every table has a `source`: where its numbers come from.
- `[grades]` says how far the figures may be trusted: {", ".join(f"`{grade}`" for grade in GRADES)}.
- Keys without a default must stand there.
"""


def schema(descriptions: Mapping[str, type[Description]]) -> str:
    """Gives the page, as Markdown.

    Args:
        descriptions: what a file may say, by kind.
    """
    shared = list(Description.model_fields)
    parts = [_HEAD, "## Every kind\n", _keys(Description, shared)]
    parts += [_section(key, made) for key, made in _tables(Description, shared)]
    for kind, description in descriptions.items():
        own = [key for key in description.model_fields if key not in shared]
        parts.append(f'## `kind = "{kind}"`\n')
        parts += [_keys(description, keys)] if (keys := [k for k in own if not _table_at(description, k)]) else []
        parts += [_section(key, made, description) for key, made in _tables(description, own)]
    return "\n".join(parts)


def _section(key: str, table: type[Table], owner: type[Table] = Description) -> str:
    optional = "" if owner.model_fields[key].is_required() else " (may be left out)"
    return f"### `[{key}]`{optional}\n\n{_sentence(table)}\n\n{_keys(table, list(table.model_fields))}"


def _keys(table: type[Table], keys: list[str]) -> str:
    """Makes the table of keys; tables within have a section of their own."""
    rows = ["| key | unit | allowed | default |", "|---|---|---|---|"]
    for key in keys:
        field, unit = table.model_fields[key], unit_of(key)
        if _table_at(table, key):
            continue
        default = "" if field.default is PydanticUndefined else _value(field.default)
        allowed = described(key, field).replace("|", "\\|")
        rows.append(f"| `{key}` | {unit.symbol if unit else ''} | {allowed} | {default} |")
    return "\n".join(rows) + "\n"


def _tables(description: type[Table], keys: list[str]) -> Iterator[tuple[str, type[Table]]]:
    for key in keys:
        made = _table_at(description, key)
        if made:
            yield key, made


def _table_at(description: type[Table], key: str) -> type[Table] | None:
    return table_of(description.model_fields[key].annotation)


def _sentence(table: type[Table]) -> str:
    text = re.sub(r" \(:class:`[\w.]+`\)", "", inspect.getdoc(table) or "")
    return " ".join(text.replace("``", "`").split())


def _value(default: object) -> str:
    if default is None:
        return "none"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"
