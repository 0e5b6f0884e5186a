"""The page about target files says what the code checks."""

from __future__ import annotations

from pathlib import Path

from haqc.target import GRADES
from haqc.targets.kinds import DESCRIPTIONS
from haqc.targets.schema import schema

PAGE = Path(__file__).resolve().parents[2] / "docs" / "target-schema.md"


def test_the_page_is_what_the_command_prints() -> None:
    assert PAGE.read_text(encoding="utf-8") == schema(DESCRIPTIONS), "run: haqc targets schema > docs/target-schema.md"


def test_every_kind_table_and_key_is_on_the_page() -> None:
    page = schema(DESCRIPTIONS)
    for kind, description in DESCRIPTIONS.items():
        section = page.partition(f'## `kind = "{kind}"`')[2].partition("\n## ")[0]
        for table in set(description.model_fields) - set(DESCRIPTIONS["bit-serial"].__mro__[1].model_fields):
            assert f"`[{table}]`" in section or f"| `{table}` |" in section, (kind, table)
    assert all(f"`{grade}`" in page for grade in GRADES)
    assert "| `clock_mhz` | MHz | a number above 0, at most 100,000 |  |" in page
    assert "| `has_float` |  | true or false | `false` |" in page
    assert "### `[physical]` (may be left out)" in page
    assert ":class:" not in page and "``" not in page
