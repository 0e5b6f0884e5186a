"""Where things stand in a target file: a TOML text read statement by statement, so that one mistake hides no other."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

KeyPath = tuple[str | int, ...]

_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*|[\[\]{}\n]', re.DOTALL
)
_KEY_LINE = re.compile(r"[ \t]*[\w-]+[ \t]*=")
_FIRST_WORD = re.compile(r"[\s\[]*([\w-]+)")


@dataclass(frozen=True, slots=True)
class Statement:
    """One key with its value, or one table header.

    Attributes:
        line: number of the line it begins in, from 1.
        text: its lines.
    """

    line: int
    text: str


@dataclass(slots=True)
class Located:
    """A target file with the lines of its keys, as far as it can be read.

    Attributes:
        content: what :func:`tomllib.loads` gives, without what is wrong.
        lines: line by path; a path leads through keys, and through numbers in arrays of tables.
        mistakes: line and sentence of what is no TOML, or stands twice.
        broken: first words of the statements that are no TOML.
    """

    content: dict[str, Any] = field(default_factory=dict)
    lines: dict[KeyPath, int] = field(default_factory=dict)
    mistakes: list[tuple[int, str]] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)

    def line(self, path: KeyPath) -> int:
        """Gives the line of the innermost part of a path that stands in the file; 1 when none does."""
        return next((self.lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in self.lines), 1)


def statements(text: str) -> Iterator[Statement]:
    """Yields the statements of a TOML text; brackets that are never closed end where the next key begins."""
    begin, line, first, depth = 0, 1, 1, 0
    for token in _TOKEN.finditer(text):
        mark = token.group()
        if mark in "[{":
            depth += 1
        elif mark in "]}":
            depth -= 1
        if mark != "\n":
            line += mark.count("\n")
            continue
        line += 1
        if depth <= 0 or _KEY_LINE.match(text, token.end()):
            if text[begin : token.start()].strip():
                yield Statement(first, text[begin : token.start()])
            begin, first, depth = token.end(), line, 0
    if text[begin:].strip():
        yield Statement(first, text[begin:])


def locate(text: str) -> Located:
    """Reads a TOML text as far as it can be read.

    >>> found = locate("a = 1\\n[b]\\nc = 2\\nc = 3\\nd 4")
    >>> found.content, found.line(("b", "c"))
    ({'a': 1, 'b': {'c': 2}}, 3)
    >>> [line for line, _ in found.mistakes]
    [4, 5]
    """
    found = Located()
    table, prefix = found.content, KeyPath()
    for statement in statements(text):
        try:
            parsed = tomllib.loads(statement.text)
        except ValueError as error:
            reason = re.sub(r" \(at (line \d+, column \d+|end of document)\)", "", str(error))
            found.mistakes.append((statement.line, f"is no TOML text ({reason}); mend it there"))
            word = _FIRST_WORD.match(statement.text)
            found.broken |= {word[1]} if word else set()
            continue
        if statement.text.lstrip().startswith("["):
            table, prefix = _open(found, parsed, statement.line)
        else:
            _merge(found, table, parsed, prefix, statement.line)
    return found


def _open(found: Located, header: dict[str, Any], line: int) -> tuple[dict[str, Any], KeyPath]:
    """Enters the table of a header, which is parsed alone: a chain of tables, or of tables and one array at its end."""
    table, prefix = found.content, KeyPath()
    while header:
        ((key, inner),) = header.items()
        prefix = (*prefix, key)
        is_array, is_last = isinstance(inner, list), not inner or isinstance(inner, list)
        if is_last and not is_array and prefix in found.lines and isinstance(table.get(key), dict):
            name = ".".join(map(str, prefix))
            sentence = f"table [{name}] stands already in line {found.lines[prefix]}; join the two"
            found.mistakes.append((line, sentence))
        elif is_last:
            found.lines.setdefault(prefix, line)
        entry = table.setdefault(key, [] if is_array else {})
        if is_array and isinstance(entry, list):
            entry.append({})
        if isinstance(entry, list) and entry and isinstance(entry[-1], dict):
            prefix, entry = (*prefix, len(entry) - 1), entry[-1]
            found.lines.setdefault(prefix, line)
        if not isinstance(entry, dict):
            sentence = f"'{key}' is no table but a value, given in line {found.line(prefix)}; drop one"
            found.mistakes.append((line, sentence))
            return {}, prefix
        table, header = entry, inner[0] if is_array else inner
    return table, prefix


def _merge(found: Located, table: dict[str, Any], parsed: dict[str, Any], prefix: KeyPath, line: int) -> None:
    """Puts keys into a table; what stands there already is a mistake."""
    for key, value in parsed.items():
        path = (*prefix, key)
        if key not in table:
            table[key] = value
            _note(found, path, value, line)
        elif isinstance(value, dict) and isinstance(table[key], dict):
            _merge(found, table[key], value, path, line)
        else:
            place = f" in [{'.'.join(map(str, prefix))}]" if prefix else ""
            sentence = f"key '{key}'{place} stands already in line {found.line(path)}; keep one of them"
            found.mistakes.append((line, sentence))


def _note(found: Located, path: KeyPath, value: object, line: int) -> None:
    found.lines[path] = line
    if isinstance(value, dict):
        for key, inner in value.items():
            _note(found, (*path, key), inner, line)
