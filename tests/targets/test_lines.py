"""Target files read statement by statement: what stands where, and what is wrong with each statement."""

from __future__ import annotations

import time
import tomllib
from pathlib import Path

import pytest

from haqc import targets
from haqc.targets.lines import locate, statements

FOLDER = Path(targets.__file__).parent
TEXT = '''a = 1  # a comment with [ and "
b.c = "[x]"
"d.e" = \'\'\'
[not a table]
\'\'\'
pairs = [
  [8, 8],
  [4, 4],
]

[table]
inline = {x = 1, y = {z = "}"}}
text = """
x = 1
"""
[[rows]]
k = 1
[[rows]]
k = 2
[table.inner]
k = 3
'''


def test_every_key_has_the_line_it_begins_in() -> None:
    found = locate(TEXT)
    assert found.content == tomllib.loads(TEXT)
    assert found.mistakes == [] and found.broken == set()
    lines = TEXT.splitlines()
    expected = {
        ("a",): "a = 1", ("b", "c"): "b.c", ("d.e",): '"d.e"', ("pairs",): "pairs", ("table",): "[table]",
        ("table", "inline", "y", "z"): "inline", ("table", "text"): "text", ("rows", 0): "[[rows]]",
        ("rows", 0, "k"): "k = 1", ("rows", 1, "k"): "k = 2", ("table", "inner", "k"): "k = 3",
    }  # fmt: skip
    for path, start in expected.items():
        assert lines[found.line(path) - 1].startswith(start), path
    assert found.line(("table", "nothing")) == found.line(("table",)) and found.line(("nothing",)) == 1


@pytest.mark.parametrize("name", targets.names())
def test_built_in_files_are_read_as_they_are(name: str) -> None:
    text = (FOLDER / f"{name}.toml").read_text()
    found = locate(text)
    assert found.content == tomllib.loads(text) and found.mistakes == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = 1\na = 2", [(2, "key 'a' stands already in line 1; keep one of them")]),
        ("[t]\nk = 1\n[s]\n[t]\nk = 2", [(4, "table [t] stands already in line 1"), (5, "key 'k' in [t] stands")]),
        ("a = 1\n[a]\nk = 2", [(2, "'a' is no table but a value, given in line 1; drop one")]),
        ("a.b = 1\na.b = 2", [(2, "key 'b' in [a] stands already in line 1")]),
        ("a 1\nb = \nc = 3", [(1, "is no TOML text (Expected '='"), (2, "is no TOML text (Invalid value")]),
        ("a = [1, 2\nb = 3\nb = 4", [(1, "is no TOML text (Unclosed array"), (3, "key 'b' stands already in line 2")]),
        ('a = "x\nb = 3', [(1, "is no TOML text (Unterminated string")]),
    ],
)
def test_each_mistake_has_its_line_and_hides_no_other(text: str, expected: list[tuple[int, str]]) -> None:
    found = locate(text)
    assert [line for line, _ in found.mistakes] == [line for line, _ in expected]
    for (_, sentence), (_, start) in zip(found.mistakes, expected, strict=True):
        assert sentence.startswith(start)
        assert "\n" not in sentence


@pytest.mark.parametrize("text", ['"""' * 50_000, "[" * 200_000, "a = [\n" * 30_000, "'" * 200_001, "{\n" * 100_000])
def test_nonsense_takes_no_long_time(text: str) -> None:
    start = time.monotonic()
    assert sum(statement.text.count("\n") for statement in statements(text)) <= text.count("\n")
    assert time.monotonic() - start < 5
